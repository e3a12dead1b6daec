//! Annotations that give an Ingress further hosts.

use super::{Feature, Reader};
use k8s_openapi::api::networking::v1::Ingress;
use tidegate_model::HostPattern;

/// Further hosts of an Ingress.
#[derive(Clone, Debug, Default)]
pub(crate) struct FurtherHosts {
    /// Of `server-alias`, with its key.
    pub(crate) aliases: Vec<(HostPattern, String)>,
    /// The key of `from-to-www-redirect`, if that is on.
    pub(crate) www: Option<String>,
}

const ALIAS: &str = "server-alias";
const WWW: &str = "from-to-www-redirect";

impl Reader<'_> {
    pub(super) fn further_hosts(&mut self) -> FurtherHosts {
        let mut found = FurtherHosts::default();
        if let Some((key, text)) = self.text(Feature::ServerAlias) {
            for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
                match HostPattern::parse(part) {
                    Ok(HostPattern::Any) => {
                        self.refuse(key, part, "every host cannot be an alias of one");
                    }
                    Ok(host) => found.aliases.push((host, key.to_owned())),
                    Err(error) if part.starts_with('~') => {
                        let why = format!(
                            "regular expressions are not supported here, {}",
                            error.reason
                        );
                        self.refuse(key, part, &why);
                    }
                    Err(error) => self.refuse(key, part, error.reason),
                }
            }
        }
        if self.is_set(Feature::FromToWww) {
            found.www = self.text(Feature::FromToWww).map(|(key, _)| key.to_owned());
        }
        found
    }
}

/// The same name with `www.` where it has none, without where it has.
pub(crate) fn other_www(host: &HostPattern) -> Option<HostPattern> {
    let HostPattern::Exact(name) = host else {
        return None;
    };
    let other = match name.strip_prefix("www.") {
        Some(bare) => bare.to_owned(),
        None => format!("www.{name}"),
    };
    HostPattern::parse(&other).ok()
}

/// All hosts that these annotations could give an Ingress, whatever else is true of them.
pub(crate) fn possible(ingress: &Ingress) -> Vec<HostPattern> {
    let mut hosts = Vec::new();
    for (key, value) in ingress.metadata.annotations.iter().flatten() {
        match key.rsplit_once('/').map(|(_, name)| name) {
            Some(ALIAS) => {
                let parts = value.split(',').map(str::trim);
                hosts.extend(parts.filter_map(|part| HostPattern::parse(part).ok()));
            }
            Some(WWW) => {
                let rules = crate::ingress::hosts(ingress);
                hosts.extend(rules.filter_map(|host| other_www(&host)));
            }
            Some(_) | None => {}
        }
    }
    hosts
}
