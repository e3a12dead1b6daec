use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Load, Target};

/// Answers every request on a connection with the next of `answers`, and closes it after the last.
async fn server(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answers));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, answers: &[&str]) {
    for answer in answers {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

const AZ1: &str = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"cluster\":\"az1\"}";
const AZ2: &str = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"cluster\":\"az2\"}";
const NO: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 6\r\n\r\nno pod";
const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"clu";

#[tokio::test]
async fn counts_by_cluster_and_names_failures() {
    let target = server(&[AZ1, AZ2, AZ1, NO, CUT]).await;
    let load = Load::start(Target::new(target, "shop").rate(100)).expect("it starts");
    load.next(50).await.expect("answers come");
    let all = load.stop().await.expect("it stops");
    assert!(all.requests >= 50, "{all}");
    let (az1, az2) = (all.per_cluster["az1"], all.per_cluster["az2"]);
    assert_eq!(az1 + az2 + all.failed, all.requests, "{all}");
    assert!(az1 > az2 && az2 > 0, "{all}");
    assert!(all.none_failed().is_err() && all.all_from("az1").is_err());
    let reasons: Vec<&str> = all.failures.iter().map(|f| f.reason.as_str()).collect();
    assert!(reasons.contains(&"status 503: no pod"), "{reasons:?}");
    assert!(
        reasons
            .iter()
            .any(|r| r.starts_with("body on a kept connection")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn a_server_that_stalls_is_late_for_every_request_that_was_due() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let load = Load::start(Target::new(address, "shop").rate(100)).expect("it starts");
    // Connections are made, by the kernel, and nobody answers: requests go on leaving.
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(listener.accept().await.expect("one comes").0);
    }
    assert_eq!(load.outcome().requests, 0);
    tokio::time::sleep(Duration::from_millis(150)).await;
    for stream in waiting {
        tokio::spawn(serve(stream, &[AZ1]));
    }
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, &[AZ1]));
        }
    });
    load.next(30).await.expect("answers come");
    let all = load.stop().await.expect("it stops");
    all.all_from("az1").expect("all are answered");
    assert!(
        all.over_100ms >= 10 && all.worst >= Duration::from_millis(150),
        "{all}"
    );
}

#[tokio::test]
async fn nobody_there_is_a_failure_of_every_request() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("it is bound");
    drop(free);
    let load = Load::start(Target::new(address, "shop").rate(200)).expect("it starts");
    load.next(40).await.expect("failures are answers too");
    let all = load.stop().await.expect("it stops");
    assert_eq!(all.failed, all.requests);
    assert!(all.failures[0].reason.starts_with("connect: "), "{all}");
    assert_eq!(all.share("az1"), 0.0);
}
