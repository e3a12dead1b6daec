//! Weighted Services in place of those of the rules, made into an action.

use crate::Reason;
use crate::annotation::{Destinations, first_port};
use crate::backend::{Backends, ServiceRef};
use crate::diagnostic::{Sink, quote};
use crate::fleet::PortRef;
use crate::ingress::Mine;
use tidegate_model::{Action, Share};

impl Mine<'_> {
    /// The Services of `destination` with their parts. Those that cannot be found leave their part to the others.
    pub(crate) fn split(
        &self,
        destinations: &Destinations,
        backends: &mut Backends<'_>,
        diagnostics: &mut Sink,
    ) -> Action {
        let field = format!("metadata.annotations[{}]", destinations.key);
        let fields = [field.clone(), field.clone()];
        let instead = "its part goes to the other Services of the annotation";
        let namespace = &self.object.namespace;
        let mut shares = Vec::new();
        for one in &destinations.all {
            let service = match one.port {
                Some(port) => Some(ServiceRef {
                    namespace: namespace.clone(),
                    name: one.service.clone(),
                    port: PortRef::Number(port),
                }),
                None => first_port(
                    backends.fleet,
                    &self.class.clusters,
                    namespace,
                    &one.service,
                ),
            };
            let Some(service) = service else {
                let text = format!(
                    "no attached cluster has a Service {} with a port in namespace {namespace}; {instead}",
                    quote(&one.service)
                );
                diagnostics.error(&self.object, &field, Reason::ServiceNotFound, text);
                continue;
            };
            if let Some(id) = self.service(
                &service,
                &self.annotations.manner,
                &fields,
                instead,
                backends,
                diagnostics,
            ) {
                shares.push(Share {
                    weight: one.weight,
                    forward: self.forward(id),
                });
            }
        }
        match (&shares[..], &self.fallback) {
            ([one], _) => Action::Forward(one.forward.clone()),
            (several, _) if several.iter().any(|share| share.weight > 0) => Action::Split(shares),
            (_, Some(fallback)) => Action::Forward(self.forward(fallback.clone())),
            (_, None) => Action::Respond(503),
        }
    }
}
