use super::*;

fn known(name: &str, uid: Option<&str>) -> Cluster {
    serde_json::from_value(json!({
        "apiVersion": "fleet.tidegate.io/v1alpha1", "kind": "Cluster",
        "metadata": { "name": name },
        "spec": { "connection": { "kubeconfigSecretRef": { "namespace": "n", "name": "s" } }, "uid": uid },
    }))
    .unwrap()
}

fn decided(clusters: &[Cluster], name: &str, uid: &str, replace: bool) -> Result<Outcome, String> {
    decide(clusters, name, uid, replace).map_err(|error| error.to_string())
}

#[test]
fn one_cluster_has_one_name() {
    let fleet = [
        known("az1", Some("u1")),
        known("az2", Some("u2")),
        known("manual", None),
    ];
    assert_eq!(decided(&fleet, "az3", "u3", false), Ok(Outcome::Joined));
    assert_eq!(decided(&fleet, "az1", "u1", false), Ok(Outcome::Renewed));
    assert_eq!(decided(&fleet, "az1", "u1", true), Ok(Outcome::Renewed));
    assert_eq!(decided(&fleet, "manual", "u3", false), Ok(Outcome::Renewed));
    assert_eq!(decided(&fleet, "az1", "u3", true), Ok(Outcome::Replaced));
    let other = decided(&fleet, "az1", "u3", false).unwrap_err();
    assert_eq!(
        other,
        "the hub has a Cluster az1 already, and it is another cluster (uid u1, not u3)"
    );
    for (name, replace) in [("az3", false), ("az3", true), ("az1", true), ("az1", false)] {
        let twice = decided(&fleet, name, "u2", replace).unwrap_err();
        assert_eq!(
            twice,
            "this cluster (uid u2) is a member already, as Cluster az2"
        );
    }
}

#[test]
fn names_are_labels() {
    for good in ["a", "az1", "eu-1", "1", &"a".repeat(63)] {
        assert!(is_label(good), "{good}");
    }
    for bad in [
        "",
        "-a",
        "a-",
        "A",
        "a.b",
        "a_b",
        "a b",
        "ä",
        &"a".repeat(64),
    ] {
        assert!(!is_label(bad), "{bad}");
    }
}
