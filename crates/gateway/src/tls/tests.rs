use super::Certificates;
use tidegate_model::{Certificate, CertificateId, Generation, HostPattern, PrivateKey, Snapshot};

fn certificate(name: &str) -> Certificate {
    let pair = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Certificate {
        chain: pair.cert.pem(),
        key: PrivateKey(pair.signing_key.serialize_pem()),
    }
}

fn id(name: &str) -> CertificateId {
    CertificateId::new(name).unwrap()
}

fn snapshot(hosts: &[(&str, &str)]) -> Snapshot {
    let mut snapshot = Snapshot::empty(Generation(1));
    for (host, name) in hosts {
        let host = HostPattern::parse(host).unwrap();
        snapshot.tls.insert(host, id(name));
        snapshot
            .certificates
            .insert(id(name), certificate(name).into());
    }
    snapshot
}

#[test]
fn the_narrowest_name_is_shown() {
    let snapshot = snapshot(&[
        ("a.example.com", "first.a"),
        ("*.example.com", "first.b"),
        ("*", "first.c"),
    ]);
    let all = Certificates::compile(&snapshot, None);
    // Each certificate tells by its text which it is.
    let shown = |name: Option<&str>| {
        let found = all.find(name).unwrap();
        let der = found.cert[0].to_vec();
        let holds = |name: &&&'static str| der.windows(name.len()).any(|w| w == name.as_bytes());
        *["first.a", "first.b", "first.c"]
            .iter()
            .find(holds)
            .unwrap()
    };
    assert_eq!(shown(Some("a.example.com")), "first.a");
    assert_eq!(shown(Some("A.Example.Com")), "first.a");
    assert_eq!(shown(Some("b.example.com")), "first.b");
    // The star stands for one label.
    assert_eq!(shown(Some("x.b.example.com")), "first.c");
    assert_eq!(shown(Some("example.com")), "first.c");
    assert_eq!(shown(None), "first.c");
}

#[test]
fn a_name_without_a_certificate_has_none() {
    let all = Certificates::compile(&snapshot(&[("a.example.com", "a")]), None);
    assert!(all.find(Some("b.example.com")).is_none());
    assert!(all.find(None).is_none());
}

#[test]
fn what_cannot_be_read_is_named_and_changes_no_other() {
    let good = snapshot(&[("a.example.com", "a"), ("b.example.com", "b")]);
    let before = Certificates::compile(&good, None);
    type Spoil = fn(&mut Certificate);
    let broken: [(&str, Spoil); 4] = [
        ("chain: it holds no certificate", |c| c.chain.clear()),
        ("chain: ", |c| {
            c.chain = c.chain.replace("MII", "MIJ");
        }),
        ("key: ", |c| c.key.0.clear()),
        ("key: it does not serve the certificate", |c| {
            c.key = certificate("x").key
        }),
    ];
    for (reason, spoil) in broken {
        let mut bad = good.clone();
        spoil(bad.certificates.get_mut(&id("b")).unwrap());
        // It never was good: nothing to show. It was: that goes on.
        for (previous, shown) in [(None, false), (Some(&before), true)] {
            let after = Certificates::compile(&bad, previous);
            let [unusable] = after.unusable() else {
                panic!("{:?}", after.unusable());
            };
            assert!(unusable.reason.starts_with(reason), "{}", unusable.reason);
            assert_eq!(unusable.id, id("b"));
            assert!(after.find(Some("a.example.com")).is_some());
            assert_eq!(after.find(Some("b.example.com")).is_some(), shown);
        }
    }
}

#[test]
fn an_unchanged_certificate_is_not_read_again() {
    let one = snapshot(&[("a.example.com", "a"), ("b.example.com", "b")]);
    let before = Certificates::compile(&one, None);
    let mut two = one.clone();
    two.certificates.insert(id("b"), certificate("b").into());
    let after = Certificates::compile(&two, Some(&before));
    let same = |name: &str| {
        let found = |all: &Certificates| all.find(Some(name)).unwrap();
        std::sync::Arc::ptr_eq(&found(&before), &found(&after))
    };
    assert!(same("a.example.com") && !same("b.example.com"));
}
