//! Paths and queries.

use super::*;

type Parts = (String, Option<String>, Option<String>, Option<String>);

fn path(text: &str) -> Option<Parts> {
    let p = ResourcePath::parse(&segments(text).ok()?)?;
    Some((
        format!("{}/{}/{}", p.group, p.version, p.resource),
        p.namespace,
        p.name,
        p.subresource,
    ))
}

#[test]
fn paths_name_resources() {
    let s = |t: &str| Some(t.to_owned());
    assert_eq!(
        path("/api/v1/pods"),
        Some(("/v1/pods".into(), None, None, None))
    );
    assert_eq!(
        path("/api/v1/namespaces"),
        Some(("/v1/namespaces".into(), None, None, None))
    );
    assert_eq!(
        path("/api/v1/namespaces/a"),
        Some(("/v1/namespaces".into(), None, s("a"), None))
    );
    assert_eq!(
        path("/api/v1/namespaces/a/status"),
        Some(("/v1/namespaces".into(), None, s("a"), s("status")))
    );
    assert_eq!(
        path("/api/v1/namespaces/a/pods/b/log"),
        Some(("/v1/pods".into(), s("a"), s("b"), s("log")))
    );
    assert_eq!(
        path("/apis/apps/v1/namespaces/a/deployments/"),
        Some(("apps/v1/deployments".into(), s("a"), None, None))
    );
    assert_eq!(path("/apis/apps/v1"), None);
    assert_eq!(path("/api/v1/namespaces/a/pods/b/log/c"), None);
    assert_eq!(path("/api/v1/pods/%ff"), None);
    assert_eq!(path("/api/v1/pods/a%2fb"), None);
}

#[test]
fn queries_decode() {
    let q = Query::parse(Some("labelSelector=a%3Db%2Cc&watch=1&limit=5&x=a+b")).unwrap();
    assert_eq!(q.get("labelSelector"), Some("a=b,c"));
    assert_eq!(q.flag("watch"), Ok(true));
    assert_eq!(q.number("limit"), Ok(Some(5)));
    assert_eq!(q.get("x"), Some("a b"));
    assert!(Query::parse(Some("a=%zz")).is_err());
    assert!(q.flag("limit").is_err());
}
