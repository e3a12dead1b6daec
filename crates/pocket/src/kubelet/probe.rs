//! Probes: when to ask, and what a row of answers means. Asking itself is in `ask`.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Which of a container's probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    pub(crate) const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Http {
        host: String,
        port: u16,
        path: String,
        headers: Vec<(String, String)>,
    },
    Tcp {
        host: String,
        port: u16,
    },
}

/// A probe with its defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProbeSpec {
    pub(crate) question: Question,
    pub(crate) initial_delay: Duration,
    pub(crate) period: Duration,
    pub(crate) timeout: Duration,
    pub(crate) success_threshold: u32,
    pub(crate) failure_threshold: u32,
}

impl ProbeSpec {
    /// Reads `probe` of `container`, whose pod has the address `ip`; the error says what is not supported.
    pub(crate) fn of(probe: &Probe, container: &Container, ip: Ipv4Addr) -> Result<Self, String> {
        let port = |port: &IntOrString| match port {
            IntOrString::Int(n) => {
                u16::try_from(*n).map_err(|_| format!("port {n} is out of range"))
            }
            IntOrString::String(name) => container
                .ports
                .iter()
                .flatten()
                .find(|p| p.name.as_deref() == Some(name))
                .and_then(|p| u16::try_from(p.container_port).ok())
                .ok_or_else(|| format!("the container has no port named {name:?}")),
        };
        let question = if let Some(http) = &probe.http_get {
            if http
                .scheme
                .as_deref()
                .is_some_and(|scheme| scheme != "HTTP")
            {
                return Err("httpGet with HTTPS is not supported by a pocket cluster".to_owned());
            }
            Question::Http {
                host: http
                    .host
                    .clone()
                    .filter(|h| !h.is_empty())
                    .unwrap_or_else(|| ip.to_string()),
                port: port(&http.port)?,
                path: http
                    .path
                    .clone()
                    .filter(|p| !p.is_empty())
                    .unwrap_or_else(|| "/".to_owned()),
                headers: http
                    .http_headers
                    .iter()
                    .flatten()
                    .map(|h| (h.name.clone(), h.value.clone()))
                    .collect(),
            }
        } else if let Some(tcp) = &probe.tcp_socket {
            Question::Tcp {
                host: tcp
                    .host
                    .clone()
                    .filter(|h| !h.is_empty())
                    .unwrap_or_else(|| ip.to_string()),
                port: port(&tcp.port)?,
            }
        } else {
            return Err(
                "only httpGet and tcpSocket probes are supported by a pocket cluster".to_owned(),
            );
        };
        let seconds = |n: Option<i32>, default: u64| {
            Duration::from_secs(n.and_then(|n| u64::try_from(n).ok()).unwrap_or(default))
        };
        let at_least_one = |n: Option<i32>, default: u32| {
            n.and_then(|n| u32::try_from(n).ok())
                .unwrap_or(default)
                .max(1)
        };
        Ok(Self {
            question,
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10).max(Duration::from_secs(1)),
            timeout: seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1)),
            success_threshold: at_least_one(probe.success_threshold, 1),
            failure_threshold: at_least_one(probe.failure_threshold, 3),
        })
    }
}

/// What the answers so far mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Unknown,
    Passing,
    Failing,
}

/// A running probe as a value.
#[derive(Debug, Clone)]
pub(crate) struct ProbeState {
    pub(crate) spec: ProbeSpec,
    pub(crate) verdict: Verdict,
    successes: u32,
    failures: u32,
    next_at: Instant,
    asking: bool,
}

impl ProbeState {
    /// A probe that is first asked `initial_delay` after `now`.
    pub(crate) fn new(spec: ProbeSpec, now: Instant) -> Self {
        let next_at = now + spec.initial_delay;
        Self {
            spec,
            verdict: Verdict::Unknown,
            successes: 0,
            failures: 0,
            next_at,
            asking: false,
        }
    }

    /// When [`ProbeState::ask`] will next say yes.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.asking).then_some(self.next_at)
    }

    /// Whether to ask now. One question at a time: a slow answer delays the next question, it does not pile up.
    pub(crate) fn ask(&mut self, now: Instant) -> bool {
        let ask = !self.asking && now >= self.next_at;
        if ask {
            self.asking = true;
            self.next_at = now + self.spec.period;
        }
        ask
    }

    /// Takes an answer in; says whether the verdict changed.
    pub(crate) fn answered(&mut self, passed: bool) -> bool {
        self.asking = false;
        let before = self.verdict;
        if passed {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            if self.successes >= self.spec.success_threshold {
                self.verdict = Verdict::Passing;
            }
        } else {
            self.successes = 0;
            self.failures = self.failures.saturating_add(1);
            if self.failures >= self.spec.failure_threshold {
                self.verdict = Verdict::Failing;
            }
        }
        self.verdict != before
    }
}

#[cfg(test)]
mod tests;
