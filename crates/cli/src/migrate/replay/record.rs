//! Recorded requests: HAR files, as browsers save them, and JSON lines.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;

use super::Request;

/// Headers that belong to a connection, or that are made anew.
const OF_CONNECTION: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: HarRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<HarHeader>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct HarHeader {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: String,
}

/// A line of a JSON lines file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default = "get")]
    method: String,
    host: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

fn get() -> String {
    "GET".to_owned()
}

/// Reads a HAR file, known by its `log`, or a request a line.
///
/// # Errors
/// What is wrong with which entry or line.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Request>> {
    if let Ok(har) = serde_json::from_str::<serde_json::Value>(text)
        && har.get("log").is_some()
    {
        let har: Har = serde_json::from_value(har).context("this HAR file cannot be read")?;
        let entries = har.log.entries.into_iter().enumerate();
        return entries
            .map(|(i, entry)| from_har(entry.request).with_context(|| format!("log.entries[{i}]")))
            .collect();
    }
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            let line: Line =
                serde_json::from_str(line).with_context(|| format!("line {}", i + 1))?;
            request(&line.method, line.host, line.path, line.headers, line.body)
                .with_context(|| format!("line {}", i + 1))
        })
        .collect()
}

fn from_har(har: HarRequest) -> anyhow::Result<Request> {
    let url: http::Uri = har
        .url
        .parse()
        .with_context(|| format!("{:?} is not a URL", har.url))?;
    let host = url
        .authority()
        .with_context(|| format!("{:?} names no host", har.url))?;
    let host = host
        .as_str()
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .to_owned();
    let path = url
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let over_tls = url.scheme_str() == Some("https");
    // HTTP/2 is recorded with pseudo headers.
    let headers = har
        .headers
        .into_iter()
        .filter(|header| !header.name.starts_with(':'));
    let mut headers: Vec<(String, String)> =
        headers.map(|header| (header.name, header.value)).collect();
    if over_tls {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-forwarded-proto"));
        headers.push(("x-forwarded-proto".to_owned(), "https".to_owned()));
    }
    let body = har.post_data.map(|data| data.text).unwrap_or_default();
    request(&har.method, host, path, headers, body)
}

fn request(
    method: &str,
    host: String,
    path: String,
    headers: impl IntoIterator<Item = (String, String)>,
    body: String,
) -> anyhow::Result<Request> {
    let method: Method = method
        .parse()
        .with_context(|| format!("{method:?} is not a method"))?;
    if method == Method::CONNECT {
        bail!("CONNECT is not a request to a controller");
    }
    if host.is_empty() || HeaderValue::from_str(&host).is_err() {
        bail!("{host:?} is not a host");
    }
    if !path.starts_with('/') || path.parse::<http::Uri>().is_err() {
        bail!("{path:?} is not a path");
    }
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name
            .parse()
            .with_context(|| format!("{name:?} is not a header's name"))?;
        let value: HeaderValue = value
            .parse()
            .with_context(|| format!("the value of header {name}"))?;
        if !OF_CONNECTION.contains(&name.as_str()) {
            all.append(name, value);
        }
    }
    Ok(Request {
        method,
        host,
        path,
        headers: all,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn har_and_lines_are_read() {
        let har = r#"{ "log": { "entries": [{ "request": {
            "method": "POST", "url": "https://shop.example.com/a?b=1",
            "headers": [{ "name": ":authority", "value": "x" }, { "name": "Accept", "value": "*/*" },
                        { "name": "Content-Length", "value": "2" }],
            "postData": { "text": "hi" } } }] } }"#;
        let [request] = &parse(har).unwrap()[..] else {
            panic!("one request")
        };
        assert_eq!(
            (request.host.as_str(), request.path.as_str()),
            ("shop.example.com", "/a?b=1")
        );
        let names: Vec<&str> = request.headers.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["accept", "x-forwarded-proto"]);
        assert_eq!(request.body, "hi");
        let lines = "\n{\"host\": \"a\", \"path\": \"/\"}\n{\"method\":\"HEAD\",\"host\":\"b\",\"path\":\"/c\",\"headers\":{\"x\":\"1\"}}\n";
        let requests = parse(lines).unwrap();
        assert_eq!(requests[0].method, Method::GET);
        assert_eq!(requests[1].headers["x"], "1");
    }

    #[test]
    fn mistakes_name_line_or_entry() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert!(error("{\"host\": \"a\", \"path\": \"/\"}\nno").starts_with("line 2: "));
        assert!(error("{\"host\": \"a\", \"path\": \"b\"}").contains("\"b\" is not a path"));
        assert!(error("{\"host\": \"a\", \"path\": \"/\", \"pth\": 1}").contains("pth"));
        let har = r#"{"log":{"entries":[{"request":{"method":"GET","url":"/no-host"}}]}}"#;
        assert!(
            error(har).contains("log.entries[0]: \"/no-host\" names no host"),
            "{}",
            error(har)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([{}\\[\\]:,\"\\n ]|log|entries|request|url|host|path|/){0,40}") {
            let _ = parse(&text);
        }
    }
}
