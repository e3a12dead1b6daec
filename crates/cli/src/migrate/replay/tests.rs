use super::*;
use compare::Body;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a server does with each request.
#[derive(Clone, Copy)]
enum Server {
    Answers(&'static str),
    Hangs,
    Closes,
}

async fn serve(server: Server) -> (Target, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                match server {
                    Server::Answers(answer) if read > 0 => {
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                    Server::Answers(_) | Server::Closes => {}
                    Server::Hangs => std::future::pending().await,
                }
            });
        }
    });
    (
        Target::parse(&format!("http://{address}")).unwrap(),
        address,
    )
}

fn get(path: &str) -> Request {
    Request {
        method: Method::GET,
        host: "shop.example.com".to_owned(),
        path: path.to_owned(),
        headers: HeaderMap::new(),
        body: String::new(),
    }
}

fn rules() -> Rules {
    Rules {
        ignored: ["x-mine".parse().unwrap()].into(),
        body: Body::Compared,
    }
}

fn limits() -> Limits {
    Limits {
        rate: NonZero::new(1000).unwrap(),
        total: Duration::from_secs(60),
        each: Duration::from_secs(30),
        methods: Methods::Safe,
    }
}

const PLAIN: &str = "HTTP/1.1 200 OK\r\nServer: a\r\nX-Mine: 1\r\nContent-Length: 2\r\n\r\nhi";

async fn compared(from: Server, to: Server, limits: Limits) -> Outcome {
    let ((from, _), (to, _)) = (serve(from).await, serve(to).await);
    run(vec![get("/")], from, to, &rules(), limits).await
}

fn told(outcome: &Outcome) -> Vec<(&str, &str, &str)> {
    let differences = outcome
        .exchanges
        .iter()
        .flat_map(|exchange| &exchange.differences);
    differences
        .map(|d| (d.what.as_str(), d.from.as_str(), d.to.as_str()))
        .collect()
}

#[tokio::test]
async fn framing_and_ignored_headers_make_no_difference() {
    let other = "HTTP/1.1 200 OK\r\nServer: b\r\nX-Mine: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let outcome = compared(Server::Answers(PLAIN), Server::Answers(other), limits()).await;
    assert_eq!(told(&outcome), []);
    assert_eq!(
        (
            outcome.exchanges.len(),
            outcome.from_answered,
            outcome.to_answered
        ),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn status_headers_and_bodies_are_compared() {
    let other = "HTTP/1.1 404 No\r\nSet-Cookie: id=secret; Path=/\r\nContent-Length: 3\r\n\r\nhi!";
    let outcome = compared(Server::Answers(PLAIN), Server::Answers(other), limits()).await;
    let told = told(&outcome);
    assert_eq!(told[0], ("status", "200", "404"));
    assert_eq!(told[1], ("header set-cookie", "(none)", "id"));
    assert_eq!(told[2].0, "body");
    assert!(
        told[2].1.starts_with("2 bytes") && told[2].2.starts_with("3 bytes"),
        "{told:?}"
    );
    assert_eq!(told.len(), 3);
}

#[tokio::test]
async fn a_dead_controller_is_told() {
    let (from, _) = serve(Server::Answers(PLAIN)).await;
    // Bound, so that nobody else gets the port, and not listening.
    let dead = tokio::net::TcpSocket::new_v4().unwrap();
    dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = Target::parse(&format!("http://{}", dead.local_addr().unwrap())).unwrap();
    let outcome = run(vec![get("/a"), get("/b")], from, to, &rules(), limits()).await;
    assert_eq!(outcome.silent(), Some("--to"));
    assert_eq!(outcome.different(), 2);
    assert!(
        told(&outcome)[0].2.starts_with("none: connecting"),
        "{:?}",
        told(&outcome)
    );
}

#[tokio::test]
async fn a_hanging_and_a_closing_controller_are_told() {
    let short = Limits {
        each: Duration::from_millis(200),
        ..limits()
    };
    let outcome = compared(Server::Hangs, Server::Closes, short).await;
    let told = told(&outcome);
    assert_eq!((told.len(), told[0].0), (1, "answer"));
    assert_eq!(told[0].1, "none: no whole answer within 0.2 s");
    assert!(told[0].2.starts_with("none: "), "{told:?}");
    assert_eq!(outcome.silent(), Some("--from"));
}

#[tokio::test]
async fn an_answer_that_is_cut_is_no_answer() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi";
    let outcome = compared(Server::Answers(PLAIN), Server::Answers(cut), limits()).await;
    assert_eq!((outcome.from_answered, outcome.to_answered), (1, 0));
}

#[tokio::test]
async fn unsafe_methods_and_late_requests_are_not_sent() {
    let ((from, _), (to, _)) = (
        serve(Server::Answers(PLAIN)).await,
        serve(Server::Answers(PLAIN)).await,
    );
    let post = Request {
        method: Method::POST,
        ..get("/")
    };
    let requests = vec![post, get("/")];
    let outcome = run(
        requests.clone(),
        from.clone(),
        to.clone(),
        &rules(),
        limits(),
    )
    .await;
    assert_eq!((outcome.unsafe_methods, outcome.exchanges.len()), (1, 1));
    let all = Limits {
        methods: Methods::All,
        ..limits()
    };
    let outcome = run(requests.clone(), from.clone(), to.clone(), &rules(), all).await;
    assert_eq!((outcome.unsafe_methods, outcome.exchanges.len()), (0, 2));
    let none = Limits {
        total: Duration::ZERO,
        ..limits()
    };
    let outcome = run(requests, from, to, &rules(), none).await;
    assert_eq!((outcome.not_sent, outcome.exchanges.len()), (1, 0));
}

#[test]
fn targets_are_plain_http() {
    assert!(Target::parse("http://127.0.0.1:80").is_ok());
    assert!(Target::parse("http://[::1]").is_ok());
    for bad in [
        "https://a",
        "127.0.0.1:80",
        "http://a/b",
        "http://u:p@a",
        "ftp://a",
        "",
    ] {
        assert!(Target::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_help_names_every_header_that_is_not_compared() {
    use clap::CommandFactory;
    let mut tidegate = crate::commands::Cli::command();
    let migrate = tidegate.find_subcommand_mut("migrate").unwrap();
    let help = migrate
        .find_subcommand_mut("ingress-nginx")
        .unwrap()
        .render_long_help()
        .to_string();
    let words: Vec<&str> = help.split([' ', ',', '\n']).collect();
    for name in compare::IGNORED_HEADERS {
        assert!(
            words.contains(&name),
            "the help does not say that {name} is not compared"
        );
    }
}
