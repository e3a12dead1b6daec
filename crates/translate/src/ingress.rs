//! One Ingress: its rules as candidates for routes.

use crate::annotation::{self, Annotations, Manner};
use crate::backend::{Backends, Resolved, ServiceRef};
use crate::class::{Class, Classes};
use crate::diagnostic::{Sink, quote};
use crate::fleet::PortRef;
use crate::{Kind, ObjectRef, Reason};
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_api::cluster::Traffic;
use tidegate_model::{
    Action, BackendId, Filters, Forward, HostPattern, PathMatch, PathRewrite, RouteId,
    RoutePlacement,
};

/// An Ingress of one of our classes, with its annotations read.
pub(crate) struct Mine<'a> {
    pub(crate) object: ObjectRef,
    pub(crate) ingress: &'a Ingress,
    pub(crate) class: &'a Class,
    pub(crate) annotations: Annotations,
    /// Where its routes may go among clusters.
    pub(crate) placement: RoutePlacement,
    /// The backend of its `default-backend` annotation.
    pub(crate) fallback: Option<BackendId>,
}

/// A path of a rule that can be served.
pub(crate) struct Candidate<'a> {
    pub(crate) id: RouteId,
    pub(crate) host: HostPattern,
    pub(crate) path: PathMatch,
    /// `spec.rules[i].http.paths[j]`.
    pub(crate) field: String,
    pub(crate) backend: &'a IngressBackend,
}

/// The Ingresses of our classes, the oldest first.
pub(crate) fn ours<'a>(
    ingresses: &'a [Arc<Ingress>],
    classes: &'a Classes,
    backends: &mut Backends<'_>,
    diagnostics: &mut Sink,
) -> Vec<Mine<'a>> {
    let mut ordered: Vec<_> = ingresses.iter().map(AsRef::as_ref).collect();
    ordered.sort_by_cached_key(|ingress| seniority(&ingress.metadata));
    let mut ours = Vec::new();
    for ingress in ordered {
        let object = ObjectRef::of(Kind::Ingress, &ingress.metadata);
        if let Some(class) = classes.of(ingress, &object, diagnostics) {
            ours.push(Mine::new(object, ingress, class, backends, diagnostics));
        }
    }
    ours
}

/// The order in which objects of one kind win over each other: the oldest first, ties by
/// `name.namespace`; one without a time of creation comes last.
pub(crate) fn seniority(
    metadata: &ObjectMeta,
) -> (bool, Option<k8s_openapi::jiff::Timestamp>, String) {
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    (created.is_none(), created, format!("{name}.{namespace}"))
}

/// The hosts of its rules that can be served, in their order; a rule without one is for any.
pub(crate) fn hosts(ingress: &Ingress) -> impl Iterator<Item = HostPattern> {
    let spec = ingress.spec.iter();
    let rules = spec.flat_map(|spec| spec.rules.iter().flatten());
    rules.filter_map(|rule| HostPattern::parse(rule.host.as_deref().unwrap_or_default()).ok())
}

/// The hosts that it has routes for: those of its rules, and any host for its default backend. Not its further hosts,
/// which may turn out to be somebody else's.
pub(crate) fn served_hosts(ingress: &Ingress) -> BTreeSet<HostPattern> {
    let spec = ingress.spec.as_ref();
    let default = spec.and_then(|spec| spec.default_backend.as_ref());
    let any = default.map(|_| HostPattern::Any);
    hosts(ingress).chain(any).collect()
}

impl<'a> Mine<'a> {
    pub(crate) fn new(
        object: ObjectRef,
        ingress: &'a Ingress,
        class: &'a Class,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) -> Self {
        let none = std::collections::BTreeMap::new();
        let all = ingress.metadata.annotations.as_ref().unwrap_or(&none);
        let annotations = annotation::read(all, &object, diagnostics);
        let mut mine = Self {
            object,
            ingress,
            class,
            annotations,
            placement: RoutePlacement::Policy,
            fallback: None,
        };
        mine.placement = mine.pinned(backends, diagnostics);
        mine.redirect_to_https(diagnostics);
        mine.fallback = mine.find_fallback(backends, diagnostics);
        mine.find_external(backends, diagnostics);
        mine.find_mirror(backends, diagnostics);
        mine
    }

    fn pinned(&self, backends: &Backends<'_>, diagnostics: &mut Sink) -> RoutePlacement {
        let Some((cluster, key)) = &self.annotations.pinned else {
            return RoutePlacement::Policy;
        };
        let field = format!("metadata.annotations[{key}]");
        let everywhere = "so the routes lead to all clusters that may serve";
        let Some(member) = backends.fleet.clusters.get(cluster) else {
            let text = format!("there is no Cluster {cluster}, {everywhere}");
            diagnostics.warning(&self.object, field, Reason::UnknownCluster, text);
            return RoutePlacement::Policy;
        };
        if !self.class.clusters.contains(cluster) {
            let text = format!(
                "cluster {cluster} is excluded or not attached to the IngressClass, {everywhere}"
            );
            diagnostics.warning(&self.object, field, Reason::UnknownCluster, text);
            return RoutePlacement::Policy;
        }
        // A canary header is test traffic that was sent there on purpose, also while it is drained.
        let on_purpose = self.annotations.canary.is_selected();
        if member.traffic == Traffic::Drain && !on_purpose {
            let text = format!(
                "cluster {cluster} is being drained: the routes lead to the others while they can serve"
            );
            diagnostics.note(&self.object, field, Reason::NoEffect, text);
            return RoutePlacement::Policy;
        }
        RoutePlacement::Pinned(cluster.clone())
    }

    /// `ssl-redirect` holds where there is a certificate to show.
    fn redirect_to_https(&mut self, diagnostics: &mut Sink) {
        let Some(key) = &self.annotations.ssl_redirect else {
            return;
        };
        let tls = self
            .ingress
            .spec
            .as_ref()
            .and_then(|spec| spec.tls.as_ref());
        if tls.is_some_and(|tls| !tls.is_empty()) {
            self.annotations.filters.https_redirect = Some(308);
            return;
        }
        let text = "the Ingress has no spec.tls, so nothing is redirected; where TLS ends in front of the gateway, \
                    force-ssl-redirect does it";
        diagnostics.warning(
            &self.object,
            format!("metadata.annotations[{key}]"),
            Reason::NoEffect,
            text.to_owned(),
        );
    }

    /// The filters of a route for `path` to `backend`.
    pub(crate) fn filters(
        &self,
        path: &PathMatch,
        backend: &IngressBackend,
        diagnostics: &mut Sink,
    ) -> Filters {
        let mut filters = self.annotations.filters.clone();
        filters.error_pages = self.error_pages(backend);
        let Some((key, target)) = &self.annotations.paths.target else {
            return filters;
        };
        let of_prefix = self.annotations.paths.prefix || !matches!(path, PathMatch::Regex(_));
        filters.rewrite.path = Some(match of_prefix {
            true => PathRewrite::Prefix(target.clone()),
            false => PathRewrite::Full(target.clone()),
        });
        if let Err((_, why)) = filters.validate(path) {
            filters.rewrite.path = None;
            diagnostics.error(
                &self.object,
                format!("metadata.annotations[{key}]"),
                Reason::InvalidAnnotation,
                format!(
                    "{} is ignored for path {}: {why}",
                    quote(target),
                    quote(path.as_str())
                ),
            );
        }
        filters
    }

    /// The paths that can be served, in the order they are written.
    pub(crate) fn candidates(&self, diagnostics: &mut Sink) -> Vec<Candidate<'a>> {
        if self.annotations.unmatched {
            return Vec::new();
        }
        let rules = self
            .ingress
            .spec
            .as_ref()
            .and_then(|spec| spec.rules.as_ref());
        let mut candidates = Vec::new();
        for (i, rule) in rules.into_iter().flatten().enumerate() {
            let host = match HostPattern::parse(rule.host.as_deref().unwrap_or_default()) {
                Ok(host) => host,
                Err(error) => {
                    let text = format!(
                        "{} is not valid and its paths are not served: {}",
                        quote(&error.host),
                        error.reason
                    );
                    diagnostics.error(
                        &self.object,
                        format!("spec.rules[{i}].host"),
                        Reason::InvalidHost,
                        text,
                    );
                    continue;
                }
            };
            let paths = rule
                .http
                .as_ref()
                .map(|http| http.paths.as_slice())
                .unwrap_or_default();
            for (j, path) in paths.iter().enumerate() {
                let field = format!("spec.rules[{i}].http.paths[{j}]");
                if let Some(matched) = self.path(path, &field, diagnostics) {
                    candidates.push(Candidate {
                        id: RouteId(format!(
                            "{}/{}#{i}.{j}",
                            self.object.namespace, self.object.name
                        )),
                        host: host.clone(),
                        path: matched,
                        field,
                        backend: &path.backend,
                    });
                }
            }
        }
        candidates
    }

    fn path(
        &self,
        path: &HTTPIngressPath,
        field: &str,
        diagnostics: &mut Sink,
    ) -> Option<PathMatch> {
        let text = path.path.as_deref().unwrap_or_default();
        let matched = match path.path_type.as_str() {
            "Exact" => PathMatch::exact(text),
            "Prefix" | "ImplementationSpecific" if self.is_regex(text) => {
                let case = match self.annotations.conditions.ignore_case {
                    true => "(?i)",
                    false => "",
                };
                match self.annotations.paths.whole {
                    true => PathMatch::regex(&format!("{case}(?:{text})$")),
                    false => PathMatch::regex(&format!("{case}{text}")),
                }
            }
            "Prefix" => PathMatch::prefix(text),
            "ImplementationSpecific" if text.is_empty() => PathMatch::prefix("/"),
            "ImplementationSpecific" => PathMatch::prefix(text),
            other => {
                let text = format!(
                    "{} is none of Exact, Prefix and ImplementationSpecific; the path is not served",
                    quote(other)
                );
                diagnostics.error(
                    &self.object,
                    format!("{field}.pathType"),
                    Reason::InvalidPath,
                    text,
                );
                return None;
            }
        };
        matched
            .map_err(|error| {
                let text = format!(
                    "{} is not valid and not served: {}",
                    quote(&error.path),
                    error.reason
                );
                diagnostics.error(
                    &self.object,
                    format!("{field}.path"),
                    Reason::InvalidPath,
                    text,
                );
            })
            .ok()
    }

    /// Whether a path is a regular expression: because the Ingress says so, or because its rewrite has use for it.
    fn is_regex(&self, path: &str) -> bool {
        let paths = &self.annotations.paths;
        let target = paths.target.as_ref().map(|(_, target)| target.as_str());
        let by_target = target.is_some_and(|target| {
            !paths.prefix && (target.contains('$') || path.contains(['(', '*', '[', '+', '^', '|']))
        });
        !path.is_empty() && (paths.regex || by_target)
    }

    /// What happens to requests for a backend of this Ingress.
    pub(crate) fn action(
        &self,
        backend: &IngressBackend,
        field: &str,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) -> Action {
        if self.annotations.closed {
            return Action::Respond(503);
        }
        if let Some(redirect) = &self.annotations.redirect {
            return Action::Redirect(redirect.clone());
        }
        if let Some(destinations) = &self.annotations.destinations {
            return self.split(destinations, backends, diagnostics);
        }
        let manner = &self.annotations.manner;
        match self.backend(backend, manner, field, backends, diagnostics) {
            Some(id) => Action::Forward(self.forward(id)),
            None => match &self.fallback {
                Some(fallback) => Action::Forward(self.forward(fallback.clone())),
                None => Action::Respond(503),
            },
        }
    }

    pub(crate) fn forward(&self, backend: BackendId) -> Forward {
        Forward {
            fallback: self
                .fallback
                .clone()
                .filter(|fallback| *fallback != backend),
            backend,
            placement: self.placement.clone(),
        }
    }

    /// The backend, or a diagnostic on why there is none.
    pub(crate) fn backend(
        &self,
        backend: &IngressBackend,
        manner: &Manner,
        field: &str,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) -> Option<BackendId> {
        let object = &self.object;
        let instead = self.instead();
        if backend.resource.is_some() {
            let text = format!("only Services can be backends; {instead}");
            diagnostics.error(object, format!("{field}.resource"), Reason::Refused, text);
            return None;
        }
        let Some(service) = &backend.service else {
            let text = format!("a Service is missing; {instead}");
            diagnostics.error(
                object,
                format!("{field}.service"),
                Reason::InvalidBackend,
                text,
            );
            return None;
        };
        let port = service.port.as_ref();
        let number = port.and_then(|port| port.number);
        let name = port
            .and_then(|port| port.name.clone())
            .filter(|name| !name.is_empty());
        let port = match (number, name) {
            (Some(number), _) => u16::try_from(number)
                .ok()
                .filter(|n| *n > 0)
                .map(PortRef::Number),
            (None, name) => name.map(PortRef::Name),
        };
        let Some(port) = port else {
            let text = format!("a port number (1 to 65535) or a port name is needed; {instead}");
            diagnostics.error(
                object,
                format!("{field}.service.port"),
                Reason::InvalidBackend,
                text,
            );
            return None;
        };
        let wanted = ServiceRef {
            namespace: object.namespace.clone(),
            name: service.name.clone(),
            port,
        };
        let fields = [
            format!("{field}.service.name"),
            format!("{field}.service.port"),
        ];
        self.service(&wanted, manner, &fields, instead, backends, diagnostics)
    }

    /// What happens to requests that have no backend.
    fn instead(&self) -> &'static str {
        match &self.fallback {
            Some(_) => "default-backend serves instead",
            None => "requests are answered 503",
        }
    }

    /// The backend of a Service port, or a diagnostic on why there is none: at the first field what concerns the name,
    /// at the second what concerns the port.
    pub(crate) fn service(
        &self,
        wanted: &ServiceRef,
        manner: &Manner,
        [name_field, port_field]: &[String; 2],
        instead: &str,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) -> Option<BackendId> {
        let object = &self.object;
        match backends.resolve(self.class, object, wanted, manner) {
            Resolved::Backend {
                id,
                without_port,
                unlike,
            } => {
                for cluster in unlike {
                    let text = format!(
                        "Service {} in cluster {cluster} does not say appProtocol: kubernetes.io/h2c at port {} \
                         as other clusters do: its endpoints are asked in HTTP/2 as well",
                        quote(&wanted.name),
                        wanted.port
                    );
                    diagnostics.warning(object, port_field.clone(), Reason::InvalidBackend, text);
                }
                for cluster in without_port {
                    let text = format!(
                        "Service {} in cluster {cluster} has no port {}: that cluster gets no requests",
                        quote(&wanted.name),
                        wanted.port
                    );
                    diagnostics.warning(object, port_field.clone(), Reason::PortNotFound, text);
                }
                Some(id)
            }
            Resolved::NoPort => {
                let text = format!(
                    "Service {} has no port {} in any cluster; {instead}",
                    quote(&wanted.name),
                    quote(&wanted.port.to_string())
                );
                diagnostics.error(object, port_field.clone(), Reason::PortNotFound, text);
                None
            }
            Resolved::NoService { unseen } => {
                let mut text = format!(
                    "no attached cluster has a Service {} in namespace {}; {instead}",
                    quote(&wanted.name),
                    wanted.namespace
                );
                if unseen.is_empty() {
                    diagnostics.error(object, name_field, Reason::ServiceNotFound, text);
                } else {
                    // Unknown is not absent: one of these clusters may well have it.
                    let names: Vec<&str> = unseen.iter().map(|c| c.as_str()).collect();
                    text.push_str(&format!(" (not seen yet: {})", names.join(", ")));
                    diagnostics.note(object, name_field, Reason::ServiceNotFound, text);
                }
                None
            }
        }
    }
}
