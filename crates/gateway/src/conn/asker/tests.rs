use super::*;
use crate::h1::RequestHead;

const PEER: &str = "10.0.0.1";

/// The asker of a request with these header lines that came from `10.0.0.1` over plain HTTP.
fn asker(trusted: &[&str], headers: &str, check: impl Fn(&Asker<'_>)) {
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let mut head = RequestHead::default();
    assert_eq!(head.parse(text.as_bytes()), Ok(true));
    let trusted: Vec<Cidr> = trusted.iter().map(|range| range.parse().unwrap()).collect();
    let direct = Asker::direct(PEER.parse().unwrap(), PEER, "http");
    check(&direct.behind(&trusted, &head.lines, text.as_bytes()));
}

fn client(trusted: &[&str], headers: &str) -> (String, String) {
    let mut found = None;
    let seen = std::cell::RefCell::new(&mut found);
    asker(trusted, headers, |asker| {
        let chain = String::from_utf8(asker.chain.to_vec()).unwrap();
        **seen.borrow_mut() = Some((asker.address.to_string(), chain));
    });
    found.unwrap()
}

#[test]
fn only_a_trusted_proxy_is_believed() {
    let said = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Request-Id: one\r\n";
    for trusted in [&[][..], &["10.0.0.2", "192.168.0.0/16"][..]] {
        asker(trusted, said, |asker| {
            assert_eq!(asker.address.to_string(), PEER);
            assert_eq!((asker.scheme, &*asker.chain), ("http", PEER.as_bytes()));
            assert_eq!((asker.host, asker.request_id), (None, None));
        });
    }
    asker(&["10.0.0.0/8"], said, |asker| {
        assert_eq!(asker.address.to_string(), "1.1.1.1");
        assert_eq!(
            (asker.scheme, &*asker.chain),
            ("https", &b"1.1.1.1, 10.0.0.1"[..])
        );
        assert_eq!(asker.request_id, Some(&b"one"[..]));
    });
}

#[test]
fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
    let trusted = ["10.0.0.0/8"];
    let cases = [
        // Forged by the client, seen by the outer proxy, seen by the inner one.
        ("X-Forwarded-For: 9.9.9.9, 1.1.1.1, 10.0.0.7\r\n", "1.1.1.1"),
        (
            "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.1.1.1:4711, 10.0.0.7\r\n",
            "1.1.1.1",
        ),
        ("X-Forwarded-For: [2001:db8::1]:80\r\n", "2001:db8::1"),
        ("X-Forwarded-For: 10.0.0.8, 10.0.0.7\r\n", "10.0.0.8"),
        // What cannot be read ends the chain of trust.
        (
            "X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.7\r\n",
            "10.0.0.7",
        ),
        ("X-Forwarded-For: 1.1.1.1,\r\n", PEER),
        ("", PEER),
    ];
    for (headers, expect) in cases {
        assert_eq!(client(&trusted, headers).0, expect, "{headers}");
    }
    assert_eq!(client(&trusted, "").1, PEER);
}

#[test]
fn a_scheme_nobody_knows_and_an_odd_name_are_not_taken_over() {
    let said =
        "X-Forwarded-Proto: gopher\r\nX-Request-Id: a b\r\nX-Forwarded-Host: shop.example.com\r\n";
    asker(&["10.0.0.1"], said, |asker| {
        assert_eq!((asker.scheme, asker.request_id), ("http", None));
        assert_eq!(asker.host, Some(&b"shop.example.com"[..]));
    });
}
