//! The compiled whole configuration of a gateway.

use crate::changes::differences;
use crate::filter::{is_authority, is_redirect, is_token, not_a_redirect};
use crate::{
    Action, Authorities, Backend, BackendId, Certificate, CertificateId, FieldMatch, Forward,
    Generation, Handshake, HostPattern, PSEUDO_HEADERS, PathMatch, Redirect, Route, Settings,
    SharedMap, SharedPart, Target,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// Version of the stored and transmitted form. A receiver refuses a newer one.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// Everything a gateway needs to serve. Equal input to the compiler gives byte-equal snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// [`SNAPSHOT_FORMAT`] of the writer.
    pub format: u32,
    /// Its place in the order of snapshots.
    pub generation: Generation,
    /// Settings of the whole gateway.
    #[serde(default)]
    pub settings: Settings,
    /// Routes by host.
    #[serde(default)]
    pub hosts: SharedMap<HostPattern, SharedPart<Vec<Route>>>,
    /// What routes forward to.
    #[serde(default)]
    pub backends: SharedMap<BackendId, SharedPart<Backend>>,
    /// The certificate that a client of TLS sees, by the name it asks for (RFC 6066 3): an exact name first,
    /// then a wildcard, then [`HostPattern::Any`], also for clients that ask for none.
    #[serde(default, skip_serializing_if = "SharedMap::is_empty")]
    pub tls: SharedMap<HostPattern, CertificateId>,
    /// What `tls` and backends name.
    #[serde(default, skip_serializing_if = "SharedMap::is_empty")]
    pub certificates: SharedMap<CertificateId, SharedPart<Certificate>>,
    /// Who signs certificates of others, by name.
    #[serde(default, skip_serializing_if = "SharedMap::is_empty")]
    pub authorities: SharedMap<CertificateId, SharedPart<Authorities>>,
    /// How clients of TLS shake hands, where that is not as usual, by the name they ask for as in `tls`. One that stands
    /// there and not here shakes hands as usual, whatever wider names say.
    #[serde(default, skip_serializing_if = "SharedMap::is_empty")]
    pub handshakes: SharedMap<HostPattern, SharedPart<Handshake>>,
    /// Hosts whose TLS is not ended here: bytes go to an endpoint of the backend as they are. By the name that clients ask
    /// for, as in `handshakes`.
    #[serde(default, skip_serializing_if = "SharedMap::is_empty")]
    pub passthrough: SharedMap<HostPattern, SharedPart<Forward>>,
}

/// A snapshot that must not be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSnapshot {
    /// Written by a newer release.
    NewerFormat {
        /// The format it has.
        found: u32,
    },
    /// A value that cannot be served.
    Field {
        /// Where it stands, as `backends[shop/shop:80].health.active.interval`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl InvalidSnapshot {
    fn in_backend(id: &BackendId, (field, reason): (String, String)) -> Self {
        Self::Field {
            field: format!("backends[{id}].{field}"),
            reason,
        }
    }
}

impl Snapshot {
    /// A snapshot without routes: every request is answered 404.
    pub fn empty(generation: Generation) -> Self {
        Self {
            format: SNAPSHOT_FORMAT,
            generation,
            settings: Settings::default(),
            hosts: SharedMap::new(),
            backends: SharedMap::new(),
            tls: SharedMap::new(),
            certificates: SharedMap::new(),
            authorities: SharedMap::new(),
            handshakes: SharedMap::new(),
            passthrough: SharedMap::new(),
        }
    }

    /// Checks what the types cannot say: references, ranges, duplicates.
    ///
    /// # Errors
    /// The first [`InvalidSnapshot`] found.
    pub fn validate(&self) -> Result<(), InvalidSnapshot> {
        self.validate_since(&Self::empty(Generation(0)))
    }

    /// As [`Snapshot::validate`], when `before` is known to be valid: what is shared with it is passed over, so that
    /// the cost is that of what changed.
    ///
    /// # Errors
    /// The first [`InvalidSnapshot`] found.
    pub fn validate_since(&self, before: &Self) -> Result<(), InvalidSnapshot> {
        if self.format > SNAPSHOT_FORMAT {
            return Err(InvalidSnapshot::NewerFormat { found: self.format });
        }
        self.validate_settings()?;
        let backends = differences(Some(&before.backends), &self.backends);
        let authorities = differences(Some(&before.authorities), &self.authorities);
        let certificates = differences(Some(&before.certificates), &self.certificates);
        let lost_authorities = authorities.iter().any(|(_, now)| now.is_none());
        let lost_certificates = certificates.iter().any(|(_, now)| now.is_none());
        // Routes that did not change may name something that went.
        let all = lost_authorities || backends.iter().any(|(_, backend)| backend.is_none());
        let none = SharedMap::new();
        let known = if all { &none } else { &before.hosts };
        for (host, routes) in differences(Some(known), &self.hosts) {
            for route in routes.into_iter().flatten() {
                self.validate_route(host, route)?;
            }
        }
        for (id, backend) in backends {
            let Some(backend) = backend else { continue };
            let valid = backend.validate();
            valid
                .and_then(|()| self.validate_names(backend))
                .map_err(|why| InvalidSnapshot::in_backend(id, why))?;
        }
        // And so may backends.
        if lost_authorities || lost_certificates {
            for (id, backend) in &self.backends {
                self.validate_names(backend)
                    .map_err(|why| InvalidSnapshot::in_backend(id, why))?;
            }
        }
        for (host, handshake) in &self.handshakes {
            let refuse = |field: &str, reason| {
                let field = format!("handshakes[{host}].{field}");
                Err(InvalidSnapshot::Field { field, reason })
            };
            let rules = handshake.rules.validate();
            rules.or_else(|(field, reason)| refuse(field, reason))?;
            let named = handshake.authorities.as_ref();
            if let Some(id) = named.filter(|id| !self.authorities.contains_key(*id)) {
                return refuse("authorities", format!("there are no authorities {id}"));
            }
        }
        for (host, forward) in &self.passthrough {
            let named = [Some(&forward.backend), forward.fallback.as_ref()];
            let mut named = named.into_iter().flatten();
            if let Some(id) = named.find(|id| !self.backends.contains_key(*id)) {
                return Err(InvalidSnapshot::Field {
                    field: format!("passthrough[{host}]"),
                    reason: format!("there is no backend {id}"),
                });
            }
        }
        let mut tls = self.tls.iter();
        match tls.find(|(_, id)| !self.certificates.contains_key(*id)) {
            Some((host, id)) => Err(InvalidSnapshot::Field {
                field: format!("tls[{host}]"),
                reason: format!("there is no certificate {id}"),
            }),
            None => Ok(()),
        }
    }

    /// That what a backend names is there.
    fn validate_names(&self, backend: &Backend) -> Result<(), (String, String)> {
        let Some(tls) = &backend.tls else {
            return Ok(());
        };
        let authorities = tls.verify.authorities();
        if let Some(id) = authorities.filter(|id| !self.authorities.contains_key(*id)) {
            let reason = format!("there are no authorities {id}");
            return Err(("tls.verify.by.authorities".to_owned(), reason));
        }
        let certificate = tls.certificate.as_ref();
        match certificate.filter(|id| !self.certificates.contains_key(*id)) {
            Some(id) => Err((
                "tls.certificate".to_owned(),
                format!("there is no certificate {id}"),
            )),
            None => Ok(()),
        }
    }

    fn validate_settings(&self) -> Result<(), InvalidSnapshot> {
        let t = &self.settings.timeouts;
        let named = [
            ("request_head", t.request_head),
            ("client_idle", t.client_idle),
            ("connect", t.connect),
            ("try_first_byte", t.try_first_byte),
            ("first_byte", t.first_byte),
            ("body_idle", t.body_idle),
            ("drain", t.drain),
        ];
        if let Some((name, _)) = named.iter().find(|(_, value)| value.is_zero()) {
            return Err(InvalidSnapshot::Field {
                field: format!("settings.timeouts.{name}"),
                reason: "it must be longer than zero".to_owned(),
            });
        }
        match self.settings.gateways {
            0 => Err(InvalidSnapshot::Field {
                field: "settings.gateways".to_owned(),
                reason: "it must be at least 1".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn validate_route(&self, host: &HostPattern, route: &Route) -> Result<(), InvalidSnapshot> {
        let refuse = |field: &str, reason: String| {
            Err(InvalidSnapshot::Field {
                field: format!("hosts[{host}] route {} {field}", route.id),
                reason,
            })
        };
        if let Some(method) = route.methods.iter().find(|method| !is_token(method)) {
            return refuse("methods", format!("{method:?} is not a method"));
        }
        let unknown = |field: &&FieldMatch| !PSEUDO_HEADERS.contains(&field.name.as_str());
        if let Some(field) = route.pseudo_headers.iter().find(unknown) {
            let reason = format!("{:?} is none of {}", field.name, PSEUDO_HEADERS.join(", "));
            return refuse("pseudo_headers", reason);
        }
        if route.ignore_case && matches!(route.path, PathMatch::Regex(_)) {
            let reason = "a regular expression ignores case where it says (?i)";
            return refuse("ignore_case", reason.to_owned());
        }
        route
            .filters
            .validate(&route.path)
            .or_else(|(field, reason)| refuse(&format!("filters.{field}"), reason))?;
        match &route.action {
            Action::Respond(status) if !(200..=599).contains(status) => {
                return refuse("action.respond", format!("{status} is not a final status"));
            }
            Action::Redirect(redirect) => redirect
                .validate()
                .or_else(|(field, reason)| refuse(&format!("action.redirect.{field}"), reason))?,
            Action::Split(shares) if shares.iter().all(|share| share.weight == 0) => {
                return refuse("action.split", "all weights are 0".to_owned());
            }
            Action::Respond(_) | Action::Forward(_) | Action::Split(_) => {}
        }
        let mut named = route
            .action
            .forwards()
            .flat_map(|forward| [Some(&forward.backend), forward.fallback.as_ref()])
            .flatten();
        let unknown = |id: &&BackendId| !self.backends.contains_key(*id);
        if let Some(id) = named.find(unknown) {
            return refuse("action.forward", format!("there is no backend {id}"));
        }
        if let Some(id) = route.filters.backends().find(unknown) {
            return refuse("filters", format!("there is no backend {id}"));
        }
        let certificate = route.filters.client_certificate.as_ref();
        match certificate.map(|rule| &rule.authorities) {
            Some(id) if !self.authorities.contains_key(id) => refuse(
                "filters.client_certificate.authorities",
                format!("there are no authorities {id}"),
            ),
            Some(_) | None => Ok(()),
        }
    }
}

impl Redirect {
    fn validate(&self) -> Result<(), (&'static str, String)> {
        if !is_redirect(self.status) {
            return Err(("status", not_a_redirect(self.status)));
        }
        let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        match &self.to {
            Target::Url(url) if !visible(url) || !url.contains("://") => {
                Err(("to.url", format!("{url:?} is not a URL")))
            }
            Target::Path(path) if !visible(path) || !path.starts_with('/') => {
                Err(("to.path", format!("{path:?} must begin with '/'")))
            }
            Target::Host(host) if !is_authority(host) => Err((
                "to.host",
                format!("{host:?} is not a host, or a host and a port"),
            )),
            Target::Url(_) | Target::Path(_) | Target::Host(_) => Ok(()),
        }
    }
}

impl Backend {
    /// The first field that cannot be served, with the reason.
    fn validate(&self) -> Result<(), (String, String)> {
        let refuse = |field: &str, reason: &str| Err((field.to_owned(), reason.to_owned()));
        let active = &self.health.active;
        if active.interval.is_zero() {
            return refuse("health.active.interval", "it must be longer than zero");
        }
        if active.timeout.is_zero() || active.timeout > active.interval {
            return refuse(
                "health.active.timeout",
                "it must be longer than zero and at most the interval",
            );
        }
        if active.healthy_threshold == 0 || active.unhealthy_threshold == 0 {
            return refuse("health.active", "thresholds must be at least 1");
        }
        if self.placement.spill_below_percent > 100 || self.placement.panic_below_percent > 100 {
            return refuse("placement", "percentages must be at most 100");
        }
        self.balance
            .validate()
            .map_err(|(field, reason)| (format!("balance.{field}"), reason))?;
        if let Some(tls) = &self.tls {
            tls.validate()
                .map_err(|(field, reason)| (format!("tls.{field}"), reason))?;
        }
        let mut seen = HashSet::new();
        let members = self.placement.tiers.iter().flat_map(|tier| &tier.clusters);
        match members.map(|m| &m.cluster).find(|c| !seen.insert(*c)) {
            Some(cluster) => Err((
                "placement.tiers".to_owned(),
                format!("cluster {cluster} stands in more than one place"),
            )),
            None => Ok(()),
        }
    }
}

impl fmt::Display for InvalidSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewerFormat { found } => write!(
                f,
                "the snapshot has format {found}, this release reads up to {SNAPSHOT_FORMAT}: \
                 upgrade the gateway or let an older hub write it"
            ),
            Self::Field { field, reason } => write!(f, "{field}: {reason}"),
        }
    }
}

impl std::error::Error for InvalidSnapshot {}
