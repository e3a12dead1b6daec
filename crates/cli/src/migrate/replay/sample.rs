//! Requests made from Ingresses: one for each host and path, and one for each way into a canary.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use k8s_openapi::api::networking::v1::Ingress;

use super::Request;

const NGINX: &str = "nginx.ingress.kubernetes.io/";

/// The host for rules without one.
const ANY_HOST: &str = "sample.invalid";

/// The samples of one Ingress, in the order of its rules.
pub(crate) fn of(ingress: &Ingress) -> Vec<Request> {
    let rules = ingress
        .spec
        .iter()
        .flat_map(|spec| spec.rules.iter().flatten());
    let mut samples = Vec::new();
    for rule in rules {
        let host = match rule.host.as_deref().unwrap_or_default() {
            "" => ANY_HOST.to_owned(),
            host => host.replacen('*', "sample", 1),
        };
        for path in rule.http.iter().flat_map(|http| &http.paths) {
            let path = plain(path.path.as_deref().unwrap_or_default());
            // A host or path that cannot be sent is one that neither serves; its verdict says so.
            if HeaderValue::from_str(&host).is_err() || path.parse::<http::Uri>().is_err() {
                continue;
            }
            samples.push(Request {
                method: Method::GET,
                host: host.clone(),
                path,
                headers: canary(ingress),
                body: String::new(),
            });
        }
    }
    samples
}

/// The headers that lead to a canary for certain; none where there are none.
fn canary(ingress: &Ingress) -> HeaderMap {
    let said = |name: &str| {
        let annotations = ingress.metadata.annotations.as_ref()?;
        annotations
            .get(&format!("{NGINX}{name}"))
            .map(|value| value.trim())
    };
    let mut headers = HeaderMap::new();
    if said("canary") != Some("true") {
        return headers;
    }
    let header = said("canary-by-header").and_then(|name| name.parse::<HeaderName>().ok());
    let value = HeaderValue::from_str(said("canary-by-header-value").unwrap_or("always"));
    if let (Some(name), Ok(value)) = (header, value) {
        headers.insert(name, value);
    } else if let Some(name) = said("canary-by-cookie")
        && let Ok(cookie) = HeaderValue::from_str(&format!("{name}=always"))
    {
        headers.insert(http::header::COOKIE, cookie);
    }
    headers
}

/// A path that the rule's path begins with: what stands before the first sign of a regular expression.
fn plain(path: &str) -> String {
    let signs = ['(', '[', '*', '+', '?', '^', '$', '|', '\\', '{', '.'];
    match path.find(signs) {
        // A dot alone is as good as any other letter.
        Some(at) if path[at..].starts_with('.') && !path[at + 1..].contains(signs) => {
            path.to_owned()
        }
        Some(at) => with_slash(&path[..at]),
        None => with_slash(path),
    }
}

fn with_slash(path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hosts_paths_and_canaries_are_sampled() {
        let ingress: Ingress = serde_json::from_value(json!({
            "metadata": { "name": "a", "annotations": {
                "nginx.ingress.kubernetes.io/canary": "true",
                "nginx.ingress.kubernetes.io/canary-by-header": "X-Canary",
            } },
            "spec": { "rules": [
                { "host": "*.example.com", "http": { "paths": [
                    { "path": "/api/(.*)", "pathType": "Prefix", "backend": {} },
                    { "path": "/v1.0", "pathType": "Exact", "backend": {} },
                ] } },
                { "http": { "paths": [{ "pathType": "Prefix", "backend": {} }] } },
            ] },
        }))
        .unwrap();
        let samples = of(&ingress);
        let asked: Vec<(&str, &str)> = samples
            .iter()
            .map(|sample| (sample.host.as_str(), sample.path.as_str()))
            .collect();
        assert_eq!(
            asked,
            [
                ("sample.example.com", "/api/"),
                ("sample.example.com", "/v1.0"),
                (ANY_HOST, "/")
            ]
        );
        assert!(
            samples
                .iter()
                .all(|sample| sample.headers["x-canary"] == "always")
        );
    }
}
