//! Tables as people see them.

use super::age::span;
use super::custom::lookup;
use super::*;
use crate::registry::Registry;

fn shown(plural: (&str, &str, &str), object: Value) -> Vec<String> {
    let registry = Registry::new();
    let catalog = registry.catalog();
    let kind = catalog
        .find(plural.0, plural.1, plural.2)
        .expect("built in");
    let table = table(kind, &[&object], IncludeObject::None, &json!({}));
    let columns = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .len();
    let cells = table["rows"][0]["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), columns);
    cells
        .iter()
        .map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned))
        .collect()
}

#[test]
fn ages_lose_precision_as_they_grow() {
    let cases = [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (49 * 3600, "2d1h"),
        (10 * 86_400, "10d"),
        (729 * 86_400, "729d"),
        (730 * 86_400, "2y"),
        (731 * 86_400, "2y1d"),
        (9 * 365 * 86_400, "9y"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(span(seconds), expected, "{seconds} s");
    }
}

#[test]
fn a_pod_shows_why_it_does_not_run() {
    let pod = |status: Value| {
        json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
            "status": status,
        })
    };
    let status = |pod| shown(("", "v1", "pods"), pod)[1..4].to_vec();
    assert_eq!(
        status(pod(json!({"phase": "Pending"}))),
        ["0/2", "Pending", "0"]
    );
    let crashing = json!({"phase": "Running", "containerStatuses": [
        {"ready": true, "restartCount": 0, "state": {"running": {}}},
        {"ready": false, "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
    ]});
    assert_eq!(status(pod(crashing)), ["1/2", "CrashLoopBackOff", "4"]);
    let mut leaving = pod(json!({"phase": "Running"}));
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(status(leaving), ["0/2", "Terminating", "0"]);
    let ended = json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]});
    assert_eq!(status(pod(ended)), ["0/2", "ExitCode:3", "0"]);
}

#[test]
fn an_ingress_shows_where_it_is_reached() {
    let ingress = json!({
        "metadata": {"name": "i"},
        "spec": {"ingressClassName": "tidegate", "rules": [
            {"host": "a.example"}, {"host": "b.example"}, {"host": "c.example"}, {"host": "d.example"},
        ]},
        "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.9"}]}},
    });
    let row = shown(("networking.k8s.io", "v1", "ingresses"), ingress);
    assert_eq!(
        row[1..5],
        [
            "tidegate",
            "a.example,b.example,c.example + 1 more...",
            "127.0.0.9",
            "80"
        ]
    );
}

#[test]
fn every_kind_has_a_table() {
    let registry = Registry::new();
    let catalog = registry.catalog();
    let empty = json!({"metadata": {"name": "x"}});
    for (group, versions) in catalog.groups() {
        for (version, kinds) in versions {
            for kind in kinds {
                shown((group, version, &kind.plural), empty.clone());
            }
        }
    }
}

#[test]
fn json_paths_of_printer_columns() {
    let object = json!({
        "spec": {"hosts": ["a", "b"], "a.b": 1},
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}]},
    });
    let cases: [(&str, &[Value]); 9] = [
        (".spec.hosts[0]", &[json!("a")]),
        (".spec.hosts[-1]", &[json!("b")]),
        (".spec.hosts[*]", &[json!("a"), json!("b")]),
        (".spec['a.b']", &[json!(1)]),
        (".spec.a\\.b", &[json!(1)]),
        (
            ".status.conditions[?(@.type==\"Ready\")].status",
            &[json!("True")],
        ),
        (
            ".status.conditions[?(@.type!='Ready')].status",
            &[json!("False")],
        ),
        (".spec.nothing.here", &[]),
        ("spec[", &[]),
    ];
    for (path, expected) in cases {
        let found: Vec<Value> = lookup(&object, path).into_iter().cloned().collect();
        assert_eq!(found, expected, "{path}");
    }
}
