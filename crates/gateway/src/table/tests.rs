use super::*;
use crate::health::HealthTable;
use proptest::prelude::*;
use tidegate_model::{Action, ClusterName, Forward, HostPattern, RoutePlacement};
use tidegate_model::{Backend, Endpoint, HeaderMatch, PathMatch, Route, RouteId};

impl HeaderLookup for &[(&str, &str)] {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value.as_bytes())
    }
}

/// `/a` is a prefix, `=/a` exact, `/a?h=v` needs the header `h: v`; the action is `Respond`, the id tells
/// routes apart.
fn rule(text: &str) -> Route {
    let (path, header) = text.split_once('?').unwrap_or((text, ""));
    let path = match path.strip_prefix('=') {
        Some(exact) => PathMatch::exact(exact).unwrap(),
        None => PathMatch::prefix(path).unwrap(),
    };
    let headers = header.split_once('=').map(|(name, value)| HeaderMatch {
        name: name.to_owned(),
        any_of: vec![value.to_owned()],
    });
    Route {
        id: RouteId(text.to_owned()),
        path,
        headers: headers.into_iter().collect(),
        action: Action::Respond(204),
    }
}

fn compiled(hosts: &[(&str, &[&str])]) -> Table {
    let snapshot = snapshot(hosts);
    Table::compile(&Arc::new(snapshot), None, &HealthTable::new()).0
}

fn snapshot(hosts: &[(&str, &[&str])]) -> Snapshot {
    let mut snapshot = Snapshot::empty(Generation(1));
    for (host, rules) in hosts {
        let rules = rules.iter().map(|text| rule(text)).collect();
        let host = HostPattern::parse(host).unwrap();
        snapshot.hosts.insert(host, rules);
    }
    snapshot
}

fn found<'t>(
    table: &'t Table,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Option<&'t str> {
    let head = RequestHead {
        host,
        path,
        headers: &headers,
    };
    route(table, &head).map(|entry| entry.id.0.as_str())
}

#[test]
fn the_most_specific_route_of_a_host_wins() {
    let table = compiled(&[(
        "a.example.com",
        &[
            "/",
            "/foo",
            "=/foo",
            "/foo/bar",
            "/foo?x=1",
            "=/slash/",
            "/foo/bar/deep",
        ],
    )]);
    let check = |path: &str, headers: &[(&str, &str)], expect: &str| {
        assert_eq!(
            found(&table, "a.example.com", path, headers),
            Some(expect),
            "{path}"
        );
    };
    check("/", &[], "/");
    check("/other", &[], "/");
    check("/foo", &[], "=/foo");
    check("/foo/", &[], "/foo");
    check("/foo/", &[("x", "1")], "/foo?x=1");
    check("/foo/", &[("x", "2")], "/foo");
    check("/foobar", &[], "/");
    check("/foo/bar", &[("x", "1")], "/foo/bar");
    check("/foo/bar/de", &[], "/foo/bar");
    check("/foo/bar/deep/er", &[], "/foo/bar/deep");
    check("/slash/", &[], "=/slash/");
    check("/slash", &[], "/");
}

#[test]
fn the_most_specific_host_decides_and_the_default_catches_the_rest() {
    let table = compiled(&[
        ("*", &["/"]),
        ("*.example.com", &["/wild"]),
        ("a.example.com", &["/own"]),
    ]);
    assert_eq!(found(&table, "a.example.com", "/own", &[]), Some("/own"));
    assert_eq!(found(&table, "b.example.com", "/wild", &[]), Some("/wild"));
    assert_eq!(found(&table, "a.example.com", "/wild", &[]), Some("/"));
    assert_eq!(found(&table, "x.b.example.com", "/wild", &[]), Some("/"));
    assert_eq!(found(&table, "elsewhere", "/", &[]), Some("/"));
    assert_eq!(found(&compiled(&[]), "elsewhere", "/", &[]), None);
}

fn with_backend(mut snapshot: Snapshot, ports: &[u16]) -> Snapshot {
    let id = BackendId::new("shop", "web", "80").unwrap();
    let endpoints = ports.iter().map(|port| Endpoint {
        address: ([127, 0, 0, 1], *port).into(),
    });
    let backend = Backend {
        clusters: [(ClusterName::new("az1").unwrap(), endpoints.collect())].into(),
        ..Backend::default()
    };
    for routes in snapshot.hosts.values_mut() {
        for route in routes {
            route.action = Action::Forward(Forward {
                backend: id.clone(),
                placement: RoutePlacement::Policy,
                fallback: None,
            });
        }
    }
    snapshot.backends.insert(id, backend);
    snapshot
}

fn host_routes<'t>(table: &'t Table, host: &str) -> &'t Arc<HostRoutes> {
    &table.hosts.exact[host]
}

#[test]
fn an_endpoint_change_compiles_no_route_and_reaches_old_tables() {
    let health = HealthTable::new();
    let hosts: &[(&str, &[&str])] = &[("a.example.com", &["/"]), ("b.example.com", &["/"])];
    let old = Arc::new(with_backend(snapshot(hosts), &[1]));
    let new = Arc::new(with_backend(snapshot(hosts), &[1, 2]));
    let before = Table::compile(&old, None, &health).0;
    let kept = before.backends().next().unwrap().health().endpoints()[0].id();
    let after = Table::compile(&new, Some(&before), &health).0;
    assert!(Arc::ptr_eq(
        host_routes(&before, "a.example.com"),
        host_routes(&after, "a.example.com")
    ));
    let endpoints = before.backends().next().unwrap().health().endpoints();
    assert_eq!(endpoints.len(), 2);
    assert_eq!(endpoints[0].id(), kept);
}

#[test]
fn a_route_change_compiles_its_host_only() {
    let health = HealthTable::new();
    let old = Arc::new(snapshot(&[
        ("a.example.com", &["/"]),
        ("b.example.com", &["/"]),
    ]));
    let new = Arc::new(snapshot(&[
        ("a.example.com", &["/"]),
        ("b.example.com", &["/x"]),
    ]));
    let before = Table::compile(&old, None, &health).0;
    let after = Table::compile(&new, Some(&before), &health).0;
    let same = |host| Arc::ptr_eq(host_routes(&before, host), host_routes(&after, host));
    assert!(same("a.example.com"));
    assert!(!same("b.example.com"));
}

fn path() -> impl Strategy<Value = String> {
    let element = proptest::sample::select(vec!["a", "b", "ab", "c"]);
    (proptest::collection::vec(element, 0..4), any::<bool>()).prop_map(|(elements, slash)| {
        let path: String = elements.iter().map(|e| format!("/{e}")).collect();
        if slash || path.is_empty() {
            path + "/"
        } else {
            path
        }
    })
}

/// The rule of the model, by looking at every route.
fn by_hand<'r>(rules: &'r [Route], path: &str, header: bool) -> Option<&'r Route> {
    let matching = rules
        .iter()
        .filter(|r| r.path.matches(path) && (header || r.headers.is_empty()));
    let rank = |r: &&Route| {
        let exact = matches!(r.path, PathMatch::Exact(_));
        // `/` is shorter than any other prefix, which begins with it.
        let length = r.path.as_str().trim_end_matches('/').len();
        std::cmp::Reverse((exact, length, r.headers.len()))
    };
    // The first of equals, as min_by_key takes it.
    matching.min_by_key(rank)
}

proptest! {
    #[test]
    fn the_tree_agrees_with_a_search_of_all_routes(
        rules in proptest::collection::vec((path(), any::<bool>(), any::<bool>()), 0..12),
        asked in path(),
        header in any::<bool>(),
    ) {
        let texts: Vec<String> = rules
            .iter()
            .map(|(path, exact, header)| {
                let sign = if *exact { "=" } else { "" };
                let header = if *header { "?x=1" } else { "" };
                format!("{sign}{path}{header}")
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let table = compiled(&[("a.example.com", &texts)]);
        let rules: Vec<Route> = texts.iter().map(|text| rule(text)).collect();
        let headers: &[(&str, &str)] = if header { &[("x", "1")] } else { &[] };
        let expect = by_hand(&rules, &asked, header).map(|r| r.id.0.as_str());
        prop_assert_eq!(found(&table, "a.example.com", &asked, headers), expect);
    }
}
