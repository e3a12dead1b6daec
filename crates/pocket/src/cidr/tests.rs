use proptest::prelude::*;

use super::*;

fn cidr(text: &str) -> PodCidr {
    text.parse().expect(text)
}

#[test]
fn parses_loopback_networks_only() {
    for good in ["127.77.0.0/16", "127.1.2.0/24", "127.0.16.0/20"] {
        assert_eq!(cidr(good).to_string(), good);
    }
    for bad in [
        "",
        "127.1.0.0",
        "10.0.0.0/16",
        "127.0.0.0/8",
        "127.1.0.0/25",
        "127.1.0.1/16",
        "x/16",
        "127.1.0.0/x",
    ] {
        let error = bad.parse::<PodCidr>().expect_err(bad);
        assert!(error.to_string().starts_with("--pod-cidr "), "{error}");
    }
}

#[test]
fn a_small_network_gives_every_address_once_and_then_none() {
    let cidr = cidr("127.9.9.0/24");
    let mut used = BTreeSet::new();
    let mut pool = AddressPool::new(cidr, &used);
    while let Some(ip) = pool.allocate(&used) {
        assert!(used.insert(ip));
    }
    // 256 less .0, .255 and the node's .1.
    assert_eq!(used.len(), 253);
}

#[test]
fn a_freed_address_is_not_the_next_one_given() {
    let cidr = cidr("127.9.0.0/16");
    let mut used = BTreeSet::new();
    let mut pool = AddressPool::new(cidr, &used);
    let first = pool.allocate(&used).expect("address");
    used.insert(first);
    used.remove(&first);
    assert_ne!(pool.allocate(&used), Some(first));
}

#[tokio::test]
async fn a_claim_excludes_a_second_one_and_is_remembered() {
    let dir = tempfile::tempdir().expect("tempdir");
    let other = tempfile::tempdir().expect("tempdir");
    let first = claim("claim-test", None, dir.path()).expect("claim");
    let second = claim("claim-test", None, other.path()).expect("another network");
    assert_ne!(first.cidr, second.cidr);
    assert!(matches!(
        claim("x", Some(first.cidr), other.path()),
        Err(CidrError::Taken { .. })
    ));
    let chosen = first.cidr;
    drop(first);
    assert_eq!(
        claim("renamed", None, dir.path()).expect("again").cidr,
        chosen
    );
}

#[test]
fn a_damaged_memory_is_reported_with_its_file() {
    let dir = tempfile::tempdir().expect("tempdir");
    std::fs::write(dir.path().join("pod-cidr"), "nonsense").expect("write");
    let error = claim("x", None, dir.path()).expect_err("refused");
    assert!(matches!(error, CidrError::Remembered { .. }), "{error}");
}

proptest! {
    #[test]
    fn addresses_are_inside_unused_and_usable(octet in 16u8..=254, prefix in 16u8..=24, taken in proptest::collection::btree_set(0u32..65536, 0..100)) {
        let cidr = cidr(&format!("127.{octet}.0.0/{prefix}"));
        let used: BTreeSet<Ipv4Addr> = taken.into_iter().map(|n| Ipv4Addr::from(127 << 24 | u32::from(octet) << 16 | n)).collect();
        let mut pool = AddressPool::new(cidr, &used);
        if let Some(ip) = pool.allocate(&used) {
            prop_assert!(cidr.is_pod_ip(ip) && !used.contains(&ip) && ip != cidr.node_ip());
        }
    }
}
