//! `tidegate migrate ingress-nginx` as people and CI run it.
#![allow(clippy::unwrap_used)] // A failed unwrap is a failed test.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tidegate_testbed::Rig;

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

const SAME: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: web, namespace: shop }
spec:
  ingressClassName: nginx
  rules:
  - host: shop.example.com
    http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }] }
";

fn migrate(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(TIDEGATE)
        .args(["migrate", "ingress-nginx"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server that answers everything so, until the process ends.
fn serve(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            if stream.read(&mut head).unwrap_or(0) > 0 {
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    address
}

#[test]
fn exit_codes_say_the_worst_verdict() {
    let out = migrate(&["-"], SAME);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("Ingress shop/web: same"));

    let different = SAME.replace("shop.example.com", "'*.example.com'");
    let out = migrate(&["-"], &different);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));

    let refused = SAME.replace(
        "namespace: shop }",
        "namespace: shop, annotations: { nginx.ingress.kubernetes.io/server-snippet: 'return 200;' } }",
    );
    let out = migrate(&["-"], &refused);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("server-snippet"));
}

#[test]
fn what_cannot_be_read_is_exit_code_3() {
    for (args, input, said) in [
        (&["--no-such-flag"][..], "", "--no-such-flag"),
        (&[], "", "<PATH>"),
        (&["/no/such/file.yaml"], "", "/no/such/file.yaml"),
        (&["-"], "kind: [", "standard input: document 1"),
        (
            &["-"],
            "apiVersion: v1\nkind: Service\nmetadata: { name: a }",
            "no Ingress",
        ),
        (
            &["-", "--from", "https://a", "--to", "http://b"],
            SAME,
            "TLS is not spoken",
        ),
    ] {
        let out = migrate(args, input);
        let stderr = text(&out.stderr);
        assert_eq!(out.status.code(), Some(3), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
    }
    assert_eq!(migrate(&["--help"], "").status.code(), Some(0));
}

#[test]
fn json_and_html_hold_the_same_verdict() {
    let out = migrate(&["-", "--output", "json"], SAME);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["verdict"], "same");
    assert_eq!(report["objects"][0]["name"], "web");
    let out = migrate(&["-", "--output", "html"], SAME);
    let page = text(&out.stdout);
    assert!(
        page.starts_with("<!doctype html>") && page.contains("shop/web"),
        "{page}"
    );
}

#[test]
fn answers_of_both_controllers_are_compared() {
    let one = serve("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    let other = serve("HTTP/1.1 503 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    let (one, other) = (format!("http://{one}"), format!("http://{other}"));
    let out = migrate(&["-", "--from", &one, "--to", &one], SAME);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
    assert!(text(&out.stdout).contains("1 requests sent to both, 0 answered differently"));

    let out = migrate(
        &["-", "--from", &one, "--to", &other, "--output", "json"],
        SAME,
    );
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stdout));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let exchange = &report["replay"]["exchanges"][0];
    assert_eq!(exchange["request"], "GET shop.example.com/");
    assert_eq!(exchange["differences"][0]["what"], "status");
    assert_eq!(exchange["differences"][0]["to"], "503");

    // Bound, so that nobody else gets the port, and not listening.
    let dead = tokio::net::TcpSocket::new_v4().unwrap();
    dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = format!("http://{}", dead.local_addr().unwrap());
    let out = migrate(&["-", "--from", &one, "--to", &gone], SAME);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stdout));
    assert!(
        text(&out.stderr).contains("--to answered none"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn the_documented_example_is_true() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for name in ["migrate.md", "zh/migrate.md"] {
        let page = std::fs::read_to_string(docs.join(name)).unwrap();
        let between = |from: &str, to: &str| {
            let rest = page.split_once(from).unwrap().1;
            rest.split_once(to).unwrap().0
        };
        let out = migrate(&["-"], between("```yaml\n", "```"));
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
        let shown = between("$ tidegate migrate ingress-nginx shop.yaml\n", "$ echo $?");
        assert_eq!(shown, text(&out.stdout), "docs/{name} shows another report");
    }
}

#[test]
fn a_cluster_is_read_by_its_kubeconfig() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_server().await?;
        rig.hub().run("create namespace shop").await?;
        rig.hub()
            .apply(SAME.trim_start(), &["--validate=false"])
            .await?;
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ingress-nginx-controller, namespace: shop }\n\
                   data: { http-snippet: 'x;' }\n";
        rig.hub().apply(map, &[]).await?;
        let kubeconfig = rig.server().kubeconfig().to_str().unwrap().to_owned();
        let out = migrate(&["--kubeconfig", &kubeconfig, "--output", "json"], "");
        let report: Value = serde_json::from_slice(&out.stdout).unwrap();
        let names: Vec<&str> = report["objects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|object| object["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["ingress-nginx-controller", "web"], "{report}");
        // There are no Services on it, and that was read.
        let findings = &report["objects"][1]["findings"];
        assert_eq!(findings[0]["verdict"], "refused", "{report}");
        assert_eq!(out.status.code(), Some(2));
        Ok(())
    });
}
