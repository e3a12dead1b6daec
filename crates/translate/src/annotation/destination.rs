//! `destination`: weighted Services in place of those of the rules.

use super::{Feature, Reader};
use crate::Reason;
use crate::diagnostic::quote;

/// What the annotation says, with its key.
#[derive(Clone, Debug)]
pub(crate) struct Destinations {
    pub(crate) key: String,
    /// At least one, and not all of them with weight 0.
    pub(crate) all: Vec<Destination>,
}

/// A Service of the Ingress's namespace that gets a part of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// Its part of the sum of all.
    pub(crate) weight: u32,
    pub(crate) service: String,
    /// The first one of the Service if it is missing.
    pub(crate) port: Option<u16>,
}

/// More than these are a mistake, not a plan.
const LINES_MAX: usize = 64;
/// Parts are percentages, but their sum may be anything.
const WEIGHT_MAX: u32 = 10_000;

impl Reader<'_> {
    /// A mistake costs the whole annotation: a part of it would give its Services more than was asked for.
    pub(super) fn destinations(&mut self) -> Option<Destinations> {
        let (key, text) = self.text(Feature::Destination)?;
        let namespace = self.object.namespace.clone();
        let all = match parse(text, &namespace) {
            Ok(all) => all,
            Err(why) => {
                let why = format!("{why}; the backends of the rules serve");
                self.refuse(key, text, &why);
                return None;
            }
        };
        let sum: u32 = all.iter().map(|one| one.weight).sum();
        if sum != 100 {
            let text = format!(
                "the parts of {} add up to {sum} %, not 100 %: each gets its part of {sum}",
                quote(text)
            );
            let field = format!("metadata.annotations[{key}]");
            self.diagnostics
                .warning(self.object, field, Reason::InvalidAnnotation, text);
        }
        Some(Destinations {
            key: key.to_owned(),
            all,
        })
    }
}

fn parse(text: &str, namespace: &str) -> Result<Vec<Destination>, String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.len() > LINES_MAX {
        return Err(format!("it has more than {LINES_MAX} lines"));
    }
    let alone = lines.len() == 1;
    let all = lines
        .into_iter()
        .map(|line| destination(line, namespace, alone))
        .collect::<Result<Vec<_>, _>>()?;
    match all.iter().all(|one| one.weight == 0) {
        true => Err("no Service has a part above 0 %".to_owned()),
        false => Ok(all),
    }
}

/// `[weight%] service.namespace.svc.cluster.local[:port]`.
fn destination(line: &str, namespace: &str, alone: bool) -> Result<Destination, String> {
    let form = || {
        format!(
            "the line {} is not of the form '80% service.{namespace}.svc.cluster.local:8080'",
            quote(line)
        )
    };
    let mut words = line.split_whitespace().peekable();
    let weight = words.next_if(|word| word.ends_with('%'));
    let weight = match weight.map(|word| word.trim_end_matches('%').parse::<u32>()) {
        Some(Ok(weight)) if weight <= WEIGHT_MAX => weight,
        None if alone => 100,
        Some(_) | None => return Err(form()),
    };
    let address = words.next().ok_or_else(form)?;
    if words.next().is_some() {
        return Err(format!(
            "the line {} names a subset; the clusters of an Ingress are chosen with service-subset and subset-labels",
            quote(line)
        ));
    }
    let (host, port) = match address.split_once(':') {
        Some((host, port)) => match port.parse::<u16>() {
            Ok(port) if port > 0 => (host, Some(port)),
            _ => return Err(form()),
        },
        None => (address, None),
    };
    let host = host.strip_suffix(".cluster.local").unwrap_or(host);
    let host = host.strip_suffix(".svc").ok_or_else(form)?;
    let (service, theirs) = host.split_once('.').ok_or_else(form)?;
    if service.is_empty() || theirs.contains('.') {
        return Err(form());
    }
    if theirs != namespace {
        return Err(format!(
            "Service {} is of another namespace, which needs that namespace's grant, and that is not supported yet",
            quote(host)
        ));
    }
    Ok(Destination {
        weight,
        service: service.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_part_and_a_service() {
        let one = |weight, service: &str, port| Destination {
            weight,
            service: service.to_owned(),
            port,
        };
        let cases = [
            (
                "web.shop.svc.cluster.local:80",
                Ok(vec![one(100, "web", Some(80))]),
            ),
            ("web.shop.svc", Ok(vec![one(100, "web", None)])),
            (
                "\n 80%  web.shop.svc.cluster.local:80\n\n20% new.shop.svc.cluster.local\n",
                Ok(vec![one(80, "web", Some(80)), one(20, "new", None)]),
            ),
            (
                "0% web.shop.svc.cluster.local:80",
                Err("no Service has a part"),
            ),
            (
                "web.shop.svc:80\n20% new.shop.svc:80",
                Err("is not of the form"),
            ),
            ("120%", Err("is not of the form")),
            ("-1% web.shop.svc:80", Err("is not of the form")),
            ("10001% web.shop.svc:80", Err("is not of the form")),
            ("100% web.shop.svc:0", Err("is not of the form")),
            ("100% web.shop.svc:http", Err("is not of the form")),
            ("100% example.com:80", Err("is not of the form")),
            ("100% a.b.shop.svc:80", Err("is not of the form")),
            ("100% .shop.svc:80", Err("is not of the form")),
            ("100% web.shop.svc:80 v1", Err("names a subset")),
            ("100% web.bank.svc:80", Err("of another namespace")),
        ];
        for (text, expect) in cases {
            match (parse(text, "shop"), expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{text}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{text}: {found}"),
                (found, expect) => panic!("{text}: {found:?}, not {expect:?}"),
            }
        }
    }
}
