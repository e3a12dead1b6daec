use super::*;

const GOOD: &str = r#"
settings:
  timeouts: { connect: 250ms, first_byte: 1m 30s }
hosts:
  shop.example.com:
  - path: { prefix: / }
    headers: [{ name: x-dc, any_of: [standby] }]
    action: { forward: { backend: "shop/shop:80", placement: { pinned: az2 } } }
  - id: main
    path: { prefix: / }
    action: { forward: { backend: "shop/shop:80" } }
  "*.example.com":
  - path: { exact: /healthz }
    action: { respond: 204 }
backends:
  "shop/shop:80":
    placement:
      tiers:
      - clusters: [{ cluster: az1 }]
      - clusters: [{ cluster: az2, weight: { explicit: 3 } }]
    health:
      active: { probe: { http: { path: /healthz } }, interval: 2s, timeout: 1s }
    clusters:
      az1: [{ address: "10.1.0.5:8080" }]
      az2: [{ address: "[fd00::5]:8080" }]
"#;

fn parsed(text: &str) -> Result<Snapshot, ConfigError> {
    parse(Path::new("gw.yaml"), text, Generation(7), &mut Vec::new())
}

#[test]
fn ten_thousand_hosts_are_not_too_many() {
    let mut text = "hosts:\n".to_owned();
    let mut backends = "backends:\n".to_owned();
    for n in 0..10_000 {
        text += &format!(
            "  h{n}.example.com: [{{ path: {{ prefix: / }}, action: {{ forward: {{ backend: \"shop/s{n}:80\" }} }} }}]\n"
        );
        backends += &format!(
            "  \"shop/s{n}:80\": {{ clusters: {{ az1: [{{ address: \"10.0.0.1:80\" }}], az2: [{{ address: \"10.0.0.2:80\" }}] }} }}\n"
        );
    }
    let snapshot = parsed(&(text + &backends)).unwrap();
    assert_eq!(
        (snapshot.hosts.len(), snapshot.backends.len()),
        (10_000, 10_000)
    );
}

#[test]
fn a_file_is_a_snapshot() {
    let snapshot = parsed(GOOD).unwrap();
    assert_eq!(snapshot.generation, Generation(7));
    assert_eq!(snapshot.settings.timeouts.connect.as_millis(), 250);
    assert_eq!(snapshot.settings.timeouts.first_byte.as_secs(), 90);
    // What is left out keeps its default.
    assert_eq!(snapshot.settings.timeouts.drain.as_secs(), 30);
    let shop = &snapshot.hosts[&HostPattern::parse("shop.example.com").unwrap()];
    let ids: Vec<&str> = shop.iter().map(|route| route.id.0.as_str()).collect();
    assert_eq!(ids, ["shop.example.com#0", "main"]);
    let backend = snapshot.backends.values().next().unwrap();
    assert_eq!(backend.health.active.unhealthy_threshold, 2);
}

#[test]
fn an_empty_file_serves_nothing() {
    for text in ["", "# nothing yet\n", "{}"] {
        assert_eq!(parsed(text).unwrap(), Snapshot::empty(Generation(7)));
    }
}

#[test]
fn a_mistake_is_named_with_its_line_and_field() {
    let check = |from: &str, to: &str, expect: &[&str]| {
        assert!(GOOD.contains(from), "{from}");
        let error = parsed(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        for part in expect {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    };
    check(
        "hosts:",
        "hsots:",
        &["gw.yaml:4:", "unknown field", "hsots"],
    );
    check(
        "connect: 250ms",
        "connect: fast",
        &["gw.yaml:3:", "duration", "column 24"],
    );
    check(
        "connect: 250ms",
        "connect: 0s",
        &["gw.yaml:3: settings.timeouts.connect: it must be longer than zero"],
    );
    check(
        "prefix: /",
        "prefix: shop",
        &["gw.yaml:6:", "must begin with '/'"],
    );
    check(
        "shop.example.com:",
        "shop..example.com:",
        &["gw.yaml:5:", "shop..example.com"],
    );
    check(
        "backend: \"shop/shop:80\", placement",
        "backend: \"shop/web:80\", placement",
        &[
            "gw.yaml:8: hosts[shop.example.com] route shop.example.com#0 action.forward: there is no backend shop/web:80",
        ],
    );
    check(
        "respond: 204",
        "respond: 42",
        &["gw.yaml:14:", "42 is not a final status"],
    );
    check(
        "interval: 2s",
        "interval: 500ms",
        &[
            "gw.yaml:22: backends[shop/shop:80].health.active.timeout: it must be longer than zero and at most the interval",
        ],
    );
    check(
        "cluster: az2",
        "cluster: az1",
        &[
            "gw.yaml:18: backends[shop/shop:80].placement.tiers: cluster az1 stands in more than one place",
        ],
    );
    check("10.1.0.5:8080", "10.1.0.5", &["gw.yaml:24:"]);
    check(
        "- id: main",
        "- id: main\n    id: other",
        &["gw.yaml:10:", "duplicate"],
    );
    check("az1: [", "az1: ][", &["gw.yaml:24:"]);
}

#[test]
fn a_certificate_is_text_or_a_file_and_fits_its_key() {
    let pair = rcgen::generate_simple_self_signed(["a.example.com".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gw.yaml");
    std::fs::write(dir.path().join("tls.crt"), pair.cert.pem()).unwrap();
    std::fs::write(dir.path().join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
    let with = |source: &str| {
        let text = format!("tls: {{ '*': a }}\ncertificates:\n  a: {{ {source} }}\n");
        std::fs::write(&config, text).unwrap();
        read(&config, Generation(1))
    };
    let good = with("chain_file: tls.crt, key_file: tls.key").unwrap();
    assert_eq!(
        good.certificates.values().next().unwrap().chain,
        pair.cert.pem()
    );
    let check = |source: &str, expect: &str| {
        let error = with(source).unwrap_err().to_string();
        assert!(error.contains(expect), "{expect:?} is not in {error:?}");
        assert!(error.contains("gw.yaml:3: certificates[a]"), "{error}");
    };
    check("chain_file: tls.crt", ".key: it is missing");
    check(
        "chain_file: tls.crt, key_file: no.key",
        "no.key: No such file",
    );
    check(
        "chain: x, chain_file: tls.crt, key_file: tls.key",
        "not both",
    );
    check("chain: x, key_file: tls.key", "holds no certificate");
    let other = rcgen::generate_simple_self_signed(["b".to_owned()]).unwrap();
    std::fs::write(
        dir.path().join("tls.key"),
        other.signing_key.serialize_pem(),
    )
    .unwrap();
    check(
        "chain_file: tls.crt, key_file: tls.key",
        "does not serve the certificate",
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read(Path::new("/nonexistent/gw.yaml"), Generation(1)).unwrap_err();
    assert!(
        error.to_string().starts_with("/nonexistent/gw.yaml: "),
        "{error}"
    );
}
