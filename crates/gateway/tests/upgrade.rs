//! WebSocket: a switch of protocols that client and endpoint agree on, and bytes both ways behind it.
#![allow(missing_docs, clippy::unwrap_used)]

mod rig;

use rig::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_model::{BackendId, ClusterName, Endpoint, Snapshot};

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: y\r\n\r\n";

/// Answers the first head with `answer`, then sends back what it gets, in capitals; ends when told `bye`.
struct Chat {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    /// Connections that ended.
    ends: Arc<Mutex<u32>>,
}

impl Chat {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let chat = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
            ends: Arc::default(),
        };
        let (heads, ends) = (Arc::clone(&chat.heads), Arc::clone(&chat.ends));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heads, ends) = (Arc::clone(&heads), Arc::clone(&ends));
                std::thread::spawn(move || {
                    // However it goes, it ends.
                    let _ = talk(stream, answer, &heads);
                    *ends.lock().unwrap() += 1;
                });
            }
        });
        chat
    }

    /// The shop, served by it alone.
    fn snapshot(&self) -> Snapshot {
        let mut content = unprobed(snapshot(&[]));
        let id = BackendId::new("shop", "shop", "80").unwrap();
        let address = self.address;
        let clusters = &mut content.backends.get_mut(&id).unwrap().clusters;
        clusters.insert(ClusterName::new("az1").unwrap(), vec![Endpoint { address }]);
        content
    }
}

fn talk(mut stream: TcpStream, answer: &str, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    heads
        .lock()
        .unwrap()
        .push(String::from_utf8_lossy(&head).into_owned());
    stream.write_all(answer.as_bytes())?;
    let mut bytes = [0; 4096];
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 || bytes[..count].ends_with(b"bye") {
            return Ok(());
        }
        stream.write_all(&bytes[..count].to_ascii_uppercase())?;
    }
}

fn connect(rig: &Rig) -> TcpStream {
    let stream = TcpStream::connect(rig.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn say(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).unwrap();
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).unwrap();
    String::from_utf8(heard).unwrap()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn until_ended(chat: &Chat) {
    let ended = async {
        while *chat.ends.lock().unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn bytes_go_both_ways_after_the_switch_and_not_before() {
    let chat = Chat::start(SWITCH);
    let rig = Rig::start(chat.snapshot()).await;
    let mut stream = connect(&rig);
    blocking(move || {
        // Sent before the answer: kept until it is a switch (B23).
        stream.write_all(format!("{ASK}early").as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(
            head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
            "{head}"
        );
        for line in [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Accept: x",
        ] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
        }
        assert_eq!(say(&mut stream, ""), "");
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"EARLY");
        assert_eq!(say(&mut stream, "hello"), "HELLO");
        let long = "x".repeat(300_000);
        let mut reader = stream.try_clone().unwrap();
        let reading = std::thread::spawn(move || {
            let mut heard = vec![0; 300_000];
            reader.read_exact(&mut heard).unwrap();
            heard
        });
        stream.write_all(long.as_bytes()).unwrap();
        assert_eq!(reading.join().unwrap(), long.to_uppercase().into_bytes());
        // The endpoint ends: so does the client's connection.
        stream.write_all(b"bye").unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    })
    .await;
    let heads = chat.heads.lock().unwrap().clone();
    let [head] = &heads[..] else {
        panic!("{heads:?}");
    };
    for line in [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: y",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert!(!head.contains("early"), "{head}");
    rig.shutdown().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_endpoints_connection_along() {
    let chat = Chat::start(SWITCH);
    let rig = Rig::start(chat.snapshot()).await;
    let mut stream = connect(&rig);
    blocking(move || {
        stream.write_all(ASK.as_bytes()).unwrap();
        read_head(&mut stream);
        assert_eq!(say(&mut stream, "a"), "A");
    })
    .await;
    until_ended(&chat).await;
    rig.shutdown().await;
}

#[tokio::test]
async fn silence_in_both_directions_ends_it() {
    let chat = Chat::start(SWITCH);
    let mut content = chat.snapshot();
    content.settings.timeouts.body_idle = Duration::from_millis(200);
    let rig = Rig::start(content).await;
    let mut stream = connect(&rig);
    blocking(move || {
        stream.write_all(ASK.as_bytes()).unwrap();
        read_head(&mut stream);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    })
    .await;
    until_ended(&chat).await;
    rig.shutdown().await;
}

#[tokio::test]
async fn a_gateway_that_ends_cuts_it_at_the_end_of_the_drain_time() {
    let chat = Chat::start(SWITCH);
    let mut content = chat.snapshot();
    content.settings.timeouts.drain = Duration::from_millis(300);
    let rig = Rig::start(content).await;
    let mut stream = connect(&rig);
    let mut stream = blocking(move || {
        stream.write_all(ASK.as_bytes()).unwrap();
        read_head(&mut stream);
        stream
    })
    .await;
    rig.stop.cancel();
    let mut stream = blocking(move || {
        // It still works while requests in flight may go on.
        assert_eq!(say(&mut stream, "a"), "A");
        stream
    })
    .await;
    rig.shutdown().await;
    // Ended or reset.
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[tokio::test]
async fn without_a_switch_what_follows_is_the_next_request() {
    let chat = Chat::start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let rig = Rig::start(chat.snapshot()).await;
    let mut stream = connect(&rig);
    blocking(move || {
        let next = "GET /next HTTP/1.1\r\nHost: shop.example.com\r\n\r\n";
        stream.write_all(format!("{ASK}{next}").as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).body, "no");
        assert_eq!(read_answer(&mut stream).body, "no");
    })
    .await;
    let heads = chat.heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 2);
    assert!(
        heads[1].starts_with("GET /next ") && !heads[1].contains("Upgrade"),
        "{heads:?}"
    );
    rig.shutdown().await;
}

#[tokio::test]
async fn no_other_protocol_is_asked_for_and_none_taken_unasked() {
    let chat = Chat::start(SWITCH);
    let rig = Rig::start(chat.snapshot()).await;
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Upgrade: websocket\r\n",
        "",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: shop.example.com\r\n{lines}\r\n");
        let answer = rig.send(request.as_bytes()).await;
        assert_eq!(answer.status, 502, "{lines:?}: {}", answer.head);
    }
    let post = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Content-Length: 2\r\n\r\nhi";
    assert_eq!(rig.send(post.as_bytes()).await.status, 502);
    for head in chat.heads.lock().unwrap().iter() {
        for gone in ["Upgrade", "Connection", "HTTP2-Settings"] {
            assert!(!head.contains(gone), "{head}");
        }
    }
    rig.shutdown().await;
}
