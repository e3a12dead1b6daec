use crate::*;
use proptest::prelude::*;

#[test]
fn paths_have_one_normal_form() {
    let check = |path: &str, normal: Option<&str>| {
        assert_eq!(normalise_path(path).as_deref(), normal, "{path}");
    };
    check("/", Some("/"));
    check("/a/b", Some("/a/b"));
    check("/a/../b", Some("/b"));
    check("/a/..", Some("/"));
    check("/a/b/..", Some("/a/"));
    check("/./a/.", Some("/a/"));
    check("//a///b//", Some("/a/b/"));
    check("/%2e%2e/a", None);
    check("/a/%2E%2e/b", Some("/b"));
    check("/a%2fb", Some("/a%2Fb"));
    check("/%61", Some("/a"));
    check("/..", None);
    check("/%0", None);
    check("/%zz", None);
    check("/%+1", None);
    check("/%00", None);
    check("a", None);
    check("/.hidden/..name", Some("/.hidden/..name"));
}

#[test]
fn prefixes_match_whole_elements() {
    let check = |prefix: &str, path: &str, expect: bool| {
        let prefix = PathMatch::prefix(prefix).unwrap();
        assert_eq!(prefix.matches(path), expect, "{prefix:?} {path}");
    };
    check("/", "/anything", true);
    check("/foo", "/foo", true);
    check("/foo", "/foo/", true);
    check("/foo/", "/foo", true);
    check("/foo/", "/foo/bar", true);
    check("/foo", "/foobar", false);
    check("/aaa/bb", "/aaa/bbb", false);
    check("/aaa/bbb", "/aaa/bbb/ccc", true);
    check("/Foo", "/foo", false);
}

#[test]
fn hosts_are_checked_when_read() {
    let ok = |text: &str, expect: &str| {
        assert_eq!(HostPattern::parse(text).unwrap().to_string(), expect);
    };
    ok("", "*");
    ok("*", "*");
    ok("Shop.Example.COM", "shop.example.com");
    ok("*.example.com", "*.example.com");
    for bad in [
        "*.",
        "a.*.b",
        "..",
        "10.0.0.1",
        "::1",
        "a.",
        "-a.b",
        "a-.b",
        "a_b.c",
        "*a.b",
        "b\u{fc}cher.de",
    ] {
        assert!(HostPattern::parse(bad).is_err(), "{bad}");
    }
    assert!(HostPattern::parse(&"a.".repeat(130)).is_err());
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let wildcard = HostPattern::parse("*.foo.com").unwrap();
    assert!(wildcard.matches("bar.foo.com"));
    assert!(!wildcard.matches("baz.bar.foo.com"));
    assert!(!wildcard.matches("foo.com"));
    assert!(!wildcard.matches(".foo.com"));
}

#[test]
fn names_are_checked_when_read() {
    assert!(ClusterName::new("az1").is_ok());
    for bad in ["", "Az1", "a.b", "-a", "a-", "a b"] {
        assert!(ClusterName::new(bad).is_err(), "{bad}");
    }
    assert!(ClusterName::new("a".repeat(64)).is_err());
    assert_eq!(
        BackendId::new("shop", "web", "80").unwrap().as_str(),
        "shop/web:80"
    );
    assert!(CertificateId::new("shop/web-tls").is_ok());
    assert!(CertificateId::new("").is_err() && CertificateId::new("a b").is_err());
    for bad in [
        ("", "a", "1"),
        ("a", "", "1"),
        ("a", "b", ""),
        ("a/b", "c", "1"),
        ("a", "b", "x:1"),
    ] {
        assert!(BackendId::new(bad.0, bad.1, bad.2).is_err(), "{bad:?}");
    }
}

fn served() -> Snapshot {
    let id = BackendId::new("shop", "web", "80").unwrap();
    let mut snapshot = Snapshot::empty(Generation(7));
    snapshot
        .backends
        .insert(id.clone(), Backend::default().into());
    snapshot.hosts.insert(
        HostPattern::parse("shop.example.com").unwrap(),
        vec![Route {
            headers: vec![FieldMatch {
                name: "x-dc".to_owned(),
                value: ValueMatch::AnyOf(vec!["standby".to_owned()]),
            }],
            ..Route::new(
                RouteId("shop/web#0.0".to_owned()),
                PathMatch::prefix("/").unwrap(),
                Action::Forward(Forward {
                    backend: id,
                    placement: RoutePlacement::Pinned(ClusterName::new("az2").unwrap()),
                    fallback: None,
                }),
            )
        }]
        .into(),
    );
    let certificate = CertificateId::new("shop/web-tls").unwrap();
    let host = HostPattern::parse("*.example.com").unwrap();
    snapshot.tls.insert(host, certificate.clone());
    let pair = Certificate {
        chain: "chain".to_owned(),
        key: PrivateKey("secret".to_owned()),
    };
    snapshot.certificates.insert(certificate, pair.into());
    snapshot
}

#[test]
fn a_private_key_is_not_shown() {
    let shown = format!("{:?}", served());
    assert!(shown.contains("shop/web-tls") && !shown.contains("secret"));
}

#[test]
fn a_snapshot_survives_its_written_form() {
    let snapshot = served();
    snapshot.validate().unwrap();
    let text = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
}

#[test]
fn a_snapshot_that_cannot_be_served_names_the_field() {
    let check = |change: &dyn Fn(&mut Snapshot), expect: &str| {
        let served = served();
        let mut snapshot = served.clone();
        change(&mut snapshot);
        let error = snapshot.validate().unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
        // Also where all but the mistake is shared with a snapshot that is known to be good.
        assert_eq!(snapshot.validate_since(&served), Err(error));
    };
    check(&|s| s.format = SNAPSHOT_FORMAT + 1, "format 2");
    check(&|s| s.backends.clear(), "there is no backend shop/web:80");
    check(
        &|s| s.certificates.clear(),
        "tls[*.example.com]: there is no certificate shop/web-tls",
    );
    check(
        &|s| s.settings.timeouts.connect = std::time::Duration::ZERO,
        "settings.timeouts.connect",
    );
    check(
        &|s| {
            let (key, mut b) = s.backends.get_min().unwrap().clone();
            b.health.active.timeout = std::time::Duration::from_secs(9);
            s.backends.insert(key, b);
        },
        "backends[shop/web:80].health.active.timeout",
    );
    check(
        &|s| {
            let member = TierMember {
                cluster: ClusterName::new("az1").unwrap(),
                weight: Weight::default(),
            };
            let (key, mut b) = s.backends.get_min().unwrap().clone();
            let tier = Tier {
                clusters: vec![member],
            };
            b.placement.tiers = vec![tier; 2];
            s.backends.insert(key, b);
        },
        "cluster az1 stands in more than one place",
    );
}

proptest! {
    #[test]
    fn the_normal_form_is_stable(path in "/[a-c./%2eEfF]{0,24}") {
        if let Some(once) = normalise_path(&path) {
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.contains("//"));
            prop_assert!(!once.split('/').any(|e| e == ".." || e == "."));
            let twice = normalise_path(&once).unwrap();
            prop_assert_eq!(&*twice, &*once);
        }
    }

    #[test]
    fn any_text_is_a_host_or_refused(text in ".{0,40}") {
        if let Ok(pattern) = HostPattern::parse(&text) {
            prop_assert_eq!(HostPattern::parse(&pattern.to_string()).unwrap(), pattern);
        }
    }

    /// A map and one that comes from it by some changes, then one that does not: the walk finds what a look at every
    /// key finds.
    #[test]
    fn differences_are_all_there_are(
        before in prop::collection::vec((0u16..600, 0u8..3), 0..400),
        edits in prop::collection::vec((0u16..600, prop::option::of(0u8..3)), 0..40),
    ) {
        let before: SharedMap<u16, u8> = before.into_iter().collect();
        let mut after = before.clone();
        for (key, value) in edits {
            match value {
                Some(value) => after.insert(key, value),
                None => after.remove(&key),
            };
        }
        let unrelated: SharedMap<u16, u8> = after.iter().map(|(key, value)| (*key, *value)).collect();
        for now in [&after, &unrelated] {
            let mut expect = Vec::new();
            for key in 0..600 {
                if before.get(&key) != now.get(&key) {
                    expect.push((key, now.get(&key).copied()));
                }
            }
            let found = differences(Some(&before), now);
            let found: Vec<_> = found.into_iter().map(|(key, value)| (*key, value.copied())).collect();
            prop_assert_eq!(found, expect);
        }
    }
}
