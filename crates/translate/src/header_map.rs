//! ConfigMaps whose entries are headers: `custom-headers` and `auth-proxy-set-headers`.

use crate::annotation::HeaderMaps;
use crate::diagnostic::{Sink, quote};
use crate::fleet::ServiceName;
use crate::ingress::Mine;
use crate::{Objects, Reason};
use k8s_openapi::api::core::v1::ConfigMap;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_model::{Filters, Header, PathMatch};

/// The hub's ConfigMaps, and which of them were looked up.
pub(crate) struct ConfigMaps<'a> {
    all: &'a Objects<ConfigMap>,
    asked: RefCell<BTreeSet<ServiceName>>,
}

impl<'a> ConfigMaps<'a> {
    pub(crate) fn new(all: &'a Objects<ConfigMap>) -> Self {
        Self {
            all,
            asked: RefCell::default(),
        }
    }

    /// Namespace and name of those that were looked up since the last call, found or not.
    pub(crate) fn take_asked(&self) -> BTreeSet<ServiceName> {
        self.asked.take()
    }

    /// Puts the headers that the annotations of `mine` name into its filters. What cannot be a header is left out alone.
    pub(crate) fn apply(&self, mine: &mut Mine<'_>, diagnostics: &mut Sink) {
        let HeaderMaps { answer, question } = std::mem::take(&mut mine.annotations.header_maps);
        if let Some((name, key)) = answer {
            let put = |filters: &mut Filters, header| filters.response_headers.set.push(header);
            self.put(mine, &name, &key, put, diagnostics);
        }
        if let Some((name, key)) = question {
            if mine.annotations.closed {
                return;
            }
            if mine.annotations.filters.external_auth.is_none() {
                let text = format!("{} has no effect without auth-url", quote(&name));
                let field = format!("metadata.annotations[{key}]");
                diagnostics.warning(&mine.object, field, Reason::NoEffect, text);
                return;
            }
            let put = |filters: &mut Filters, header| {
                if let Some(auth) = &mut filters.external_auth {
                    auth.request_headers.push(header);
                }
            };
            self.put(mine, &name, &key, put, diagnostics);
        }
    }

    fn put(
        &self,
        mine: &mut Mine<'_>,
        name: &str,
        key: &str,
        put: impl Fn(&mut Filters, Header),
        diagnostics: &mut Sink,
    ) {
        let namespace = &mine.object.namespace;
        let place = Arc::new((namespace.clone(), name.to_owned()));
        self.asked.borrow_mut().insert((*place).clone());
        let field = format!("metadata.annotations[{key}]");
        let Some(map) = self.all.get(&place) else {
            let text = format!(
                "there is no ConfigMap {} in namespace {namespace} on the hub: its headers are missing",
                quote(name)
            );
            diagnostics.error(&mine.object, field, Reason::ConfigMapNotFound, text);
            return;
        };
        for (header, value) in map.data.iter().flatten() {
            let mut changed = mine.annotations.filters.clone();
            let line = Header {
                name: header.clone(),
                value: value.trim().to_owned(),
            };
            let why = match line.value.contains('$') {
                true => Err("variables are not known here".to_owned()),
                false => {
                    put(&mut changed, line);
                    // Whatever path: none of this depends on it.
                    let checked = PathMatch::prefix("/").map(|root| changed.validate(&root));
                    checked.unwrap_or(Ok(())).map_err(|(_, why)| why)
                }
            };
            match why {
                Ok(()) => mine.annotations.filters = changed,
                Err(why) => {
                    let text = format!("ConfigMap {name}: data[{header}] is left out: {why}");
                    diagnostics.error(&mine.object, &*field, Reason::InvalidValue, text);
                }
            }
        }
    }
}
