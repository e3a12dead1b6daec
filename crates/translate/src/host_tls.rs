//! Handshakes of hosts, and certificates that their clients must show.

use crate::alias::{self, Aliases};
use crate::annotation::Clients;
use crate::diagnostic::Sink;
use crate::ingress::{Mine, served_hosts};
use crate::part::Part;
use crate::routes::Routes;
use crate::{ObjectRef, Reason};
use std::collections::BTreeMap;
use tidegate_model::{Action, ClientCertificate, Handshake, HostPattern, Route, TlsRules};

/// Who says something about a host.
#[derive(Default)]
pub(crate) struct Owners<'a> {
    rules: Option<&'a Mine<'a>>,
    clients: Option<&'a Mine<'a>>,
    /// Who needs certificates for some route at least.
    asks: Option<&'a Mine<'a>>,
}

/// Puts certificates of clients into routes. Those of an Ingress that says something itself go by that, the others of
/// the host by the oldest that does. `ours` are the Ingresses of our classes, the oldest first. Gives who that is, by host.
pub(crate) fn guard<'a>(
    ours: &'a [Mine<'a>],
    routes: &mut Routes,
    diagnostics: &mut Sink,
) -> BTreeMap<HostPattern, Owners<'a>> {
    let owners = owners(ours, diagnostics);
    let by_object: BTreeMap<&ObjectRef, &Mine<'_>> =
        ours.iter().map(|mine| (&mine.object, mine)).collect();
    for (host, routes) in routes {
        let owner = owners.get(host).and_then(|owners| owners.clients);
        for (sources, route) in routes {
            let said = |mine: &&Mine<'_>| says_clients(mine);
            let own = sources
                .iter()
                .filter_map(|object| by_object.get(object).copied());
            let Some(mine) = own
                .filter(said)
                .min_by_key(|mine| place(ours, mine))
                .or(owner)
            else {
                continue;
            };
            put(&mine.annotations.host_tls.clients, route);
        }
    }
    owners
}

fn place(ours: &[Mine<'_>], mine: &Mine<'_>) -> Option<usize> {
    ours.iter().position(|other| other.object == mine.object)
}

fn put(clients: &Clients, route: &mut Route) {
    match clients {
        Clients::Unsaid => {}
        Clients::Closed => route.action = Action::Respond(503),
        Clients::Asked(asked) => route.filters.client_certificate = Some(asked.rule.clone()),
        // Nobody has shown one, so nobody may say so.
        Clients::Unasked => {
            let names = ClientCertificate::HEADERS.map(str::to_owned);
            route.filters.request_headers.remove.extend(names);
        }
    }
}

/// Fills in `handshakes` of `part`. A further host shakes hands as the one it belongs to.
pub(crate) fn compile(
    owners: BTreeMap<HostPattern, Owners<'_>>,
    aliases: &Aliases,
    part: &mut Part,
) {
    for (host, owners) in owners {
        let rules = owners.rules.map(|mine| &mine.annotations.host_tls.rules);
        let asking = owners.clients.and_then(|mine| asked(mine));
        let asking = asking.or_else(|| owners.asks.and_then(|mine| asked(mine)));
        let handshake = Handshake {
            rules: rules.cloned().unwrap_or_default(),
            authorities: asking.map(|rule| rule.authorities.clone()),
        };
        if handshake != Handshake::default() {
            part.handshakes.insert(host, handshake.into());
        }
    }
    alias::follow(aliases, &mut part.handshakes);
}

fn asked<'a>(mine: &'a Mine<'_>) -> Option<&'a ClientCertificate> {
    match &mine.annotations.host_tls.clients {
        Clients::Asked(asked) => Some(&asked.rule),
        Clients::Unsaid | Clients::Unasked | Clients::Closed => None,
    }
}

fn says_clients(mine: &Mine<'_>) -> bool {
    !matches!(mine.annotations.host_tls.clients, Clients::Unsaid)
}

/// By host who says something about it. Younger ones are told in `diagnostics`.
///
/// It is the oldest Ingress that does, as long as it is of the namespace of the oldest Ingress of all that have the host:
/// no other namespace may close or weaken it.
fn owners<'a>(ours: &'a [Mine<'a>], diagnostics: &mut Sink) -> BTreeMap<HostPattern, Owners<'a>> {
    let mut all: BTreeMap<HostPattern, Owners<'_>> = BTreeMap::new();
    let mut first: BTreeMap<HostPattern, &Mine<'_>> = BTreeMap::new();
    for mine in ours {
        let rules = mine.annotations.host_tls.rules != TlsRules::default();
        let clients = says_clients(mine);
        for host in served_hosts(mine.ingress) {
            let oldest = *first.entry(host.clone()).or_insert(mine);
            if !rules && !clients {
                continue;
            }
            let owners = all.entry(host.clone()).or_default();
            if asked(mine).is_some() && owners.asks.is_none() {
                owners.asks = Some(mine);
            }
            let stranger = oldest.object.namespace != mine.object.namespace;
            let older = |known: Option<&'a Mine<'a>>| match stranger {
                true => Some(oldest),
                false => known,
            };
            let mut tell = |older: &Mine<'_>, what: &str| {
                let text = format!("{} is older and has host {host}: {what}", older.object);
                let field = "metadata.annotations";
                diagnostics.warning(&mine.object, field, Reason::Conflict, text);
            };
            match (rules, older(owners.rules)) {
                (true, Some(older)) => tell(older, "TLS versions and ciphers are not said here"),
                (true, None) => owners.rules = Some(mine),
                (false, _) => {}
            }
            match (clients, older(owners.clients)) {
                (true, Some(older)) => tell(
                    older,
                    "what is said here about certificates of clients holds for the routes of this Ingress only",
                ),
                (true, None) => owners.clients = Some(mine),
                (false, _) => {}
            }
        }
    }
    all
}
