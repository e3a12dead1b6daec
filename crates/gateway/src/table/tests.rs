use super::*;
use crate::health::HealthTable;
use proptest::prelude::*;
use tidegate_model::{Action, ClusterName, Forward, HostPattern, RoutePlacement};
use tidegate_model::{Backend, Endpoint, FieldMatch, PathMatch, Route, RouteId, ValueMatch};

impl HeaderLookup for &[(&str, &str)] {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value.as_bytes())
    }
}

/// `/a` is a prefix, `=/a` exact, `^/a` a prefix in any case, `^=/a` exact in any case, `~/a` a regular expression, `/a?h=v` needs the header `h: v`; the action is `Respond`, the id tells
/// routes apart.
fn rule(text: &str) -> Route {
    let (path, header) = text.split_once('?').unwrap_or((text, ""));
    let (path, ignore_case) = path.strip_prefix('^').map_or((path, false), |p| (p, true));
    let path = match (path.strip_prefix('='), path.strip_prefix('~')) {
        (Some(exact), _) => PathMatch::exact(exact).unwrap(),
        (None, Some(regex)) => PathMatch::regex(regex).unwrap(),
        (None, None) => PathMatch::prefix(path).unwrap(),
    };
    let headers = header
        .split_once('=')
        .map(|(name, value)| equals(name, value));
    Route {
        ignore_case,
        headers: headers.into_iter().collect(),
        ..Route::new(RouteId(text.to_owned()), path, Action::Respond(204))
    }
}

fn equals(name: &str, value: &str) -> FieldMatch {
    FieldMatch {
        name: name.to_owned(),
        value: ValueMatch::AnyOf(vec![value.to_owned()]),
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
        authority: b"",
        scheme: "http",
        path,
        method: b"GET",
        query: b"",
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
    for (host, _) in snapshot.hosts.clone() {
        for route in &mut snapshot.hosts[&host] {
            route.action = Action::Forward(Forward {
                backend: id.clone(),
                placement: RoutePlacement::Policy,
                fallback: None,
            });
        }
    }
    snapshot.backends.insert(id, backend.into());
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

#[test]
fn method_query_and_cookies_decide_as_headers_do() {
    let mut snapshot = Snapshot::empty(Generation(1));
    let rule = |id: &str, change: fn(&mut Route)| {
        let path = PathMatch::prefix("/").unwrap();
        let mut route = Route::new(RouteId(id.to_owned()), path, Action::Respond(204));
        change(&mut route);
        route
    };
    let regex = |name: &str, source: &str| FieldMatch {
        name: name.to_owned(),
        value: ValueMatch::Regex(tidegate_model::Pattern::new(source).unwrap()),
    };
    let mut numbered = rule("query", |_| {});
    numbered.query = vec![regex("n", "^[0-9]+$")];
    let routes = vec![
        rule("plain", |_| {}),
        rule("post", |r| {
            r.methods = vec!["POST".to_owned(), "PUT".to_owned()]
        }),
        numbered,
        rule("cookie", |r| r.cookies = vec![equals("stage", "beta")]),
        rule("two", |r| {
            r.query = vec![equals("a b", "1 2")];
            r.cookies = vec![equals("stage", "beta")];
        }),
    ];
    snapshot.hosts.insert(HostPattern::Any, routes.into());
    let table = Table::compile(&Arc::new(snapshot), None, &HealthTable::new()).0;
    let check = |method: &str, query: &str, cookies: &str, expect: &str| {
        let headers: &[(&str, &str)] = &[("cookie", cookies)];
        let head = RequestHead {
            host: "a",
            authority: b"",
            scheme: "http",
            path: "/x",
            method: method.as_bytes(),
            query: query.as_bytes(),
            headers: &headers,
        };
        let entry = route(&table, &head).unwrap();
        assert_eq!(entry.id.0, expect, "{method} {query} {cookies}");
    };
    check("GET", "", "", "plain");
    check("PUT", "", "", "post");
    check("put", "", "", "plain");
    check("GET", "?n=12", "", "query");
    check("GET", "?m=1&n=1%32&n=x", "", "query");
    check("GET", "?n=1x", "", "plain");
    check("GET", "?n", "", "plain");
    check("GET", "", "a=1; stage=beta", "cookie");
    check("GET", "", "stage=beta2", "plain");
    check("GET", "", "xstage=beta", "plain");
    check("GET", "?a+b=1%202", "stage=beta;x", "two");
    check("GET", "?a%2", "", "plain");
}

#[test]
fn a_route_that_ignores_case_comes_after_its_like_that_minds_it() {
    let table = compiled(&[(
        "a.example.com",
        &[
            "/",
            "/shop",
            "^/Shop/CART",
            "^/shop",
            "^=/Shop/Exact",
            "=/shop/EXACT",
            "/shop/cart/x",
            "~/rx",
            "^/rx/deep",
        ],
    )]);
    let check = |path: &str, expect: &str| {
        assert_eq!(
            found(&table, "a.example.com", path, &[]),
            Some(expect),
            "{path}"
        );
    };
    check("/shop", "/shop");
    check("/SHOP", "^/shop");
    check("/SHOP/other", "^/shop");
    check("/shop/cart", "^/Shop/CART");
    check("/shop/cArT/y", "^/Shop/CART");
    check("/shop/cart/x", "/shop/cart/x");
    check("/shop/cart/X", "^/Shop/CART");
    check("/shop/EXACT", "=/shop/EXACT");
    check("/shop/exact", "^=/Shop/Exact");
    check("/shop/exact/", "/shop");
    check("/shops", "/");
    // Regular expressions go before prefixes.
    check("/rx/deep", "~/rx");
    check("/RX/deep", "^/rx/deep");
}

#[test]
fn pseudo_headers_are_those_of_any_version() {
    let mut snapshot = Snapshot::empty(Generation(1));
    let conditional = |id: &str, name: &str, value: ValueMatch| {
        let mut route = rule("/");
        route.id = RouteId(id.to_owned());
        let name = name.to_owned();
        route.pseudo_headers = vec![FieldMatch { name, value }];
        route
    };
    let regex = |text: &str| ValueMatch::Regex(tidegate_model::Pattern::new(text).unwrap());
    let routes = vec![
        conditional("path", "path", ValueMatch::Prefix("/x?a=".to_owned())),
        conditional("whole", "path", ValueMatch::AnyOf(vec!["/only".to_owned()])),
        conditional("method", "method", regex("^(PUT|POST)$")),
        conditional(
            "authority",
            "authority",
            ValueMatch::AnyOf(vec!["a:81".to_owned()]),
        ),
        conditional(
            "scheme",
            "scheme",
            ValueMatch::AnyOf(vec!["https".to_owned()]),
        ),
        rule("/"),
    ];
    snapshot.hosts.insert(HostPattern::Any, routes.into());
    assert_eq!(snapshot.validate(), Ok(()));
    let table = Table::compile(&Arc::new(snapshot), None, &HealthTable::new()).0;
    let check =
        |method: &str, authority: &str, scheme: &str, target: (&str, &str), expect: &str| {
            let headers: &[(&str, &str)] = &[];
            let head = RequestHead {
                host: "a",
                authority: authority.as_bytes(),
                scheme,
                path: target.0,
                method: method.as_bytes(),
                query: target.1.as_bytes(),
                headers: &headers,
            };
            let entry = route(&table, &head).unwrap();
            assert_eq!(
                entry.id.0, expect,
                "{method} {scheme} {authority} {target:?}"
            );
        };
    check("GET", "a", "http", ("/x", "?a=1"), "path");
    check("GET", "a", "http", ("/x", "?b=1"), "/");
    check("GET", "a", "http", ("/only", ""), "whole");
    check("GET", "a", "http", ("/only", "?"), "/");
    check("POST", "a", "http", ("/x", ""), "method");
    check("POSTED", "a", "http", ("/x", ""), "/");
    check("GET", "a:81", "http", ("/x", ""), "authority");
    check("GET", "a", "https", ("/x", ""), "scheme");
}

#[test]
fn a_pseudo_header_that_no_request_has_is_refused() {
    let mut route = rule("/");
    let value = ValueMatch::Prefix("x".to_owned());
    route.pseudo_headers = vec![FieldMatch {
        name: "status".to_owned(),
        value,
    }];
    let mut snapshot = Snapshot::empty(Generation(1));
    snapshot.hosts.insert(HostPattern::Any, vec![route].into());
    let text = snapshot.validate().unwrap_err().to_string();
    assert!(
        text.contains("pseudo_headers: \"status\" is none of authority"),
        "{text}"
    );
    let mut route = rule("~/a");
    route.ignore_case = true;
    snapshot.hosts.insert(HostPattern::Any, vec![route].into());
    let text = snapshot.validate().unwrap_err().to_string();
    assert!(text.contains("ignore_case"), "{text}");
}

#[test]
fn shares_of_a_split_follow_the_weights() {
    let mut snapshot = Snapshot::empty(Generation(1));
    let share = |name: &str, weight| {
        let backend = BackendId::new("shop", name, "80").unwrap();
        let placement = RoutePlacement::Policy;
        let forward = Forward {
            backend,
            placement,
            fallback: None,
        };
        tidegate_model::Share { weight, forward }
    };
    let shares = vec![share("none", 0), share("most", 9), share("some", 1)];
    for share in &shares {
        snapshot
            .backends
            .insert(share.forward.backend.clone(), Backend::default().into());
    }
    let path = PathMatch::prefix("/").unwrap();
    let split = Route::new(RouteId("split".to_owned()), path, Action::Split(shares));
    snapshot.hosts.insert(HostPattern::Any, vec![split].into());
    assert_eq!(snapshot.validate(), Ok(()));
    let table = Table::compile(&Arc::new(snapshot), None, &HealthTable::new()).0;
    let headers: &[(&str, &str)] = &[];
    let head = RequestHead {
        host: "a",
        authority: b"",
        scheme: "http",
        path: "/",
        method: b"GET",
        query: b"",
        headers: &headers,
    };
    let RouteAction::Split(split) = &route(&table, &head).unwrap().action else {
        panic!("it is a split");
    };
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    for i in 0..1000_u64 {
        let forward = split
            .choose(i * (u64::MAX / 1000) + u64::MAX / 2000)
            .unwrap();
        *counts
            .entry(forward.backend.health().id().to_string())
            .or_default() += 1;
    }
    let expect = [
        ("shop/most:80".to_owned(), 900),
        ("shop/some:80".to_owned(), 100),
    ];
    assert_eq!(counts, expect.into());
    assert!(split.choose(u64::MAX).is_some());
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
        let text = r.path.as_str();
        let (kind, length) = match r.path {
            PathMatch::Exact(_) => (2, 0),
            PathMatch::Regex(_) => (1, text.len()),
            // `/` is shorter than any other prefix, which begins with it.
            PathMatch::Prefix(_) => (0, text.trim_end_matches('/').len()),
        };
        std::cmp::Reverse((kind, length, r.headers.len()))
    };
    // The first of equals, as min_by_key takes it.
    matching.min_by_key(rank)
}

proptest! {
    #[test]
    fn the_tree_agrees_with_a_search_of_all_routes(
        rules in proptest::collection::vec((path(), 0..3_usize, any::<bool>()), 0..12),
        asked in path(),
        header in any::<bool>(),
    ) {
        let texts: Vec<String> = rules
            .iter()
            .map(|(path, kind, header)| {
                let sign = ["", "=", "~"][*kind];
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
