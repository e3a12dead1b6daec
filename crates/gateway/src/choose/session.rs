//! Sessions: the cookie that leads a client to the same endpoint again.
//!
//! ```text
//! INGRESSCOOKIE=3f0d6f7b0c9a1e52.9c31e07a
//!               '-- key ---------' '-tag-'
//! ```
//!
//! The **key** is what endpoints are chosen by: in mode `balanced` a number made by chance, which is hashed; in mode
//! `persistent` the identity of the endpoint. The **tag** tells which of the backends of a route served. Both are
//! the same in every gateway and after a restart, and neither is a secret: a client that writes its own cookie
//! chooses its endpoint, and no more. A value that the gateway did not make is hashed as it is.

use super::shares::Shares;
use super::{Claim, target};
use crate::filter::Facts;
use crate::h1::append_line;
use crate::hash::{StableHasher, mix, stable_hash};
use crate::health::EndpointState;
use crate::table::{ForwardEntry, HeaderLookup, Split, cookie};
use std::io::Write;
use std::time::SystemTime;
use tidegate_model::{
    AffinityMode, CanaryAffinity, ClusterName, OnFailure, RoutePlacement, SameSite, Secure,
    SessionCookie,
};
use tidegate_runtime::Tick;

/// The session of a request.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// What the client's cookie says.
    held: Option<Held>,
    /// The key if it says nothing.
    fresh: u64,
    secure: bool,
    /// The client's browser knows `SameSite=None`.
    knows_none: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    key: u64,
    tag: Option<u32>,
}

impl Held {
    fn read(value: &[u8]) -> Option<Self> {
        if value.is_empty() {
            return None;
        }
        let made = std::str::from_utf8(value).ok().and_then(|text| {
            let (key, tag) = text.split_once('.')?;
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
            let fits = key.len() == 16 && tag.len() == 8 && digits(key) && digits(tag);
            fits.then_some(())?;
            Some(Self {
                key: u64::from_str_radix(key, 16).ok()?,
                tag: u32::from_str_radix(tag, 16).ok(),
            })
        });
        Some(made.unwrap_or_else(|| Self {
            key: stable_hash(value),
            tag: None,
        }))
    }
}

/// The backend of a route that the client's cookie is from, if that is to be heeded.
pub(super) fn holder<'t, H: HeaderLookup>(
    split: &'t Split,
    facts: &Facts<'_, H>,
) -> Option<&'t ForwardEntry> {
    let own = split.forwards().next()?.backend.health();
    if !own.is_keyed() {
        return None;
    }
    let policy = own.policy();
    let affinity = policy.balance.affinity.as_ref()?;
    match affinity.canary {
        CanaryAffinity::Legacy => return None,
        CanaryAffinity::Sticky => {}
    }
    let tag = held(&affinity.cookie, facts)?.tag?;
    split.forwards().find(|forward| tag_of(forward) == tag)
}

fn held<H: HeaderLookup>(rules: &SessionCookie, facts: &Facts<'_, H>) -> Option<Held> {
    let cookies = facts.headers.value("cookie")?;
    Held::read(cookie(cookies, &rules.name)?)
}

fn tag_of(forward: &ForwardEntry) -> u32 {
    let mut hasher = StableHasher::new();
    hasher.write(forward.backend.id().as_str().as_bytes());
    if let RoutePlacement::Pinned(cluster) = &forward.placement {
        hasher.write(b"@");
        hasher.write(cluster.as_str().as_bytes());
    }
    hasher.finish() as u32
}

impl Session {
    /// What a request says; `random` becomes the key of a new session.
    pub(super) fn read<H: HeaderLookup>(
        rules: &SessionCookie,
        facts: &Facts<'_, H>,
        random: u64,
    ) -> Self {
        let secure = match rules.secure {
            Secure::Always => true,
            Secure::Never => false,
            Secure::WhenHttps => facts.scheme == "https",
        };
        let agent = || facts.headers.value("user-agent").unwrap_or_default();
        Self {
            held: held(rules, facts),
            fresh: random,
            secure,
            knows_none: rules.same_site != Some(SameSite::NoneIfUnderstood)
                || knows_same_site_none(agent()),
        }
    }

    /// The key that endpoints are chosen by.
    pub(super) fn key(&self) -> u64 {
        self.held.map_or(self.fresh, |held| held.key)
    }

    /// The key of the client's cookie.
    pub(super) fn held(&self) -> Option<u64> {
        self.held.map(|held| held.key)
    }

    /// Appends the line that gives the client the cookie for the endpoint that served it, if it has not got that.
    pub(crate) fn write_cookie(
        &self,
        to: &ForwardEntry,
        served: &EndpointState,
        now: Tick,
        lines: &mut Vec<u8>,
    ) {
        let (backend, pinned) = target(to);
        let policy = backend.health().policy();
        let Some(affinity) = &policy.balance.affinity else {
            return;
        };
        let shares = backend.shares(now);
        let rules = (affinity.mode, affinity.on_failure);
        let tag = tag_of(to);
        let retag = affinity.canary == CanaryAffinity::Sticky
            && self
                .held
                .is_some_and(|held| held.tag.is_some_and(|old| old != tag));
        let new = self.new_key(rules, &shares, pinned, served.identity());
        if let Some(key) = new.or_else(|| self.held().filter(|_| retag)) {
            let line = self.line(&affinity.cookie, (key, tag), &to.path, SystemTime::now());
            append_line(lines, "Set-Cookie", &line);
        }
    }

    /// The key of the cookie that the client should have and has not.
    fn new_key(
        &self,
        (mode, on_failure): (AffinityMode, OnFailure),
        shares: &Shares,
        pinned: Option<&ClusterName>,
        served: u64,
    ) -> Option<u64> {
        let leads = |key: u64| {
            shares
                .keyed(pinned, key)
                .is_some_and(|e| e.identity() == served)
        };
        match (mode, self.held(), on_failure) {
            (AffinityMode::Persistent, None, _) => Some(served),
            (AffinityMode::Persistent, Some(held), _) if held == served => None,
            // Another one helped out, but its own will be able to serve again.
            (AffinityMode::Persistent, Some(held), OnFailure::Stay)
                if shares.named(pinned, held).is_some() =>
            {
                None
            }
            (AffinityMode::Persistent, Some(_), _) => Some(served),
            // The hash itself leaves an endpoint that is judged unable to serve.
            (AffinityMode::Balanced, Some(_), OnFailure::Stay) => None,
            (AffinityMode::Balanced, Some(held), OnFailure::Move) if leads(held) => None,
            (AffinityMode::Balanced, Some(_), OnFailure::Move) => self.key_to(shares, leads),
            (AffinityMode::Balanced, None, _) if leads(self.fresh) => Some(self.fresh),
            (AffinityMode::Balanced, None, _) => {
                Some(self.key_to(shares, leads).unwrap_or(self.fresh))
            }
        }
    }

    /// A key that leads to an endpoint, found by trying: each key does so with a chance of one in as many as there are.
    /// None is found for one that gets no share, or once in some thousand cases.
    fn key_to(&self, shares: &Shares, leads: impl Fn(u64) -> bool) -> Option<u64> {
        /// What a request may cost that was failed over; enough for 128 endpoints.
        const TRIES_MAX: usize = 1024;
        let endpoints: usize = shares.clusters().iter().map(|c| c.serving.len()).sum();
        let tries = (endpoints * 8).min(TRIES_MAX) as u64;
        let keys = (1..=tries).map(|step| mix(self.fresh.wrapping_add(step)));
        keys.into_iter().find(|key| leads(*key))
    }

    /// The value of Set-Cookie (RFC 6265 4.1).
    fn line(
        &self,
        rules: &SessionCookie,
        (key, tag): (u64, u32),
        path: &str,
        wall: SystemTime,
    ) -> Vec<u8> {
        let mut line = Vec::with_capacity(128);
        // Writing to a vector cannot fail.
        let _ = write!(
            line,
            "{}={key:016x}.{tag:08x}; Path={}",
            rules.name,
            rules.path.as_deref().unwrap_or(path)
        );
        if let Some(domain) = &rules.domain {
            let _ = write!(line, "; Domain={domain}");
        }
        if let Some(date) = rules.expires.and_then(|after| http_date(wall, after)) {
            let _ = write!(line, "; Expires={date}");
        }
        if let Some(age) = rules.max_age {
            let _ = write!(line, "; Max-Age={}", age.as_secs());
        }
        let same_site = match rules.same_site {
            Some(SameSite::None | SameSite::NoneIfUnderstood) if self.knows_none => {
                "; SameSite=None"
            }
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::None | SameSite::NoneIfUnderstood) | None => "",
        };
        line.extend_from_slice(same_site.as_bytes());
        line.extend_from_slice(b"; HttpOnly");
        if self.secure {
            line.extend_from_slice(b"; Secure");
        }
        if rules.partitioned {
            line.extend_from_slice(b"; Partitioned");
        }
        line
    }
}

impl Claim {
    /// Whether an answer of 502 to 504 from `endpoint` is passed on rather than tried elsewhere, because the client's
    /// session is there and stays.
    pub(crate) fn stays_at(&self, to: &ForwardEntry, endpoint: &EndpointState, now: Tick) -> bool {
        let Some(held) = self.session().and_then(Session::held) else {
            return false;
        };
        let (backend, pinned) = target(to);
        let shares = backend.shares(now);
        let own = match shares.ways.sessions {
            Some((AffinityMode::Balanced, OnFailure::Stay)) => shares.keyed(pinned, held),
            Some((AffinityMode::Persistent, OnFailure::Stay)) => shares.named(pinned, held),
            Some((_, OnFailure::Move)) | None => None,
        };
        own.is_some_and(|own| own.id() == endpoint.id())
    }
}

/// The date of RFC 9110 5.6.7, so long after `wall`; `None` beyond the year 9999.
fn http_date(wall: SystemTime, after: std::time::Duration) -> Option<String> {
    let at = jiff::Timestamp::try_from(wall.checked_add(after)?).ok()?;
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&at).ok()
}

/// Whether a browser knows `SameSite=None`. Those that take it for `Strict` or refuse the cookie, by Chromium's list: all
/// of iOS 12, Safari and embedded browsers of macOS 10.14, Chrome 51 to 66, UC Browser before 12.13.2.
fn knows_same_site_none(agent: &[u8]) -> bool {
    let agent = String::from_utf8_lossy(agent);
    let version = |mark: &str| -> Option<Vec<u32>> {
        let (_, rest) = agent.split_once(mark)?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
        let numbers = rest[..end.unwrap_or(rest.len())].split(['.', '_']);
        Some(numbers.map_while(|number| number.parse().ok()).collect())
    };
    let ios_12 = agent.contains("(iP") && version(" OS ").is_some_and(|v| v.first() == Some(&12));
    let macos_14 = version("Mac OS X ").is_some_and(|v| v.starts_with(&[10, 14]));
    let chromium = agent.contains("Chrome/") || agent.contains("Chromium/");
    let webkit = agent.contains("AppleWebKit/") && !chromium && !agent.contains("Firefox/");
    if let Some(uc) = version("UCBrowser/") {
        return uc >= vec![12, 13, 2];
    }
    let old_chrome = ["Chrome/", "Chromium/"]
        .iter()
        .filter_map(|mark| version(mark))
        .any(|v| v.first().is_some_and(|major| (51..=66).contains(major)));
    !(ios_12 || (macos_14 && webkit) || old_chrome)
}

#[cfg(test)]
mod tests;
