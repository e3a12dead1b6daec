//! Requests, and whether what comes of them is what should.

use crate::case::Request;
use anyhow::{Context, Result, ensure};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use tidegate_testbed::{Answer, request};

pub(crate) async fn check(wanted: &Request, to: SocketAddr) -> Result<()> {
    let at = wanted.url.find('/').context("a URL needs a path")?;
    let (host, path) = wanted.url.split_at(at);
    let headers: Vec<(&str, &str)> = wanted
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut reached: BTreeMap<String, usize> = BTreeMap::new();
    let mut endpoints = BTreeSet::new();
    for _ in 0..wanted.times {
        let answer = request(to, host, &wanted.method, path, &headers).await?;
        look(wanted, &answer)?;
        let told = answer.json();
        let service = told["service"].as_str().unwrap_or_default();
        *reached.entry(service.to_owned()).or_default() += 1;
        endpoints.insert(told["endpoint"].to_string());
    }
    for (service, least) in &wanted.split {
        let count = reached.get(service).copied().unwrap_or_default();
        ensure!(count >= *least, "{service} got {count}: {reached:?}");
    }
    if let Some(count) = wanted.endpoints {
        ensure!(endpoints.len() == count, "reached {endpoints:?}");
    }
    Ok(())
}

fn look(wanted: &Request, answer: &Answer) -> Result<()> {
    let text = answer.text();
    let status = answer.status.as_u16();
    ensure!(status == wanted.status, "answered {status}: {text}");
    let told = answer.json();
    if let Some(service) = &wanted.by {
        ensure!(told["service"] == service.as_str(), "reached {told}");
    }
    if let Some(path) = &wanted.path {
        ensure!(told["path"] == path.as_str(), "reached {told}");
    }
    for (name, value) in &wanted.saw {
        let seen = told["headers"][name.as_str()].as_str();
        ensure!(seen == value.as_deref(), "{name} was {seen:?}");
    }
    for (name, part) in &wanted.answer {
        let values = answer.headers.get_all(name.as_str()).iter();
        let all: Vec<_> = values
            .map(|v| String::from_utf8_lossy(v.as_bytes()))
            .collect();
        match part {
            None => ensure!(all.is_empty(), "{name} is {all:?}"),
            Some(part) => {
                let fits = |value: &Cow<'_, str>| match part.strip_prefix('=') {
                    Some(whole) => value == whole,
                    None => value.contains(part.as_str()),
                };
                ensure!(all.iter().any(fits), "{name} is {all:?}");
            }
        }
    }
    if let Some(part) = &wanted.body {
        ensure!(text.contains(part.as_str()), "the body is {text:?}");
    }
    Ok(())
}
