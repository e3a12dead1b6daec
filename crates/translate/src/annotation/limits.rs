//! Annotations about how much may be asked, and how fast answers go.

use super::balance::key_parts;
use super::filters::url;
use super::{Feature, Reader, value};
use std::time::Duration;
use tidegate_model::{
    Cidr, ConcurrencyLimit, Filters, KeyPart, LimitBy, LimitOf, OverLimit, Pace, RateLimit,
};

/// The annotations that say what those are told who ask too much.
struct Fallback {
    code: Feature,
    kind: Feature,
    body: Feature,
    redirect: Feature,
}

const RATE_FALLBACK: Fallback = Fallback {
    code: Feature::FleetLimitCode,
    kind: Feature::FleetLimitBodyType,
    body: Feature::FleetLimitBody,
    redirect: Feature::FleetLimitRedirect,
};

const CONCURRENCY_FALLBACK: Fallback = Fallback {
    code: Feature::ConcurrencyLimitCode,
    kind: Feature::ConcurrencyLimitBodyType,
    body: Feature::ConcurrencyLimitBody,
    redirect: Feature::ConcurrencyLimitRedirect,
};

/// What clients of the original look for.
const FALLBACK_BODY: &str = "sentinel rate limited";

impl Reader<'_> {
    /// All that is said about it.
    pub(super) fn limits_of_use(&mut self, filters: &mut Filters) {
        let exempt = self.value(Feature::LimitAllowlist, value::ranges);
        let exempt = exempt.or_else(|| self.value(Feature::LimitWhitelist, value::ranges));
        let exempt = exempt.unwrap_or_default();
        filters.concurrency_limit = self.concurrency_limits(&exempt);
        filters.rate_limit = self.rate_limits(&exempt);
        filters.pace = self.pace();
    }

    /// In the order in which they count: those of a client by the minute and by the second, that of a key, then those of
    /// the route.
    fn rate_limits(&mut self, exempt: &[Cidr]) -> Vec<RateLimit> {
        let minute = self.limit(Feature::LimitRpm);
        let second = self.limit(Feature::LimitRps);
        let burst = self.number(Feature::LimitBurst, 1..=1000).unwrap_or(5);
        let client = |(requests, seconds)| RateLimit {
            requests,
            per: Duration::from_secs(seconds),
            burst: requests.saturating_mul(burst),
            by: LimitBy::Client,
            of: LimitOf::Gateway,
            over: with_status(503),
            exempt: exempt.to_vec(),
        };
        let mut limits = Vec::new();
        limits.extend(minute.map(|requests| client((requests, 60))));
        limits.extend(second.map(|requests| client((requests, 1))));
        limits.extend(self.global_limit());
        let minute = self.limit(Feature::RouteLimitRpm);
        let second = self.limit(Feature::RouteLimitRps);
        let burst = self.number(Feature::RouteLimitBurst, 1..=1_000_000);
        // The original reads the first of the two.
        let route = minute.map(|n| (n, 60)).or(second.map(|n| (n, 1)));
        limits.extend(route.map(|(requests, seconds)| RateLimit {
            requests,
            per: Duration::from_secs(seconds),
            burst: requests.saturating_mul(burst.unwrap_or(5)),
            by: LimitBy::Route,
            of: LimitOf::Gateway,
            over: OverLimit::default(),
            exempt: Vec::new(),
        }));
        let over = self.fallback(&RATE_FALLBACK);
        limits.extend(self.limit(Feature::FleetLimit).map(|requests| RateLimit {
            requests,
            per: Duration::from_secs(1),
            burst: requests,
            by: LimitBy::Route,
            of: LimitOf::Fleet,
            over,
            exempt: Vec::new(),
        }));
        limits
    }

    fn global_limit(&mut self) -> Option<RateLimit> {
        let window = self.value(Feature::GlobalLimitWindow, value::window);
        let key = self.value(Feature::GlobalLimitKey, key_parts);
        let exempt = self.value(Feature::GlobalLimitIgnored, value::ranges);
        let requests = self.limit(Feature::GlobalLimit)?;
        let Some(per) = window else {
            if let Some((key, value)) = self.text(Feature::GlobalLimit)
                && self.text(Feature::GlobalLimitWindow).is_none()
            {
                self.refuse(key, value, "it needs global-rate-limit-window beside it");
            }
            return None;
        };
        Some(RateLimit {
            requests,
            per,
            burst: requests,
            by: match key.as_deref() {
                None | Some([KeyPart::ClientAddress]) => LimitBy::Client,
                Some(parts) => LimitBy::Key(parts.to_vec()),
            },
            of: LimitOf::Fleet,
            over: OverLimit::default(),
            exempt: exempt.unwrap_or_default(),
        })
    }

    /// That of a client before that of the route.
    fn concurrency_limits(&mut self, exempt: &[Cidr]) -> Vec<ConcurrencyLimit> {
        let client = self.limit(Feature::LimitConnections);
        let client = client.map(|requests| ConcurrencyLimit {
            requests,
            by: LimitBy::Client,
            of: LimitOf::Gateway,
            over: with_status(503),
            exempt: exempt.to_vec(),
        });
        let over = self.fallback(&CONCURRENCY_FALLBACK);
        let route = self.limit(Feature::ConcurrencyLimit);
        let route = route.map(|requests| ConcurrencyLimit {
            requests,
            by: LimitBy::Route,
            of: LimitOf::Fleet,
            over,
            exempt: Vec::new(),
        });
        client.into_iter().chain(route).collect()
    }

    fn fallback(&mut self, of: &Fallback) -> OverLimit {
        let status = self.value(of.code, |text| match text.parse::<u16>() {
            Ok(code @ 400..=599) => Ok(code),
            _ => Err("it must be a status from 400 to 599, so 429 is used".to_owned()),
        });
        let kind = self.value(of.kind, |text| match text {
            "text" => Ok("text/plain; charset=utf-8"),
            "json" => Ok("application/json; charset=utf-8"),
            _ => Err("it must be \"text\" or \"json\"".to_owned()),
        });
        let body = self.value(of.body, |text| match text.len() {
            0..=16_384 => Ok(text.to_owned()),
            _ => Err("it is longer than 16384 bytes".to_owned()),
        });
        OverLimit {
            status: status.unwrap_or(429),
            body: Some(body.unwrap_or_else(|| FALLBACK_BODY.to_owned())),
            content_type: kind.unwrap_or("text/plain; charset=utf-8").to_owned(),
            redirect: self.value(of.redirect, url),
        }
    }

    fn pace(&mut self) -> Option<Pace> {
        let after = self.limit(Feature::LimitRateAfter).unwrap_or(0);
        let rate = self.limit(Feature::LimitRate)?;
        Some(Pace {
            bytes_per_second: u64::from(rate) * 1024,
            after: u64::from(after) * 1024,
        })
    }

    /// A number; 0 means that there is no limit.
    fn limit(&mut self, feature: Feature) -> Option<u32> {
        let number = self.number(feature, 0..=1_000_000_000);
        number.filter(|number| *number > 0)
    }
}

fn with_status(status: u16) -> OverLimit {
    OverLimit {
        status,
        ..OverLimit::default()
    }
}
