//! Durations as GEP-2257 writes them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A span of time in the form of GEP-2257: up to four parts of up to five digits and a unit out of
/// `h`, `m`, `s`, `ms`, as `1h30m` or `250ms`. No sign, no fraction, no bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(pub std::time::Duration);

/// A text that is not a GEP-2257 duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDuration {
    /// The text as it came.
    pub text: String,
    /// Which rule it breaks.
    pub reason: &'static str,
}

/// The pattern of GEP-2257, for schemas.
const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let refuse = |reason| {
            Err(InvalidDuration {
                text: text.to_owned(),
                reason,
            })
        };
        if text.is_empty() {
            return refuse("it is empty");
        }
        let mut rest = text;
        let mut total_ms = 0_u64;
        let mut parts = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return refuse(
                    "a number is expected before each unit; signs and fractions are not allowed",
                );
            }
            if digits > 5 {
                return refuse("a number has more than 5 digits");
            }
            let Ok(number) = rest[..digits].parse::<u64>() else {
                return refuse("a number cannot be read");
            };
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit_ms = match &rest[..letters] {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                "" => return refuse("a unit is missing: h, m, s or ms"),
                _ => return refuse("the units are h, m, s and ms"),
            };
            rest = &rest[letters..];
            // 4 parts of 5 digits of hours are far below u64::MAX milliseconds.
            total_ms += number * unit_ms;
            parts += 1;
            if parts > 4 {
                return refuse("it has more than four parts");
            }
        }
        Ok(Self(std::time::Duration::from_millis(total_ms)))
    }
}

impl fmt::Display for Duration {
    /// The shortest form that reads back as the same duration, in whole milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ms = self.0.as_millis();
        if ms == 0 {
            return f.write_str("0s");
        }
        for (unit_ms, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
            let count = ms / unit_ms;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                ms %= unit_ms;
            }
        }
        Ok(())
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl TryFrom<String> for Duration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

impl fmt::Display for InvalidDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a duration (like 500ms or 1m30s): {}",
            self.text, self.reason
        )
    }
}

impl std::error::Error for InvalidDuration {}
