//! Regular expressions that people write.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// A regular expression over bytes, found in time linear in the text whatever it says: no look-around and
/// no back references. Case counts, `.` is any byte but a line feed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    source: String,
    regex: regex::bytes::Regex,
}

/// A regular expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern {
    /// As it was written.
    pub source: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A compiled expression may be so large; tens of thousands of routes have to fit into memory.
const SIZE_MAX: usize = 128 * 1024;

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`InvalidPattern`]: a mistake, something that has no linear-time form, or too large.
    pub fn new(source: &str) -> Result<Self, InvalidPattern> {
        let compiled = regex::bytes::RegexBuilder::new(source)
            .unicode(false)
            .size_limit(SIZE_MAX)
            .build();
        match compiled {
            Ok(regex) => Ok(Self {
                source: source.to_owned(),
                regex,
            }),
            Err(error) => Err(InvalidPattern {
                source: source.to_owned(),
                reason: short(&error),
            }),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether it is found anywhere in `text`.
    pub fn is_found_in(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The parts that `$1` to `$9` stand for, if it is found at the start of `text`. `$0` is all of it; a group
    /// that took no part is empty.
    pub fn captures_at_start<'t>(&self, text: &'t [u8]) -> Option<[&'t [u8]; 10]> {
        let found = self.regex.captures(text)?;
        if found.get_match().start() != 0 {
            return None;
        }
        let mut parts = [&b""[..]; 10];
        for (part, group) in parts.iter_mut().zip(found.iter()) {
            if let Some(group) = group {
                *part = group.as_bytes();
            }
        }
        Some(parts)
    }

    /// Whether it is found at the start of `text`.
    pub fn is_at_start_of(&self, text: &[u8]) -> bool {
        // The leftmost match begins at the start if any does.
        self.regex
            .find(text)
            .is_some_and(|found| found.start() == 0)
    }

    /// How many groups it has.
    pub fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }
}

/// One line of the library's message, which draws the place over several.
fn short(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(source: String) -> Result<Self, InvalidPattern> {
        Self::new(&source)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.source.cmp(&other.source)
    }
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "regular expression {:?} cannot be used: {}",
            self.source, self.reason
        )
    }
}

impl std::error::Error for InvalidPattern {}
