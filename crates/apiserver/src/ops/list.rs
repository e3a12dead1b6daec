//! List, with consistent pages.

use super::Api;
use crate::object;
use crate::registry::Kind;
use crate::selector::Selector;
use crate::status::{ApiResult, Status};
use crate::store::{Expired, Object};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use std::sync::Arc;

/// How `resourceVersion` of a list is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionMatch {
    /// At least as new; all of our reads are the newest.
    NotOlderThan(u64),
    /// Exactly that version.
    Exact(u64),
    /// Whatever is newest.
    Latest,
}

/// Parameters of a list.
#[derive(Debug)]
pub(crate) struct ListOptions {
    pub(crate) selector: Selector,
    pub(crate) limit: usize,
    pub(crate) continue_from: Option<String>,
    pub(crate) version: VersionMatch,
}

/// One page, in the stored version.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Object>>,
    pub(crate) revision: u64,
    pub(crate) continue_token: Option<String>,
    pub(crate) remaining: Option<usize>,
}

impl Api {
    /// Objects of a kind, of one namespace or all.
    pub(crate) fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        options: &ListOptions,
    ) -> ApiResult<Page> {
        let token = options
            .continue_from
            .as_deref()
            .map(Token::parse)
            .transpose()?;
        let state = self.store.read();
        let (revision, objects) = match (&token, options.version) {
            (Some(token), _) => {
                let objects = state
                    .list_at(&kind.storage, namespace, token.revision)
                    .map_err(|_| expired_page())?;
                (token.revision, objects)
            }
            (None, VersionMatch::Exact(revision)) => {
                not_from_the_future(revision, state.revision())?;
                (
                    revision,
                    state
                        .list_at(&kind.storage, namespace, revision)
                        .map_err(|e| too_old(revision, e))?,
                )
            }
            (None, VersionMatch::NotOlderThan(revision)) => {
                not_from_the_future(revision, state.revision())?;
                (
                    state.revision(),
                    state.list(&kind.storage, namespace).cloned().collect(),
                )
            }
            (None, VersionMatch::Latest) => (
                state.revision(),
                state.list(&kind.storage, namespace).cloned().collect(),
            ),
        };
        drop(state);
        Ok(cut(kind, objects, revision, token.as_ref(), options))
    }
}

/// Applies the selector and the limit.
fn cut(
    kind: &Kind,
    objects: Vec<Arc<Object>>,
    revision: u64,
    token: Option<&Token>,
    options: &ListOptions,
) -> Page {
    let after = |o: &Arc<Object>| {
        token.is_none_or(|t| {
            (object::namespace(&o.value), object::name(&o.value))
                > (t.namespace.as_str(), t.name.as_str())
        })
    };
    let wanted = |o: &Arc<Object>| {
        options.selector.is_empty()
            || if kind.is_converted() {
                options.selector.matches(&kind.in_served_version(&o.value))
            } else {
                options.selector.matches(&o.value)
            }
    };
    let mut all: Vec<Arc<Object>> = objects
        .into_iter()
        .filter(|o| after(o) && wanted(o))
        .collect();
    let mut page = Page {
        objects: Vec::new(),
        revision,
        continue_token: None,
        remaining: None,
    };
    if options.limit > 0 && all.len() > options.limit {
        // With a selector kube-apiserver does not know the number and leaves it out; so do we.
        page.remaining = options
            .selector
            .is_empty()
            .then(|| all.len() - options.limit);
        all.truncate(options.limit);
        page.continue_token = all.last().map(|last| {
            Token {
                revision,
                namespace: object::namespace(&last.value).to_owned(),
                name: object::name(&last.value).to_owned(),
            }
            .to_text()
        });
    }
    page.objects = all;
    page
}

/// Where the next page starts, in the snapshot of the first.
#[derive(Debug, PartialEq, Eq)]
struct Token {
    revision: u64,
    namespace: String,
    name: String,
}

impl Token {
    fn to_text(&self) -> String {
        BASE64.encode(format!(
            "{}\0{}\0{}",
            self.revision, self.namespace, self.name
        ))
    }

    fn parse(text: &str) -> ApiResult<Self> {
        let read = || {
            let plain = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
            let mut parts = plain.split('\0');
            let revision = parts.next()?.parse().ok()?;
            Some(Token {
                revision,
                namespace: parts.next()?.to_owned(),
                name: parts.next()?.to_owned(),
            })
        };
        read().ok_or_else(|| Status::bad_request("continue key is not valid"))
    }
}

fn expired_page() -> Status {
    Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
    )
}

/// 410 for a version that is not kept.
pub(super) fn too_old(revision: u64, expired: Expired) -> Status {
    Status::expired(format!(
        "too old resource version: {revision} ({})",
        expired.oldest
    ))
}

/// A version that was never given out: 504 as kube-apiserver answers after waiting for it.
pub(super) fn not_from_the_future(revision: u64, current: u64) -> ApiResult<()> {
    if revision <= current {
        return Ok(());
    }
    let mut status = Status::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {revision}, current: {current}"),
    );
    status.details = serde_json::json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    });
    Err(status)
}
