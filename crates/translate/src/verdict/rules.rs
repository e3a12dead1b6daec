//! What ingress-nginx does with rules that Tidegate does not, without any annotation that says so.

use super::{Finding, Manifests, Verdict};
use crate::ingress::seniority;
use crate::{Kind, ObjectRef};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressRule};
use std::collections::{BTreeMap, BTreeSet};

const NGINX: &str = "nginx.ingress.kubernetes.io/";

/// What the other objects mean for the rules of one Ingress.
pub(super) struct Context {
    /// Hosts whose paths are all regular expressions in ingress-nginx, with the oldest Ingress that makes them so.
    regex_hosts: BTreeMap<String, ObjectRef>,
    /// Services that stand for a name outside the cluster, by namespace and name.
    external: BTreeSet<(String, String)>,
    /// Whether the controller sends plain HTTP to HTTPS unless an Ingress says otherwise.
    redirects_to_https: bool,
}

impl Context {
    pub(super) fn new(manifests: &Manifests, ours: impl Fn(&ObjectRef) -> bool) -> Self {
        let mut oldest_first: Vec<&Ingress> =
            manifests.ingresses.iter().map(AsRef::as_ref).collect();
        oldest_first.sort_by_cached_key(|ingress| seniority(&ingress.metadata));
        let mut regex_hosts = BTreeMap::new();
        for ingress in oldest_first {
            let object = ObjectRef::of(Kind::Ingress, &ingress.metadata);
            if !ours(&object) {
                continue;
            }
            for rule in rules(ingress).filter(|rule| makes_regex(ingress, rule)) {
                regex_hosts
                    .entry(host(rule))
                    .or_insert_with(|| object.clone());
            }
        }
        let services = manifests.services.iter().flatten();
        let external = services.filter(|service| {
            let kind = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
            kind == Some("ExternalName")
        });
        let external = external.filter_map(|service| {
            let namespace = service.metadata.namespace.clone().unwrap_or_default();
            Some((namespace, service.metadata.name.clone()?))
        });
        let off = |data: &BTreeMap<String, String>| {
            data.get("ssl-redirect")
                .is_some_and(|value| value == "false")
        };
        Self {
            regex_hosts,
            external: external.collect(),
            redirects_to_https: !manifests.settings.values().any(off),
        }
    }

    pub(super) fn findings(&self, ingress: &Ingress) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.https(ingress));
        for (i, rule) in rules(ingress).enumerate() {
            let field = format!("spec.rules[{i}]");
            findings.extend(wildcard(rule, &field));
            for (j, path) in paths(rule).enumerate() {
                let field = format!("{field}.http.paths[{j}]");
                findings.extend(self.regex(ingress, rule, path, &field));
                findings.extend(segments(ingress, path, &field));
                findings.extend(self.external(ingress, path, &field));
            }
        }
        findings
    }

    fn https(&self, ingress: &Ingress) -> Option<Finding> {
        let tls = ingress.spec.as_ref()?.tls.as_ref()?;
        let said = ["ssl-redirect", "force-ssl-redirect"];
        let said = said.iter().any(|name| annotation(ingress, name).is_some());
        (self.redirects_to_https && !said && !tls.is_empty()).then(|| {
            different(
                "spec.tls".to_owned(),
                "ingress-nginx sends plain HTTP to HTTPS where there is a certificate; here it is answered, \
                 unless the annotation ssl-redirect: \"true\" is set",
            )
        })
    }

    /// A path that ingress-nginx reads as a regular expression because of another Ingress of its host.
    fn regex(
        &self,
        ingress: &Ingress,
        rule: &IngressRule,
        path: &HTTPIngressPath,
        field: &str,
    ) -> Option<Finding> {
        let because = self.regex_hosts.get(&host(rule))?;
        if is_regex(ingress)
            || *because == ObjectRef::of(Kind::Ingress, &ingress.metadata)
                && makes_regex(ingress, rule)
        {
            return None;
        }
        let mut finding = different(
            format!("{field}.path"),
            &format!(
                "ingress-nginx reads all paths of this host as regular expressions without case, because of {because}; \
                 here each Ingress says so for itself, and this path is matched as its pathType says"
            ),
        );
        finding.value = path.path.clone();
        Some(finding)
    }

    fn external(&self, ingress: &Ingress, path: &HTTPIngressPath, field: &str) -> Option<Finding> {
        let name = &path.backend.service.as_ref()?.name;
        let namespace = ingress.metadata.namespace.clone().unwrap_or_default();
        self.external.contains(&(namespace, name.clone())).then(|| Finding {
            field: format!("{field}.backend.service.name"),
            value: Some(name.clone()),
            verdict: Verdict::Refused,
            why: "a Service of type ExternalName has no pods, so requests are answered 503; give it a selector, or \
                  EndpointSlices of its own"
                .to_owned(),
        })
    }
}

/// A path of type ImplementationSpecific is any beginning of the text for nginx.
fn segments(ingress: &Ingress, path: &HTTPIngressPath, field: &str) -> Option<Finding> {
    let text = path.path.as_deref().unwrap_or_default();
    let whole = text.is_empty() || text.ends_with('/');
    (path.path_type == "ImplementationSpecific" && !whole && !is_regex(ingress)).then(|| {
        let mut finding = different(
            format!("{field}.path"),
            &format!(
                "ingress-nginx matches every path that begins so, also {text}x; here whole segments are matched: \
                 {text} and {text}/..."
            ),
        );
        finding.value = Some(text.to_owned());
        finding
    })
}

fn wildcard(rule: &IngressRule, field: &str) -> Option<Finding> {
    let host = rule.host.as_deref().filter(|host| host.starts_with("*."))?;
    let mut finding = different(
        format!("{field}.host"),
        "nginx lets * stand for any number of labels; here, as the Ingress API says, for exactly one",
    );
    finding.value = Some(host.to_owned());
    Some(finding)
}

/// Whether the paths of an Ingress are regular expressions for ingress-nginx.
fn is_regex(ingress: &Ingress) -> bool {
    annotation(ingress, "use-regex").is_some_and(|value| value == "true")
        || annotation(ingress, "rewrite-target").is_some_and(|value| value.contains('$'))
}

/// Whether it makes all paths of the rule's host regular expressions: a rewrite does, too, unless it changes nothing.
fn makes_regex(ingress: &Ingress, rule: &IngressRule) -> bool {
    let target = annotation(ingress, "rewrite-target").filter(|target| !target.is_empty());
    let rewrites = |target: &str| paths(rule).any(|path| path.path.as_deref() != Some(target));
    is_regex(ingress) || target.is_some_and(rewrites)
}

fn different(field: String, why: &str) -> Finding {
    Finding {
        field,
        value: None,
        verdict: Verdict::Different,
        why: why.to_owned(),
    }
}

fn annotation<'a>(ingress: &'a Ingress, name: &str) -> Option<&'a str> {
    let annotations = ingress.metadata.annotations.as_ref()?;
    annotations
        .get(&format!("{NGINX}{name}"))
        .map(String::as_str)
}

fn rules(ingress: &Ingress) -> impl Iterator<Item = &IngressRule> {
    let rules = ingress.spec.as_ref().and_then(|spec| spec.rules.as_ref());
    rules.into_iter().flatten()
}

fn paths(rule: &IngressRule) -> impl Iterator<Item = &HTTPIngressPath> {
    rule.http.iter().flat_map(|http| &http.paths)
}

fn host(rule: &IngressRule) -> String {
    rule.host
        .as_deref()
        .unwrap_or_default()
        .to_ascii_lowercase()
}
