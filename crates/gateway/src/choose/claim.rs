//! What a request says about where it goes: the key that its backend asks for, or its session.

use super::session::{Session, holder};
use super::target;
use crate::filter::Facts;
use crate::hash::StableHasher;
use crate::key::write_key;
use crate::table::{ForwardEntry, HeaderLookup, RouteAction};
use tidegate_model::{Algorithm, KeyPart};

/// What of a request decides on its endpoint, beside chance.
#[derive(Clone, Copy, Debug, Default)]
pub enum Claim {
    /// Nothing.
    #[default]
    Free,
    /// Requests with this key go together.
    Key(u64),
    /// It belongs to a session, or begins one.
    Session(Session),
}

/// Where a route's request goes, and what it claims there; `None` if the route forwards none.
pub(crate) fn aim<'t, H: HeaderLookup>(
    action: &'t RouteAction,
    facts: &Facts<'_, H>,
    random: impl Fn() -> u64,
) -> Option<(&'t ForwardEntry, Claim)> {
    let to = match action {
        RouteAction::Forward(to) => to,
        RouteAction::Split(split) => holder(split, facts).or_else(|| split.choose(random()))?,
        RouteAction::Redirect(_) | RouteAction::Respond(_) => return None,
    };
    Some((to, Claim::of(to, facts, random)))
}

impl Claim {
    fn of<H: HeaderLookup>(
        to: &ForwardEntry,
        facts: &Facts<'_, H>,
        random: impl Fn() -> u64,
    ) -> Self {
        let (backend, _) = target(to);
        if !backend.health().is_keyed() {
            return Self::Free;
        }
        let policy = backend.health().policy();
        match (&policy.balance.affinity, &policy.balance.algorithm) {
            (Some(affinity), _) => Self::Session(Session::read(&affinity.cookie, facts, random())),
            (None, Algorithm::Hash(hash)) => key(&hash.by, facts).map_or(Self::Free, Self::Key),
            // It was one of them a moment ago.
            (None, _) => Self::Free,
        }
    }

    /// The session, if the request has one or begins one.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Session(session) => Some(session),
            Self::Free | Self::Key(_) => None,
        }
    }
}

/// The key of a request; `None` if it has none of the parts.
fn key<H: HeaderLookup>(by: &[KeyPart], facts: &Facts<'_, H>) -> Option<u64> {
    let mut hasher = StableHasher::new();
    write_key(by, facts, |part| hasher.write(part)).then(|| hasher.finish())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Headers by their names in lower case.
    pub(in crate::choose) struct Lines<'a>(pub(in crate::choose) &'a [(&'a str, &'a str)]);

    impl HeaderLookup for Lines<'_> {
        fn value(&self, name: &str) -> Option<&[u8]> {
            let mut named = self.0.iter().filter(|(line, _)| *line == name);
            named.next().map(|(_, value)| value.as_bytes())
        }
    }

    pub(in crate::choose) fn facts<'a>(url: &'a str, lines: &'a Lines<'a>) -> Facts<'a, Lines<'a>> {
        let (path, query) = match url.find('?') {
            Some(at) => url.split_at(at),
            None => (url, ""),
        };
        Facts {
            client: [192, 0, 2, 1].into(),
            scheme: "https",
            host: b"Shop.example.com:443",
            host_name: b"Shop.example.com",
            method: b"GET",
            path,
            query: query.as_bytes(),
            headers: lines,
            length: None,
            proof: crate::filter::Proof::Plain,
        }
    }

    fn key_of(by: &[KeyPart], url: &str, lines: &[(&str, &str)]) -> Option<u64> {
        key(by, &facts(url, &Lines(lines)))
    }

    #[test]
    fn a_key_is_made_of_its_parts_in_their_order() {
        use crate::hash::stable_hash;
        let cookies = [("cookie", "a=1; user=u1"), ("x-user", "u2")];
        for (by, expect) in [
            (vec![KeyPart::Uri], &b"/shop?user=u%201&n=2"[..]),
            (vec![KeyPart::Path], b"/shop"),
            (vec![KeyPart::Query], b"user=u%201&n=2"),
            (vec![KeyPart::Host], b"shop.example.com"),
            (vec![KeyPart::ClientAddress], &[192, 0, 2, 1]),
            (vec![KeyPart::Scheme, KeyPart::Method], b"httpsGET"),
            (vec![KeyPart::Header("x-user".into())], b"u2"),
            (vec![KeyPart::Argument("user".into())], b"u 1"),
            (
                vec![
                    KeyPart::Cookie("user".into()),
                    KeyPart::Text("-x".into()),
                    KeyPart::Argument("n".into()),
                ],
                b"u1-x2",
            ),
        ] {
            let found = key_of(&by, "/shop?user=u%201&n=2", &cookies);
            assert_eq!(found, Some(stable_hash(expect)), "{by:?}");
        }
    }

    #[test]
    fn a_request_without_any_part_has_no_key() {
        let by = [
            KeyPart::Text("x".into()),
            KeyPart::Header("x-user".into()),
            KeyPart::Cookie("user".into()),
            KeyPart::Argument("user".into()),
            KeyPart::Query,
        ];
        assert_eq!(key_of(&by, "/", &[]), None);
        assert!(key_of(&by, "/?a", &[]).is_some());
    }
}
