use super::*;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("the port answers and closes")
        .unwrap();
    answer
}

async fn get(address: SocketAddr, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    ask(address, &head).await
}

#[tokio::test]
async fn health_metrics_and_pages_are_served_until_shutdown() {
    let mut admin = Admin::new();
    let readiness = admin.readiness();
    let requests = Counter::<u64>::default();
    admin
        .registry()
        .register("requests", "All requests", requests.clone());
    admin.get("/status", |request| {
        AdminReply::ok(serde_json::json!({ "query": request.query }))
    });
    admin.post("/drain", |request| AdminReply {
        status: 202,
        body: request.body.clone(),
    });
    let bound = admin.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = bound.local_addr();
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(bound.serve(shutdown.clone()));

    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
    assert!(
        get(address, "/readyz").await.starts_with("HTTP/1.1 503"),
        "no check is not ready"
    );
    let check = readiness.check("snapshot");
    assert!(get(address, "/readyz").await.contains("[-]snapshot: not"));
    check.ok("generation 7");
    let ready = get(address, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(ready.contains("[+]snapshot: generation 7"), "{ready}");

    requests.inc();
    assert!(get(address, "/metrics").await.contains("requests_total 1"));
    assert!(get(address, "/status?a=b").await.contains(r#""a=b""#));
    let post = |body: &str| {
        format!(
            "POST /drain HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let accepted = ask(address, &post(r#"{"now":1}"#)).await;
    assert!(accepted.starts_with("HTTP/1.1 202"), "{accepted}");
    assert!(ask(address, &post("{")).await.starts_with("HTTP/1.1 400"));
    assert!(get(address, "/drain").await.starts_with("HTTP/1.1 404"));

    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), served)
        .await
        .expect("it ends")
        .unwrap();
}
