//! Name and password (RFC 7617).
//!
//! ```text
//! look: no header, not Basic -> 401      cheap to check, or known to be right -> at once      else -> PasswordCheck
//! run:  a place among those who wait -> a thread that may block -> right or wrong
//! ```
//!
//! Some forms of passwords are costly to check on purpose. That is never done on a worker's thread, and by few
//! threads at a time, so that somebody who guesses stalls nobody who is known. A password that was right is
//! remembered as a keyed hash, one for each user, so that only the first request of a client waits.

mod password;

use super::verdict::{Question, Verdict};
use crate::conn::OwnAnswer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;
use tidegate_model::{PasswordHash, PasswordScheme};
use tokio::sync::Semaphore;

/// The users of a route.
#[derive(Debug)]
pub(super) struct BasicAuth {
    rule: tidegate_model::BasicAuth,
    users: HashMap<Box<str>, User>,
    /// Stands for users who do not exist, so that they are not told from others by the time that an answer takes.
    decoy: Option<PasswordHash>,
    /// The value of WWW-Authenticate.
    challenge: Box<str>,
}

#[derive(Debug)]
struct User {
    hash: PasswordHash,
    /// The keyed hash of the right password, once somebody has had it.
    right: OnceLock<blake3::Hash>,
}

/// A password that is to be checked.
pub(crate) struct PasswordCheck {
    auth: Arc<BasicAuth>,
    user: String,
    password: Vec<u8>,
}

/// The key of all remembered passwords; it never leaves this process.
static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut key = [0; 32];
    // Without randomness there is no TLS either: the process cannot serve safely.
    aws_lc_rs::rand::fill(&mut key).expect("the system gives random bytes");
    key
});

/// A quarter of the cores may check passwords; the rest serves.
static CHECKS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new((cores / 4).max(1))
});
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// So many may wait for their turn: about three seconds of work at the usual cost of bcrypt. More are told 503.
const WAITING_MAX: usize = 64;
/// And so long; then 503 as well.
const PATIENCE: Duration = Duration::from_secs(5);

impl BasicAuth {
    pub(super) fn new(rule: &tidegate_model::BasicAuth) -> Self {
        let realm = rule.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let user = |(name, hash): (&String, &PasswordHash)| {
            let user = User {
                hash: hash.clone(),
                right: OnceLock::new(),
            };
            (name.as_str().into(), user)
        };
        Self {
            users: rule.users.iter().map(user).collect(),
            decoy: rule.users.values().next().cloned(),
            challenge: format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into(),
            rule: rule.clone(),
        }
    }

    /// Whether it lets in by this very rule.
    pub(super) fn is_for(&self, rule: &tidegate_model::BasicAuth) -> bool {
        self.rule == *rule
    }

    pub(super) fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Looks at the value of Authorization.
    pub(super) fn look(self: &Arc<Self>, header: Option<&[u8]>) -> Verdict {
        let Some((name, password)) = header.and_then(credentials) else {
            return Verdict::Refused(OwnAnswer::Unauthorized);
        };
        let user = self.users.get(&*name);
        let Some(hash) = user.map(|user| &user.hash).or(self.decoy.as_ref()) else {
            return Verdict::Refused(OwnAnswer::Unauthorized);
        };
        match user.and_then(|user| user.right.get()) {
            Some(right) if *right == keyed(&password) => return Verdict::Pass,
            _ => {}
        }
        match hash.scheme() {
            PasswordScheme::Sha | PasswordScheme::SaltedSha | PasswordScheme::Plain => {
                let right = password::is_right(&password, hash) && user.is_some();
                right.then_some(()).ok_or(OwnAnswer::Unauthorized).into()
            }
            PasswordScheme::Bcrypt | PasswordScheme::Apr1 | PasswordScheme::Md5 => {
                Verdict::Ask(Question::Password(PasswordCheck {
                    auth: Arc::clone(self),
                    user: name,
                    password,
                }))
            }
        }
    }
}

impl PasswordCheck {
    /// Waits for its turn and checks the password.
    pub(crate) async fn run(self) -> Result<(), OwnAnswer> {
        let _waiting = Waiting::begin().ok_or(OwnAnswer::Exhausted)?;
        let turn = tokio::time::timeout(PATIENCE, CHECKS.acquire()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(OwnAnswer::Exhausted);
        };
        let checked = tokio::task::spawn_blocking(move || {
            // Held by the thread: the work goes on also when the client leaves.
            let _turn = turn;
            self.check()
        });
        match checked.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(OwnAnswer::Unauthorized),
            Err(_) => Err(OwnAnswer::Exhausted),
        }
    }

    fn check(&self) -> bool {
        let user = self.auth.users.get(&*self.user);
        let Some(hash) = user.map(|user| &user.hash).or(self.auth.decoy.as_ref()) else {
            return false;
        };
        let right = password::is_right(&self.password, hash);
        match user {
            Some(user) if right => {
                // Somebody else may have been first, with the same password.
                let _ = user.right.set(keyed(&self.password));
                true
            }
            _ => false,
        }
    }
}

impl std::fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordCheck(..)")
    }
}

/// One of those who wait.
struct Waiting;

impl Waiting {
    fn begin() -> Option<Self> {
        let more = |count| (count < WAITING_MAX).then_some(count + 1);
        WAITING.try_update(Relaxed, Relaxed, more).ok()?;
        Some(Self)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Relaxed);
    }
}

/// Name and password from the value of Authorization.
fn credentials(header: &[u8]) -> Option<(String, Vec<u8>)> {
    let (scheme, rest) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut decoded = STANDARD.decode(rest.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|b| *b == b':')?;
    let password = decoded.split_off(colon + 1);
    decoded.pop();
    Some((String::from_utf8(decoded).ok()?, password))
}

fn keyed(password: &[u8]) -> blake3::Hash {
    blake3::keyed_hash(&KEY, password)
}

#[cfg(test)]
mod tests;
