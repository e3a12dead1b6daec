//! Services that an Ingress names in annotations, beside its backends.

use crate::Reason;
use crate::annotation::{self, ExternalSpec, Manner};
use crate::backend::{Backends, Resolved, ServiceRef};
use crate::diagnostic::{Sink, quote};
use crate::fleet::PortRef;
use crate::ingress::Mine;
use k8s_openapi::api::networking::v1::IngressBackend;
use tidegate_model::{AuthTarget, BackendId, ErrorPages, Header, Mirror};

impl Mine<'_> {
    /// The Service of `default-backend`.
    pub(crate) fn find_fallback(
        &self,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) -> Option<BackendId> {
        let (name, key) = self.annotations.default_backend.as_ref()?;
        let namespace = &self.object.namespace;
        let service = annotation::first_port(backends.fleet, &self.class.clusters, namespace, name);
        // What is spoken to it, its own Service says.
        let manner = Manner {
            protocol: None,
            tls: None,
            ..self.annotations.manner.clone()
        };
        if let Some(service) = service
            && let Resolved::Backend { id, .. } =
                backends.resolve(self.class, &self.object, &service, &manner)
        {
            return Some(id);
        }
        diagnostics.error(
            &self.object,
            format!("metadata.annotations[{key}]"),
            Reason::ServiceNotFound,
            format!("no attached cluster has a Service {} with a port in namespace {namespace}; the annotation is ignored", quote(name)),
        );
        None
    }

    /// Who tells errors of the routes to `backend`.
    pub(crate) fn error_pages(&self, backend: &IngressBackend) -> Option<ErrorPages> {
        let (statuses, _) = self.annotations.error_statuses.as_ref()?;
        let service = backend.service.as_ref();
        let port = service.and_then(|service| service.port.as_ref());
        let number = port.and_then(|port| port.number);
        let port = number
            .map(|number| number.to_string())
            .or_else(|| port?.name.clone());
        let told = [
            ("X-Namespace", Some(self.object.namespace.clone())),
            ("X-Ingress-Name", Some(self.object.name.clone())),
            ("X-Service-Name", service.map(|s| s.name.clone())),
            ("X-Service-Port", port),
        ];
        let header = |(name, value): (&str, Option<String>)| {
            // What is no name of anything is no header either.
            let value = value.filter(|v| v.bytes().all(|b| b.is_ascii_graphic()))?;
            let name = name.to_owned();
            Some(Header { name, value })
        };
        let headers = told.into_iter().filter_map(header).collect();
        let pages = ErrorPages {
            statuses: statuses.clone(),
            backend: self.fallback.clone()?,
            headers,
        };
        Some(pages)
    }

    /// `auth-url`, whose Service is looked up now: one that cannot be asked closes the routes.
    pub(crate) fn find_external(&mut self, backends: &mut Backends<'_>, diagnostics: &mut Sink) {
        let Some(ExternalSpec {
            url: (url, key),
            service,
            mut auth,
        }) = self.annotations.external.take()
        else {
            return;
        };
        if let Some((namespace, name, port)) = service {
            let service = ServiceRef {
                namespace,
                name,
                port: PortRef::Number(port),
            };
            let found = backends.resolve(self.class, &self.object, &service, &Manner::default());
            match (found, auth.to) {
                (
                    Resolved::Backend { id, .. },
                    AuthTarget::Own {
                        host: Some(host), ..
                    },
                ) => auth.to = AuthTarget::Backend { id, host },
                _ => {
                    self.annotations.closed = true;
                    let text = format!(
                        "{} cannot be asked: no attached cluster has a Service {} with port {port} in namespace {}; the \
                         routes of this Ingress answer 503 rather than being open",
                        quote(&url),
                        quote(&service.name),
                        quote(&service.namespace)
                    );
                    let field = format!("metadata.annotations[{key}]");
                    diagnostics.error(&self.object, field, Reason::ServiceNotFound, text);
                    return;
                }
            }
        }
        self.annotations.filters.external_auth = Some(auth);
    }

    /// Who gets copies of requests, looked up now; without it they are served all the same.
    pub(crate) fn find_mirror(&mut self, backends: &mut Backends<'_>, diagnostics: &mut Sink) {
        let Some(spec) = self.annotations.mirror.take() else {
            return;
        };
        let clusters = &self.class.clusters;
        let service = match spec.port {
            Some(port) => Some(ServiceRef {
                namespace: spec.namespace.clone(),
                name: spec.name.clone(),
                port: PortRef::Number(port),
            }),
            None => annotation::first_port(backends.fleet, clusters, &spec.namespace, &spec.name),
        };
        let resolved = service.map(|service| {
            backends.resolve(self.class, &self.object, &service, &Manner::default())
        });
        if let Some(Resolved::Backend { id, .. }) = resolved {
            self.annotations.filters.mirror = Some(Mirror {
                backend: id,
                percent: spec.percent,
                body: spec.body,
                uri: spec.uri,
                host: spec.host,
            });
            return;
        }
        let (value, key) = &spec.target;
        let text = format!(
            "{} gets no copies: no attached cluster has a Service {} with this port in namespace {}",
            quote(value),
            quote(&spec.name),
            quote(&spec.namespace)
        );
        let field = format!("metadata.annotations[{key}]");
        diagnostics.error(&self.object, field, Reason::ServiceNotFound, text);
    }
}
