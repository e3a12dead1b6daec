//! Names and passwords of those who may ask.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Name and password are asked for (RFC 7617); whoever has none, or wrong ones, is answered 401.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// What the client is told that it asks for. At most 256 visible characters and spaces.
    #[serde(default = "default_realm")]
    pub realm: String,
    /// Passwords by name; from one user to [`BasicAuth::USERS_MAX`].
    pub users: BTreeMap<String, PasswordHash>,
}

/// Whether all rules of access must let a request in, or one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Satisfy {
    /// Its address and its password.
    #[default]
    All,
    /// Its address or its password. An address on a list of refused ones never is let in.
    Any,
}

/// A password as htpasswd writes it down. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordHash {
    scheme: PasswordScheme,
    text: String,
}

/// How a password was made unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordScheme {
    /// `$2y$`, `$2a$`, `$2b$`.
    Bcrypt,
    /// `$apr1$`: Apache's form of MD5-crypt.
    Apr1,
    /// `$1$`: MD5-crypt.
    Md5,
    /// `{SHA}`: SHA-1 in base64.
    Sha,
    /// `{SSHA}`: SHA-1 with a salt behind it, in base64.
    SaltedSha,
    /// `{PLAIN}`: not at all.
    Plain,
}

/// A text that is no password of a form that can be checked. It does not hold the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPasswordHash {
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Each step doubles the work; at this one a check takes about a second of a core.
const BCRYPT_COST_MAX: u32 = 14;
/// A longer realm is no name.
const REALM_MAX: usize = 256;

impl BasicAuth {
    /// More users belong into a service of their own, such as an identity provider: every gateway holds them all,
    /// once for each route.
    pub const USERS_MAX: usize = 1000;

    /// The realm where none is named.
    pub const REALM: &'static str = "Authentication Required";

    /// The first field that cannot be served, with the reason.
    ///
    /// # Errors
    /// That field and the reason; it names no password.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let visible = |b: u8| (b' '..=b'~').contains(&b);
        if self.realm.len() > REALM_MAX || !self.realm.bytes().all(visible) {
            let reason = format!("only visible ASCII and at most {REALM_MAX} characters");
            return Err(("realm", reason));
        }
        if !(1..=Self::USERS_MAX).contains(&self.users.len()) {
            let count = self.users.len();
            let reason = format!("{count} users; there must be 1 to {}", Self::USERS_MAX);
            return Err(("users", reason));
        }
        // RFC 7617 2: a colon ends the name.
        let wrong = |name: &&String| {
            name.is_empty() || name.contains(':') || name.chars().any(char::is_control)
        };
        match self.users.keys().find(wrong) {
            Some(name) => Err((
                "users",
                format!("{name:?} is no name: it is empty, or holds ':' or a control character"),
            )),
            None => Ok(()),
        }
    }
}

impl PasswordHash {
    /// Takes a password as htpasswd writes it.
    ///
    /// # Errors
    /// [`InvalidPasswordHash`] when it is of no form that can be checked.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPasswordHash> {
        let text = text.into();
        let scheme = PasswordScheme::of(&text)?;
        Ok(Self { scheme, text })
    }

    /// How it was made.
    pub fn scheme(&self) -> PasswordScheme {
        self.scheme
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PasswordScheme {
    fn of(text: &str) -> Result<Self, InvalidPasswordHash> {
        let refuse = |reason| Err(InvalidPasswordHash { reason });
        for (start, scheme) in [("$apr1$", Self::Apr1), ("$1$", Self::Md5)] {
            if let Some(rest) = text.strip_prefix(start) {
                let fits = rest.split_once('$').is_some_and(|(salt, hash)| {
                    (1..=8).contains(&salt.len()) && hash.len() == 22 && is_crypt64(hash)
                });
                return match fits {
                    true => Ok(scheme),
                    false => refuse("it begins like MD5-crypt and is cut or damaged"),
                };
            }
        }
        let bcrypt = ["$2y$", "$2a$", "$2b$"];
        if let Some(rest) = bcrypt.iter().find_map(|start| text.strip_prefix(start)) {
            let (cost, rest) = rest.split_once('$').unwrap_or_default();
            if cost.len() != 2 || rest.len() != 53 || !is_crypt64(rest) {
                return refuse("it begins like bcrypt and is cut or damaged");
            }
            return match cost.parse::<u32>() {
                Ok(4..=BCRYPT_COST_MAX) => Ok(Self::Bcrypt),
                _ => {
                    refuse("the cost of bcrypt must be from 4 to 14: a check must not take seconds")
                }
            };
        }
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        if let Some(rest) = text.strip_prefix("{SHA}") {
            return match rest.len() == 28 && rest.bytes().all(base64) {
                true => Ok(Self::Sha),
                false => refuse("it begins like {SHA} and is cut or damaged"),
            };
        }
        if let Some(rest) = text.strip_prefix("{SSHA}") {
            let fits = (28..=256).contains(&rest.len());
            return match fits && rest.bytes().all(base64) {
                true => Ok(Self::SaltedSha),
                false => refuse("it begins like {SSHA} and is cut or damaged"),
            };
        }
        match text.strip_prefix("{PLAIN}") {
            Some(rest) if !rest.is_empty() => Ok(Self::Plain),
            _ => refuse(
                "it is of none of the forms that can be checked: bcrypt, MD5 ($apr1$, $1$), {SHA}, {SSHA}, {PLAIN}; \
                 'htpasswd -B' makes the first",
            ),
        }
    }
}

fn is_crypt64(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b))
}

fn default_realm() -> String {
    BasicAuth::REALM.to_owned()
}

impl TryFrom<String> for PasswordHash {
    type Error = InvalidPasswordHash;

    fn try_from(text: String) -> Result<Self, InvalidPasswordHash> {
        Self::new(text)
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.text
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?}, ..)", self.scheme)
    }
}

impl fmt::Display for InvalidPasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the password cannot be used: {}", self.reason)
    }
}

impl std::error::Error for InvalidPasswordHash {}

#[cfg(test)]
mod tests;
