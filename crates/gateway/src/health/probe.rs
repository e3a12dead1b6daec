//! The prober: asks every endpoint, once a process, on connections of its own.
//!
//! It runs on a thread of its own, so that probes neither wait for requests nor delay them. As an
//! [`ActiveCheck`] says, a probe is a TCP connection or an HTTP request. Two things a TCP connection cannot
//! tell, because the kernel accepts it for a process that is stopped, and an application may answer nothing
//! but errors:
//!
//! * A **suspect** ([`super::silence`]) must say something before it is trusted again. Where the check is TCP
//!   it is asked `OPTIONS *`, HTTP's own "ping" (RFC 9110 9.3.7): any byte will do.
//!   In HTTP/2 a connection is begun instead, to which a server must say something (RFC 9113 3.4).
//! * An **ejected** endpoint is asked the same. If it answered with a server error (500, 502, 503, 504) and then
//!   without, what failed was seen to work again, and the ejection ends before its time. If its answer never
//!   was an error, it tells nothing and the ejection takes its time.
//!
//! An endpoint that speaks TLS is shaken hands with before it is asked something; a mere connection is one of TCP.
//!
//! Starts are spread over the interval, and at most [`PROBES_MAX`] are under way. If all of at least two
//! endpoints fail, the fault may be ours: [`HealthTable::self_suspect`] says so, and the panic rule keeps
//! traffic going.

use super::{BackendHealth, EndpointId, EndpointState, HealthTable};
use crate::tls::BackendSecurity;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_model::{ActiveCheck, Probe, Protocol};
use tidegate_runtime::{Clock, Tick};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

/// Descriptors are finite, and so is the patience of a network's connection tracking.
pub const PROBES_MAX: usize = 256;
/// Fine enough for silence of 50 ms.
const TICK: Duration = Duration::from_millis(10);
/// A suspect or ejected endpoint is asked at least this often: its return should not wait for the interval.
const DOUBT_INTERVAL: Duration = Duration::from_millis(500);
/// The preface and empty SETTINGS.
const HTTP2_START: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// What a status line has at least; less of an answer tells nothing yet.
const STATUS_LEN: usize = 12;
/// More of an answer than its first line is not read.
const ANSWER_LEN_MAX: usize = 1024;

/// Starts the prober's thread; it ends when `shutdown` is cancelled.
///
/// # Errors
/// When there is no thread or runtime to be had.
pub fn spawn(
    health: Arc<HealthTable>,
    clock: Clock,
    shutdown: CancellationToken,
) -> io::Result<std::thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("prober".to_owned())
        .spawn(move || runtime.block_on(run(health, clock, shutdown)))
}

/// The prober itself, for a runtime that the caller provides.
pub async fn run(health: Arc<HealthTable>, clock: Clock, shutdown: CancellationToken) {
    let mut prober = Prober {
        health,
        random: RandomState::new(),
        version: 0,
        targets: HashMap::new(),
        due: BinaryHeap::new(),
    };
    let mut under_way = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {
                let now = clock.now();
                prober.health.tick(now);
                prober.follow(now);
                while under_way.len() < PROBES_MAX
                    && let Some(task) = prober.next(now)
                {
                    under_way.spawn(task.ask());
                }
            }
            Some(finished) = under_way.join_next() => match finished {
                Ok((id, answer)) => prober.take(id, answer, clock.now()),
                Err(error) => tracing::error!(%error, "a probe has panicked"),
            },
        }
    }
}

struct Prober {
    health: Arc<HealthTable>,
    random: RandomState,
    /// Of the table, when targets were last taken from it.
    version: u64,
    targets: HashMap<EndpointId, Target>,
    due: BinaryHeap<Reverse<(Tick, EndpointId)>>,
}

struct Target {
    endpoint: Arc<EndpointState>,
    backend: Arc<BackendHealth>,
    started: Tick,
    run: Run,
    failing: bool,
    /// The probe under way asks for an answer.
    asked: bool,
    /// It answered `OPTIONS *` with a server error since it was ejected.
    seen_erring: bool,
}

/// Equal results in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Run {
    good: bool,
    length: u32,
}

struct Task {
    id: EndpointId,
    address: SocketAddr,
    security: Option<Arc<BackendSecurity>>,
    question: Question,
    timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    Connect,
    Http {
        request: String,
        ping: bool,
    },
    /// GET, in HTTP/2.
    Http2 {
        uri: String,
    },
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// No connection, or no answer in time.
    Nothing { connected: bool },
    /// There was a connection; nothing was asked.
    Connected,
    /// The first line of an answer; 0 when it holds no status.
    Status { status: u16, ping: bool },
}

impl Run {
    /// The run after one more result, and what it says by the thresholds.
    fn after(self, good: bool, check: &ActiveCheck) -> (Self, Option<bool>) {
        let length = match self.good == good {
            true => self.length.saturating_add(1),
            false => 1,
        };
        let needed = match good {
            true => check.healthy_threshold,
            false => check.unhealthy_threshold,
        };
        (Self { good, length }, (length >= needed).then_some(good))
    }
}

impl Prober {
    /// Takes over which endpoints there are.
    fn follow(&mut self, now: Tick) {
        let version = self.health.version();
        if version == self.version {
            return;
        }
        self.version = version;
        let mut old = std::mem::take(&mut self.targets);
        for backend in self.health.backends() {
            let check = &backend.policy().health.active;
            if check.probe == Probe::None {
                continue;
            }
            for endpoint in backend.endpoints().iter() {
                endpoint.cluster().set_probed();
                let id = endpoint.id();
                let target = old.remove(&id).unwrap_or_else(|| {
                    let part = (self.random.hash_one(id.0) % 1000) as f64 / 1000.0;
                    let first = now + check.interval.mul_f64(part);
                    self.due.push(Reverse((first, id)));
                    Target {
                        endpoint: Arc::clone(endpoint),
                        backend: Arc::clone(&backend),
                        started: Tick::NEVER,
                        run: Run::default(),
                        failing: false,
                        asked: false,
                        seen_erring: false,
                    }
                });
                self.targets.insert(id, target);
            }
        }
    }

    /// The next probe that is due.
    fn next(&mut self, now: Tick) -> Option<Task> {
        while let Some(Reverse((due, id))) = self.due.peek().copied() {
            if due > now {
                return None;
            }
            self.due.pop();
            // One that is gone is no longer asked.
            if let Some(target) = self.targets.get_mut(&id) {
                target.started = now;
                return Some(target.task(now));
            }
        }
        None
    }

    fn take(&mut self, id: EndpointId, answer: Answer, now: Tick) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        let interval = target.take(answer, now);
        let next = (target.started + interval).max(now + TICK);
        self.due.push(Reverse((next, id)));
        let failing = self.targets.values().filter(|t| t.failing).count();
        let all = failing >= 2 && failing == self.targets.len();
        self.health.set_self_suspect(all);
    }
}

impl Target {
    fn task(&mut self, now: Tick) -> Task {
        let policy = self.backend.policy();
        let check = &policy.health.active;
        let address = self.endpoint.address();
        let doubted = self.endpoint.doubted(now) || self.endpoint.ejected(now);
        let question = match &check.probe {
            Probe::Http { path, host } => {
                let host = match host.is_empty() {
                    true => address.to_string(),
                    false => host.clone(),
                };
                match self.endpoint.protocol() {
                    Protocol::Http1 => Question::Http {
                        request: request("GET", path, &host),
                        ping: false,
                    },
                    Protocol::Http2 => Question::Http2 {
                        uri: match self.endpoint.is_secured() {
                            true => format!("https://{host}{path}"),
                            false => format!("http://{host}{path}"),
                        },
                    },
                }
            }
            Probe::Tcp | Probe::None if doubted => Question::Http {
                request: match self.endpoint.protocol() {
                    Protocol::Http1 => request("OPTIONS", "*", &address.to_string()),
                    Protocol::Http2 => HTTP2_START.to_owned(),
                },
                ping: true,
            },
            Probe::Tcp | Probe::None => Question::Connect,
        };
        self.asked = question != Question::Connect;
        Task {
            id: self.endpoint.id(),
            address,
            security: self.endpoint.security(),
            question,
            timeout: check.timeout,
        }
    }

    /// Judges by an answer; the time from the start of this probe to that of the next.
    fn take(&mut self, answer: Answer, now: Tick) -> Duration {
        let policy = self.backend.policy();
        let check = &policy.health.active;
        let good = match answer {
            Answer::Nothing { connected } => connected && check.probe == Probe::Tcp,
            Answer::Connected => true,
            Answer::Status { ping: true, .. } => true,
            Answer::Status { status, .. } => (200..=399).contains(&status),
        };
        if matches!(answer, Answer::Status { .. }) {
            self.endpoint.alive(now);
        }
        let (run, verdict) = self.run.after(good, check);
        self.run = run;
        // A suspect that takes the connection and says nothing fails too, though the check does not.
        self.failing = !good || (self.asked && matches!(answer, Answer::Nothing { .. }));
        self.endpoint.probed(good, verdict, now);
        self.watch_ejection(answer, now);
        match self.endpoint.doubted(now) || self.endpoint.ejected(now) {
            true => check.interval.min(DOUBT_INTERVAL),
            false => check.interval,
        }
    }

    fn watch_ejection(&mut self, answer: Answer, now: Tick) {
        if !self.endpoint.ejected(now) {
            // After it the next ejection has to be seen erring anew, unless it follows at once.
            self.seen_erring &= self.endpoint.failures() > 0;
            return;
        }
        match answer {
            Answer::Status {
                status: 500 | 502..=504,
                ping: true,
            } => {
                self.seen_erring = true;
            }
            Answer::Status { ping: true, .. } if self.seen_erring => {
                self.seen_erring = false;
                self.endpoint.end_ejection(now);
            }
            Answer::Status { .. } | Answer::Connected | Answer::Nothing { .. } => {}
        }
    }
}

fn request(method: &str, target: &str, host: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: tidegate-probe\r\nconnection: close\r\n\r\n"
    )
}

impl Task {
    async fn ask(self) -> (EndpointId, Answer) {
        let mut connected = false;
        let asked = tokio::time::timeout(self.timeout, async {
            let stream = TcpStream::connect(self.address).await?;
            connected = true;
            match &self.question {
                // TLS is not begun: a handshake that fails is seen by requests.
                Question::Connect => Ok(Answer::Connected),
                Question::Http { request, ping } => {
                    let mut stream = self.secure(stream).await?;
                    stream.write_all(request.as_bytes()).await?;
                    let status = read_status(&mut stream).await?;
                    Ok::<_, io::Error>(Answer::Status {
                        status,
                        ping: *ping,
                    })
                }
                Question::Http2 { uri } => {
                    let status = get_http2(self.secure(stream).await?, uri).await;
                    let status = status.map_err(io::Error::other)?;
                    Ok(Answer::Status {
                        status,
                        ping: false,
                    })
                }
            }
        })
        .await;
        match asked {
            Ok(Ok(answer)) => (self.id, answer),
            Ok(Err(_)) | Err(_) => (self.id, Answer::Nothing { connected }),
        }
    }
    /// Shakes hands, where TLS is spoken.
    async fn secure(
        &self,
        stream: TcpStream,
    ) -> io::Result<Either<TcpStream, TlsStream<TcpStream>>> {
        let Some(security) = &self.security else {
            return Ok(Either::Left(stream));
        };
        let (connector, name) = security.connector(self.address)?;
        let shaken = connector.connect(name, stream).await;
        let shaken = shaken.inspect_err(|error| security.failed(self.address, error));
        Ok(Either::Right(shaken?))
    }
}

/// The status of the first line, 0 when there is none in it; an error when there is no byte at all.
async fn read_status(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<u16> {
    let mut answer = [0; ANSWER_LEN_MAX];
    let mut filled = 0;
    while filled < answer.len() {
        match stream.read(&mut answer[filled..]).await {
            Ok(0) if filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if filled == 0 => return Err(error),
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
        if filled >= STATUS_LEN {
            break;
        }
    }
    Ok(status(&answer[..filled]).unwrap_or(0))
}

/// The status of an answer to GET in HTTP/2.
async fn get_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    uri: &str,
) -> Result<u16, h2::Error> {
    let (send, connection) = h2::client::handshake(stream).await?;
    let ask = async {
        let mut request = http::Request::new(());
        *request.uri_mut() = uri.parse().unwrap_or_default();
        let (answer, _) = send.ready().await?.send_request(request, true)?;
        Ok(answer.await?.status().as_u16())
    };
    tokio::select! {
        status = ask => status,
        ended = connection => Err(ended.err().unwrap_or_else(|| h2::Reason::CANCEL.into())),
    }
}

/// `HTTP/1.x NNN`
fn status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
