//! The member is a small server that answers by path. TLS is tested with a real API server, in `tests/`.

use super::*;
use crate::join::Right;
use kube::Config;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

type Answer = fn(path: &str, body: &Value) -> (u16, Value);

async fn serve(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(exchange(stream, answer));
        }
    });
    address
}

/// One request, one answer, and the end of the connection.
async fn exchange(stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (status, reply) = answer(&path, &serde_json::from_slice(&body).unwrap_or_default());
    let reply = reply.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        reply.len()
    );
    stream.write_all(format!("{head}{reply}").as_bytes()).await
}

async fn inspected(address: SocketAddr) -> Result<Member, JoinError> {
    let mut config = Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    inspect(&Client::try_from(config).unwrap(), "https://member").await
}

async fn refusal(address: SocketAddr) -> JoinError {
    inspected(address)
        .await
        .err()
        .expect("the member is refused")
}

async fn unreachable(address: SocketAddr) -> Unreachable {
    match refusal(address).await {
        JoinError::Unreachable { why, .. } => why,
        other => panic!("{other}"),
    }
}

fn version() -> Value {
    json!({"major": "1", "minor": "36", "gitVersion": "v1.36.1", "gitCommit": "", "gitTreeState": "",
        "buildDate": "", "goVersion": "", "compiler": "", "platform": ""})
}

fn status(code: u16, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "", "code": code}),
    )
}

/// A member that allows what `allowed` says.
fn member(path: &str, body: &Value, allowed: fn(&str, &str) -> bool) -> (u16, Value) {
    let attribute = |name: &str| {
        body["spec"]["resourceAttributes"][name]
            .as_str()
            .unwrap_or_default()
    };
    let mut reply = body.clone();
    match path.split('?').next().unwrap_or_default() {
        "/version" => return (200, version()),
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => {
            reply["status"] = json!({"allowed": allowed(attribute("verb"), attribute("resource"))});
        }
        "/apis/authentication.k8s.io/v1/selfsubjectreviews" => {
            reply["status"] =
                json!({"userInfo": {"username": "system:serviceaccount:ops:tidegate"}});
        }
        "/api/v1/namespaces/kube-system" => {
            return (
                200,
                json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": "u-1"}}),
            );
        }
        "/api/v1/namespaces" => {
            let item = |name: &str| json!({"metadata": {"name": name}, "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"});
            return (
                200,
                json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {},
                "items": [item("default"), item("kube-system")]}),
            );
        }
        other => return status(404, other),
    }
    (201, reply)
}

#[tokio::test]
async fn a_member_says_who_it_is() {
    let address = serve(|path, body| member(path, body, |_, _| true)).await;
    let member = inspected(address).await.unwrap();
    assert_eq!(
        (
            member.version.as_str(),
            member.uid.as_str(),
            member.namespaces
        ),
        ("v1.36.1", "u-1", 2)
    );
}

#[tokio::test]
async fn exactly_the_missing_rights_are_named_and_the_hint_grants_them() {
    let address = serve(|path, body| {
        member(path, body, |verb, resource| {
            verb != "watch" && resource != "namespaces"
        })
    })
    .await;
    let error = refusal(address).await;
    let JoinError::Rights { missing, .. } = &error else {
        panic!("{error}")
    };
    let right = |verb, group, resource| Right {
        verb,
        group,
        resource,
    };
    let expected = [
        right("watch", "", "services"),
        right("watch", "discovery.k8s.io", "endpointslices"),
        right("get", "", "namespaces"),
        right("list", "", "namespaces"),
    ];
    assert_eq!(missing[..], expected);
    assert_eq!(
        error.to_string(),
        "system:serviceaccount:ops:tidegate may not watch services, watch endpointslices.discovery.k8s.io, get namespaces, list namespaces"
    );
    let hint = error.hint();
    assert!(
        hint.contains("kind: ClusterRole\n") && hint.contains("namespace: ops\n  name: tidegate\n"),
        "{hint}"
    );
}

#[tokio::test]
async fn bad_credentials_are_told_wherever_they_show() {
    let at_once = serve(|_, _| status(401, "Unauthorized")).await;
    assert_eq!(unreachable(at_once).await, Unreachable::Unauthorized);
    let later = serve(|path, _| {
        if path == "/version" {
            (200, version())
        } else {
            status(401, "Unauthorized")
        }
    })
    .await;
    assert_eq!(unreachable(later).await, Unreachable::Unauthorized);
}

#[tokio::test]
async fn what_is_no_api_server_is_told() {
    let other = serve(|_, _| (200, json!("hello"))).await;
    assert!(matches!(
        unreachable(other).await,
        Unreachable::NotKubernetes(_)
    ));
    let none = serve(|_, _| status(404, "no such page")).await;
    assert_eq!(
        unreachable(none).await,
        Unreachable::NotKubernetes("404 no such page".to_owned())
    );
}

#[tokio::test]
async fn a_closed_port_is_told() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(unreachable(closed).await, Unreachable::Refused);
}

#[tokio::test(start_paused = true)]
async fn silence_is_told() {
    // The kernel accepts, nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(
        unreachable(silent.local_addr().unwrap()).await,
        Unreachable::TimedOut
    );
}
