//! The same requests to two controllers: which answers differ.
//!
//! ```text
//! sample (from Ingresses), record (HAR, JSON lines) ──> Request ──> send to both ──> compare ──> Outcome
//! ```

mod compare;
pub(crate) mod record;
pub(crate) mod sample;
mod send;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::Duration;

use http::{HeaderMap, Method};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

pub(crate) use compare::{Body, Difference, Rules};
pub(crate) use send::Target;

/// Requests that wait for their answers at one time; when so many do, the rate falls.
const IN_FLIGHT_MAX: usize = 16;

/// A request to be asked of both controllers.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The Host header.
    pub(crate) host: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Request {
    /// Whether it asks for no change (RFC 9110 9.2.1).
    fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// How reports name it. Values of headers may be secrets and are left out, but for those of samples, which people
    /// have written into annotations.
    fn name(&self) -> String {
        let headers: Vec<&str> = self.headers.keys().map(|name| name.as_str()).collect();
        let with = match headers.is_empty() {
            true => String::new(),
            false => format!(" (with {})", headers.join(", ")),
        };
        format!("{} {}{}{with}", self.method, self.host, self.path)
    }
}

/// How a replay is bounded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests a second to each controller.
    pub(crate) rate: NonZero<u32>,
    /// After this no further request is sent.
    pub(crate) total: Duration,
    /// For one answer.
    pub(crate) each: Duration,
    pub(crate) methods: Methods,
}

/// Which requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Methods {
    /// GET, HEAD and OPTIONS.
    Safe,
    All,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outcome {
    /// In the order of the requests.
    pub(crate) exchanges: Vec<Exchange>,
    /// Requests that were not sent because their method is not safe.
    pub(crate) unsafe_methods: usize,
    /// Requests that were not sent because the time was over.
    pub(crate) not_sent: usize,
    /// Requests that the first controller answered.
    pub(crate) from_answered: usize,
    /// Requests that the second controller answered.
    pub(crate) to_answered: usize,
}

/// One request and how its answers differ.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Exchange {
    pub(crate) request: String,
    pub(crate) differences: Vec<Difference>,
}

impl Outcome {
    pub(crate) fn different(&self) -> usize {
        let different = |exchange: &&Exchange| !exchange.differences.is_empty();
        self.exchanges.iter().filter(different).count()
    }

    /// The controller that answered nothing at all, by its flag.
    pub(crate) fn silent(&self) -> Option<&'static str> {
        match (self.exchanges.len(), self.from_answered, self.to_answered) {
            (0, _, _) => None,
            (_, 0, _) => Some("--from"),
            (_, _, 0) => Some("--to"),
            _ => None,
        }
    }

    pub(crate) fn summary(&self) -> String {
        let mut text = format!(
            "{} requests sent to both, {} answered differently",
            self.exchanges.len(),
            self.different()
        );
        if self.unsafe_methods > 0 {
            text.push_str(&format!(
                "; {} not sent, for their methods are not safe (--unsafe-methods sends them)",
                self.unsafe_methods
            ));
        }
        if self.not_sent > 0 {
            text.push_str(&format!(
                "; {} not sent, for the time was over (--time-limit)",
                self.not_sent
            ));
        }
        text
    }
}

/// Sends all requests to both, at the rate and within the limits.
pub(crate) async fn run(
    requests: Vec<Request>,
    from: Target,
    to: Target,
    rules: &Rules,
    limits: Limits,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut exchanges = BTreeMap::new();
    let mut flying = JoinSet::new();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / limits.rate.get());
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + limits.total;
    let mut done = |outcome: &mut Outcome, answers: Answers| {
        outcome.from_answered += usize::from(answers.from.is_ok());
        outcome.to_answered += usize::from(answers.to.is_ok());
        let exchange = Exchange {
            request: answers.request,
            differences: compare::differences(&answers.from, &answers.to, rules),
        };
        exchanges.insert(answers.number, exchange);
    };
    for (number, request) in requests.into_iter().enumerate() {
        if limits.methods == Methods::Safe && !request.is_safe() {
            outcome.unsafe_methods += 1;
            continue;
        }
        if flying.len() >= IN_FLIGHT_MAX
            && let Some(Ok(answers)) = flying.join_next().await
        {
            done(&mut outcome, answers);
        }
        if tokio::time::timeout_at(end, pace.tick()).await.is_err() || Instant::now() >= end {
            outcome.not_sent += 1;
            continue;
        }
        let (from, to) = (from.clone(), to.clone());
        flying.spawn(async move {
            let (from, to) = tokio::join!(
                from.ask(&request, limits.each),
                to.ask(&request, limits.each)
            );
            Answers {
                number,
                request: request.name(),
                from,
                to,
            }
        });
    }
    while let Some(joined) = flying.join_next().await {
        if let Ok(answers) = joined {
            done(&mut outcome, answers);
        }
    }
    outcome.exchanges = exchanges.into_values().collect();
    outcome
}

/// What both said to one request.
struct Answers {
    number: usize,
    request: String,
    from: Result<send::Answer, String>,
    to: Result<send::Answer, String>,
}

#[cfg(test)]
mod tests;
