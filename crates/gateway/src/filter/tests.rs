//! Filters without sockets.

use super::*;
use std::time::Duration;
use tidegate_model::{Action, PathMatch, RouteId};

impl HeaderLookup for Vec<(&str, &str)> {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value.as_bytes())
    }
}

/// A route for `path` (`~` for a regular expression, `=` for the whole path) with filters as they are written.
fn route(path: &str, filters: &str) -> Route {
    let path = match (path.strip_prefix('~'), path.strip_prefix('=')) {
        (Some(regex), _) => PathMatch::regex(regex).unwrap(),
        (_, Some(exact)) => PathMatch::exact(exact).unwrap(),
        _ => PathMatch::prefix(path).unwrap(),
    };
    let mut route = Route::new(RouteId("r".to_owned()), path, Action::Respond(204));
    route.filters = serde_saphyr::from_str(filters).unwrap();
    route
}

fn filters(path: &str, text: &str) -> Box<Filters> {
    compiled(&route(path, text), None)
}

fn compiled(route: &Route, before: Option<&Filters>) -> Box<Filters> {
    let compiled = Filters::compile(route, &HashMap::new(), before);
    compiled.unwrap().unwrap()
}

fn facts<'a>(
    method: &'a str,
    headers: &'a Vec<(&'a str, &'a str)>,
) -> Facts<'a, Vec<(&'a str, &'a str)>> {
    Facts {
        client: [192, 0, 2, 1].into(),
        scheme: "http",
        host: b"shop.example.com:8080",
        host_name: b"shop.example.com",
        method: method.as_bytes(),
        path: "/a",
        query: b"?q=1",
        headers,
        length: None,
        proof: Proof::Plain,
    }
}

/// The answer and the lines for a request, whatever the answer is.
fn checked(text: &str, facts: &Facts<'_, Vec<(&str, &str)>>) -> (Option<u16>, String) {
    let (status, lines, _) = asked(&filters("/", text), facts, START, &mut Asked::default());
    (status, lines)
}

/// When the first request comes.
const START: Tick = Tick(1_000_000_000);

/// The answer of the gateway, its lines, and the body that a rule gives it.
fn asked(
    filters: &Filters,
    facts: &Facts<'_, Vec<(&str, &str)>>,
    now: Tick,
    asked: &mut Asked,
) -> (Option<u16>, String, String) {
    asked_one_of(1, filters, facts, now, asked)
}

/// The same of one of several gateways.
fn asked_one_of(
    gateways: u32,
    filters: &Filters,
    facts: &Facts<'_, Vec<(&str, &str)>>,
    now: Tick,
    asked: &mut Asked,
) -> (Option<u16>, String, String) {
    let (mut lines, mut body) = (Vec::new(), Vec::new());
    let own = &mut Own {
        lines: &mut lines,
        body: &mut body,
    };
    let verdict = filters.check(facts, Moment { now, gateways }, asked, own);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status(verdict), text(lines), text(body))
}

/// The status of the gateway's answer, if it gives one.
fn status(verdict: Verdict) -> Option<u16> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Refused(answer) => Some(answer.status()),
        Verdict::Ask(question) => panic!("{question:?}"),
    }
}

#[test]
fn a_route_without_filters_has_none() {
    let none = Filters::compile(&route("/", "{}"), &HashMap::new(), None);
    assert!(none.unwrap().is_none());
}

#[test]
fn plain_http_is_sent_to_https_with_path_and_query() {
    let none = Vec::new();
    let rule = "{ https_redirect: 308 }";
    let expect = "Location: https://shop.example.com/a?q=1\r\n".to_owned();
    assert_eq!(checked(rule, &facts("GET", &none)), (Some(308), expect));
    let secure = Facts {
        scheme: "https",
        ..facts("GET", &none)
    };
    assert_eq!(checked(rule, &secure), (None, String::new()));
}

#[test]
fn paths_are_rewritten_as_the_rule_says() {
    let cases = [
        ("/api", "{ prefix: / }", "/api/v1", "", "/v1", ""),
        ("/api", "{ prefix: / }", "/api", "?a=1", "/", "?a=1"),
        ("/api", "{ prefix: /x/ }", "/api/v1/", "", "/x/v1/", ""),
        ("/", "{ prefix: /x }", "/v1", "", "/x/v1", ""),
        ("=/one", "{ prefix: /other }", "/one", "?q", "/other", "?q"),
        (
            "/api",
            "{ full: /index.html }",
            "/api/v1",
            "?a",
            "/index.html",
            "?a",
        ),
        (
            "~/api(/|$)(.*)",
            "{ full: /$2 }",
            "/api/v1/x",
            "?a",
            "/v1/x",
            "?a",
        ),
        ("~/api(/|$)(.*)", "{ full: /$2 }", "/api", "", "/", ""),
        (
            "~/(u)/([0-9]+)",
            "{ full: '/$1?id=$2' }",
            "/u/17/rest",
            "",
            "/u",
            "?id=17",
        ),
        (
            "~/(u)/([0-9]+)",
            "{ full: '/$1?id=$2' }",
            "/u/17",
            "?b=2",
            "/u",
            "?id=17&b=2",
        ),
        ("~(/.*)", "{ full: $1 }", "/x", "", "/x", ""),
        // Two slashes and dots that come together only here are in normal form again.
        ("~/a(.*)", "{ full: /$1 }", "/a//x", "", "/x", ""),
    ];
    for (path, rule, from, query, to, expect_query) in cases {
        let route = route(path, &format!("{{ rewrite: {{ path: {rule} }} }}"));
        let filters = compiled(&route, None);
        let (new, new_query) = filters.rewrite(from, query.as_bytes()).unwrap().unwrap();
        let got = (new.as_str(), std::str::from_utf8(&new_query).unwrap());
        assert_eq!(got, (to, expect_query), "{path} {rule} {from}{query}");
    }
    let dots = filters(
        "~/a/(.)/(.)",
        "{ rewrite: { path: { full: /$1$2/secret } } }",
    );
    assert_eq!(dots.rewrite("/a/./.", b""), Err(()));
}

#[test]
fn origins_are_told_what_they_may_do() {
    let rule = "{ cors: { allow_origins: ['https://a.example', 'https://*.b.example'], allow_methods: [GET, PUT],
        allow_headers: [x-a], expose_headers: [x-b], allow_credentials: true, max_age: 60s } }";
    let ask = |method: &str, headers: Vec<(&str, &str)>| {
        let (status, lines) = checked(rule, &facts(method, &headers));
        let mut names: Vec<String> = lines.lines().map(str::to_owned).collect();
        names.sort();
        (status, names.join("|"))
    };
    let preflight = ("access-control-request-method", "PUT");
    for origin in ["https://a.example", "https://x.b.example"] {
        let told = format!(
            "Access-Control-Allow-Credentials: true|Access-Control-Allow-Headers: x-a|\
             Access-Control-Allow-Methods: GET, PUT|Access-Control-Allow-Origin: {origin}|\
             Access-Control-Max-Age: 60|Vary: Origin"
        );
        assert_eq!(
            ask("OPTIONS", vec![("origin", origin), preflight]),
            (Some(204), told)
        );
        let told = format!(
            "Access-Control-Allow-Credentials: true|Access-Control-Allow-Origin: {origin}|\
             Access-Control-Expose-Headers: x-b|Vary: Origin"
        );
        assert_eq!(ask("GET", vec![("origin", origin)]), (None, told));
    }
    for origin in [
        "https://b.example",
        "https://x.y.b.example",
        "https://evil.example/.b.example",
        "http://a.example",
        "https://a.example.evil",
        "null",
    ] {
        let told = "Vary: Origin".to_owned();
        assert_eq!(
            ask("OPTIONS", vec![("origin", origin), preflight]),
            (Some(204), told.clone())
        );
        assert_eq!(ask("POST", vec![("origin", origin)]), (None, told));
    }
    assert_eq!(
        ask("OPTIONS", vec![]).0,
        None,
        "no preflight: the backend's business"
    );
    let any = "{ cors: { allow_origins: ['*'] } }";
    let headers = vec![("origin", "https://c.example")];
    let (_, lines) = checked(any, &facts("GET", &headers));
    assert_eq!(lines, "Access-Control-Allow-Origin: *\r\n");
}

#[test]
fn addresses_are_let_in_and_kept_out() {
    let none = Vec::new();
    let ask = |rule: &str, client: &str| {
        let client = client.parse().unwrap();
        checked(
            rule,
            &Facts {
                client,
                ..facts("GET", &none)
            },
        )
        .0
    };
    let rule = "{ access: { allow: [10.0.0.0/8, '2001:db8::/32'], deny: [10.1.0.0/16] } }";
    for inside in ["10.2.0.1", "::ffff:10.2.0.1", "2001:db8::7"] {
        assert_eq!(ask(rule, inside), None, "{inside}");
    }
    for outside in ["10.1.2.3", "11.0.0.1", "2001:db9::1", "::1"] {
        assert_eq!(ask(rule, outside), Some(403), "{outside}");
    }
    assert_eq!(ask("{ access: { allow: [] } }", "10.2.0.1"), Some(403));
    assert_eq!(ask("{ access: { deny: [10.2.0.1] } }", "10.2.0.2"), None);
}

#[test]
fn a_client_may_send_its_rate_and_its_burst() {
    let rule = "{ rate_limit: { requests: 10, per: 1s, burst: 5, over: { status: 503 }, exempt: [10.0.0.0/8] } }";
    let filters = filters("/", rule);
    let none = Vec::new();
    let mut now = START;
    let ask = |client: [u8; 4], now| {
        let facts = Facts {
            client: client.into(),
            ..facts("GET", &none)
        };
        let (status, lines, _) = asked(&filters, &facts, now, &mut Asked::default());
        (status, lines)
    };
    for _ in 0..5 {
        assert_eq!(ask([192, 0, 2, 1], now).0, None);
    }
    assert_eq!(
        ask([192, 0, 2, 1], now),
        (Some(503), "Retry-After: 1\r\n".to_owned())
    );
    assert_eq!(ask([192, 0, 2, 2], now).0, None, "others have their own");
    for _ in 0..100 {
        assert_eq!(ask([10, 0, 0, 1], now).0, None, "not counted");
    }
    let mut passed = 0;
    for _ in 0..1000 {
        now = now + Duration::from_millis(10);
        passed += u32::from(ask([192, 0, 2, 1], now).0.is_none());
    }
    assert!(
        (99..=101).contains(&passed),
        "10 s at 10 a second: {passed}"
    );
}

#[test]
fn several_limits_count_and_one_may_be_for_all_clients_together() {
    let rule = "{ rate_limit: [{ requests: 100, per: 1m, burst: 3, over: { status: 503 } },
                               { requests: 1, per: 1m, burst: 5, by: route }] }";
    let filters = filters("/", rule);
    let none = Vec::new();
    let ask = |client: u8| {
        let facts = Facts {
            client: [192, 0, 2, client].into(),
            ..facts("GET", &none)
        };
        asked(&filters, &facts, START, &mut Asked::default()).0
    };
    let first: Vec<_> = (0..4).map(|_| ask(1)).collect();
    assert_eq!(first, [None, None, None, Some(503)]);
    let others: Vec<_> = (2..6).map(ask).collect();
    assert_eq!(others, [None, None, Some(429), Some(429)]);
}

#[test]
fn what_was_counted_goes_on_when_routes_change_unless_the_rule_does() {
    let limit = |burst: u32, more: &str| {
        format!("{{ rate_limit: {{ requests: 1, per: 1h, burst: {burst} }}{more} }}")
    };
    let none = Vec::new();
    let ask = |filters: &Filters| {
        let facts = facts("GET", &none);
        asked(filters, &facts, START, &mut Asked::default()).0
    };
    let first = filters("/", &limit(1, ""));
    assert_eq!((ask(&first), ask(&first)), (None, Some(429)));
    let same = compiled(&route("/", &limit(1, ", max_body: 1")), Some(&first));
    assert_eq!(ask(&same), Some(429));
    let other = compiled(&route("/", &limit(2, "")), Some(&first));
    assert_eq!(ask(&other), None);
}

#[test]
fn address_and_password_must_both_fit_or_one_of_them() {
    // ann:open
    let right = vec![("authorization", "Basic YW5uOm9wZW4=")];
    let none = Vec::new();
    let list = "access: { allow: [10.0.0.0/8], deny: [10.6.6.6] }";
    let users = "basic_auth: { users: { ann: '{PLAIN}open' } }";
    let all = format!("{{ {list}, {users} }}");
    let any = format!("{{ {list}, {users}, satisfy: any }}");
    // By address and whether the password is there: with `all`, with `any`.
    let cases = [
        ("10.0.0.1", true, None, None),
        ("10.0.0.1", false, Some(401), None),
        ("11.0.0.1", true, Some(403), None),
        ("11.0.0.1", false, Some(403), Some(401)),
        ("10.6.6.6", true, Some(403), Some(403)),
        ("10.6.6.6", false, Some(403), Some(403)),
    ];
    for (client, knows, with_all, with_any) in cases {
        for (rule, expect) in [(&all, with_all), (&any, with_any)] {
            let facts = Facts {
                client: client.parse().unwrap(),
                ..facts("GET", if knows { &right } else { &none })
            };
            let (status, lines) = checked(rule, &facts);
            assert_eq!(status, expect, "{client} {knows} {rule}");
            let challenge =
                "WWW-Authenticate: Basic realm=\"Authentication Required\", charset=\"UTF-8\"\r\n";
            assert_eq!(lines == challenge, expect == Some(401), "{lines}");
        }
    }
    // Without a list of those let in, `any` leaves the password.
    let alone = format!("{{ {users}, satisfy: any }}");
    assert_eq!(checked(&alone, &facts("GET", &none)).0, Some(401));
    let only_list = format!("{{ {list}, satisfy: any }}");
    assert_eq!(checked(&only_list, &facts("GET", &none)).0, Some(403));
}

#[test]
fn a_body_that_says_that_it_is_too_large_is_refused_at_once() {
    let none = Vec::new();
    let ask = |length| {
        checked(
            "{ max_body: 10 }",
            &Facts {
                length,
                ..facts("PUT", &none)
            },
        )
        .0
    };
    assert_eq!(
        (ask(Some(11)), ask(Some(10)), ask(None)),
        (Some(413), None, None)
    );
}

#[test]
fn settings_of_a_route_replace_those_of_the_gateway_one_by_one() {
    let gateway = Settings::default();
    let rule = "{ timeouts: { first_byte: 5s }, retry: { max: 0 } }";
    let own = filters("/", rule).settings(&gateway).unwrap();
    assert_eq!(own.timeouts.first_byte, Duration::from_secs(5));
    assert_eq!(own.retry.max, 0);
    assert_eq!(own.timeouts.connect, gateway.timeouts.connect);
    assert_eq!(filters("/", "{ max_body: 1 }").settings(&gateway), None);
}

#[test]
fn a_key_may_be_counted_instead_of_the_address() {
    let rule =
        "{ rate_limit: { requests: 1, per: 1h, burst: 2, by: { key: [{ header: x-api-key }] },
                                exempt: [10.0.0.0/8] } }";
    let filters = filters("/", rule);
    let ask = |client: [u8; 4], key: &str| {
        let headers = match key {
            "" => Vec::new(),
            key => vec![("x-api-key", key)],
        };
        let facts = Facts {
            client: client.into(),
            ..facts("GET", &headers)
        };
        asked(&filters, &facts, START, &mut Asked::default()).0
    };
    assert_eq!(ask([192, 0, 2, 1], "a"), None);
    assert_eq!(ask([192, 0, 2, 2], "a"), None);
    assert_eq!(
        ask([192, 0, 2, 3], "a"),
        Some(429),
        "whoever sends it, it is one key"
    );
    assert_eq!(ask([192, 0, 2, 3], "b"), None);
    assert_eq!(ask([10, 0, 0, 3], "a"), None, "not counted");
    // Without a key its address is counted, and leaving the key out does not help.
    let without: Vec<_> = (0..3).map(|_| ask([192, 0, 2, 1], "")).collect();
    assert_eq!(without, [None, None, Some(429)]);
    assert_eq!(ask([192, 0, 2, 2], ""), None);
}

#[test]
fn gateways_share_the_rate_of_all_together_and_each_lets_one_through() {
    let rule = "{ rate_limit: { requests: 8, per: 1s, burst: 8, by: route, of: fleet } }";
    let none = Vec::new();
    let facts = facts("GET", &none);
    for (gateways, at_once, in_ten_seconds) in [(1, 8, 80), (2, 4, 40), (8, 1, 10), (100, 1, 1)] {
        let filters = filters("/", rule);
        let ask = |now| {
            let asked = asked_one_of(gateways, &filters, &facts, now, &mut Asked::default());
            asked.0.is_none()
        };
        let passed = (0..20).filter(|_| ask(START)).count();
        assert_eq!(passed, at_once, "{gateways}");
        let times = (1..=1000).map(|step| START + Duration::from_millis(10 * step));
        let passed = times.filter(|now| ask(*now)).count();
        assert!(
            passed.abs_diff(in_ten_seconds) <= 1,
            "{gateways} gateways: {passed}"
        );
    }
}

#[test]
fn what_is_said_to_those_who_ask_too_much_is_up_to_the_rule() {
    let none = Vec::new();
    let facts = facts("GET", &none);
    let over = |over: &str| {
        let rule =
            format!("{{ rate_limit: {{ requests: 1, per: 1h, burst: 1, by: route{over} }} }}");
        let filters = filters("/", &rule);
        let ask = || asked(&filters, &facts, START, &mut Asked::default());
        assert_eq!(ask().0, None);
        ask()
    };
    let wait = "Retry-After: 3600\r\n";
    assert_eq!(over(""), (Some(429), wait.to_owned(), String::new()));
    assert_eq!(
        over(", over: { status: 418, body: '{}', content_type: application/json }"),
        (
            Some(418),
            format!("{wait}Content-Type: application/json\r\n"),
            "{}".to_owned()
        )
    );
    assert_eq!(
        over(", over: { redirect: 'https://busy.example.com/', body: x }"),
        (
            Some(302),
            format!("{wait}Location: https://busy.example.com/\r\n"),
            String::new()
        )
    );
}

#[test]
fn places_are_given_back_and_kept_over_a_change_of_routes() {
    let rule = |more: &str| format!("{{ concurrency_limit: {{ requests: 2, by: route }}{more} }}");
    let none = Vec::new();
    let facts = facts("GET", &none);
    let first = filters("/", &rule(""));
    let mut places = [Asked::default(), Asked::default(), Asked::default()];
    let mut status = |filters: &Filters, at: usize| {
        places[at] = Asked::default();
        asked(filters, &facts, START, &mut places[at]).0
    };
    assert_eq!((status(&first, 0), status(&first, 1)), (None, None));
    assert_eq!(status(&first, 2), Some(429));
    let same = compiled(&route("/", &rule(", max_body: 1")), Some(&first));
    assert_eq!(status(&same, 2), Some(429), "requests are still under way");
    // The place of one that ended is another's.
    assert_eq!(status(&same, 0), None);
    assert_eq!(status(&same, 2), Some(429));
    drop(places);
    let mut again = [Asked::default(), Asked::default()];
    let free = again
        .each_mut()
        .map(|place| asked(&same, &facts, START, place).0);
    assert_eq!(free, [None, None]);
}
