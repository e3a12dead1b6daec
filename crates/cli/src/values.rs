//! Values of flags: parsed once, so that nothing behind them meets a bad one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Parses `30s`, `500ms`, `2m`, `1h` and their concatenations, as `1m30s` (GEP-2257).
///
/// # Errors
/// One line that says what is wrong and how it should look.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a duration; write it as 30s, 500ms or 1m30s");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        // Longest first: "ms" must not be read as minutes.
        let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        let (tail, factor) = units
            .iter()
            .find_map(|(unit, factor)| Some((tail.strip_prefix(unit)?, *factor)))
            .ok_or_else(bad)?;
        let part = number.checked_mul(factor).map(Duration::from_millis);
        total = part.and_then(|p| total.checked_add(p)).ok_or_else(bad)?;
        rest = tail;
    }
    if text.is_empty() {
        Err(bad())
    } else {
        Ok(total)
    }
}

/// How a cluster is made to fail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fault {
    /// SIGKILL to the cluster's whole process tree: its pods and its API are gone.
    Kill,
    /// SIGSTOP to the whole tree: connections stay open, nothing answers.
    Hang,
    /// Every pod answers 503.
    Errors,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Hang => "hang",
            Self::Errors => "errors",
        })
    }
}

/// `--fault KIND:CLUSTER@TIME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedFault {
    /// What happens.
    pub(crate) fault: Fault,
    /// To which cluster.
    pub(crate) cluster: String,
    /// When, counted from the first request.
    pub(crate) at: Duration,
}

impl FromStr for PlannedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{text:?} is not a fault; write it as KIND:CLUSTER@TIME, with KIND one of kill, hang \
                 and errors, as in kill:az1@10s"
            )
        };
        let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
        let (cluster, at) = rest.split_once('@').ok_or_else(bad)?;
        let fault = match kind {
            "kill" => Fault::Kill,
            "hang" => Fault::Hang,
            "errors" => Fault::Errors,
            _ => return Err(bad()),
        };
        if cluster.is_empty() {
            return Err(bad());
        }
        Ok(Self {
            fault,
            cluster: cluster.to_owned(),
            at: duration(at)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, ms) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("0s", 0),
            ("1h1ms", 3_600_001),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in [
            "",
            "s",
            "30",
            "1.5s",
            "-1s",
            "10 s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn faults_read_as_in_the_help() {
        let fault: PlannedFault = "errors:az2@1m".parse().expect("valid");
        assert_eq!(fault.fault, Fault::Errors);
        assert_eq!(fault.cluster, "az2");
        assert_eq!(fault.at, Duration::from_secs(60));
        for bad in [
            "",
            "kill",
            "kill:az1",
            "kill:@1s",
            "stop:az1@1s",
            "kill:az1@soon",
        ] {
            assert!(bad.parse::<PlannedFault>().is_err(), "{bad}");
        }
    }
}
