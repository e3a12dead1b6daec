//! Values of annotations, one type each: a value that does not fit is refused with what would.

use super::{Feature, Reader};
use crate::Reason;
use crate::diagnostic::quote;
use std::time::Duration;
use tidegate_model::{Cidr, Header};

impl<'a> Reader<'a> {
    /// The key and the trimmed value; `None` also when the value is empty.
    pub(super) fn text(&self, feature: Feature) -> Option<(&'a str, &'a str)> {
        let (key, value) = self.found.get(&feature).copied()?;
        let value = value.trim();
        (!value.is_empty()).then_some((key, value))
    }

    /// A value as `read` takes it; one that it does not take is reported.
    pub(super) fn value<T>(
        &mut self,
        feature: Feature,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (key, value) = self.text(feature)?;
        read(value)
            .map_err(|why| self.refuse(key, value, &why))
            .ok()
    }

    /// As Go reads a bool; ingress-nginx and the original do.
    pub(super) fn flag(&mut self, feature: Feature) -> Option<bool> {
        self.value(feature, |text| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err("it must be \"true\" or \"false\"".to_owned()),
        })
    }

    /// Whether it is there and true.
    pub(super) fn is_set(&mut self, feature: Feature) -> bool {
        self.flag(feature) == Some(true)
    }

    pub(super) fn number(
        &mut self,
        feature: Feature,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        self.value(feature, |text| {
            let number = text.parse::<u32>().ok();
            number.filter(|n| range.contains(n)).ok_or_else(|| {
                format!(
                    "it must be a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            })
        })
    }

    /// Seconds; none would be no limit, and is refused.
    pub(super) fn seconds(&mut self, feature: Feature) -> Option<Duration> {
        self.value(feature, |text| {
            whole_seconds(text)
                .filter(|seconds| !seconds.is_zero())
                .ok_or_else(|| "it must be a whole number of seconds from 1 to 86400".to_owned())
        })
    }

    /// Seconds; 0 means that there is no limit.
    pub(super) fn seconds_or_none(&mut self, feature: Feature) -> Option<Duration> {
        let limit = self.value(feature, |text| {
            whole_seconds(text).ok_or_else(|| {
                "it must be a whole number of seconds from 0 (no limit) to 86400".to_owned()
            })
        });
        limit.filter(|limit| !limit.is_zero())
    }

    /// The parts between commas.
    pub(super) fn list(&self, feature: Feature) -> Option<Vec<String>> {
        let (_, value) = self.text(feature)?;
        Some(parts(value).map(str::to_owned).collect())
    }

    /// Ranges of addresses that are kept from the routes or let in: a list that cannot be read closes the routes,
    /// for nobody knows who was meant.
    pub(super) fn guard(&mut self, feature: Feature) -> Result<Option<Vec<Cidr>>, Closed> {
        let Some((key, value)) = self.text(feature) else {
            return Ok(None);
        };
        ranges(value)
            .map(Some)
            .map_err(|why| self.close(key, value, &why))
    }

    /// The name of a Secret or a ConfigMap (`kind`) of the Ingress's namespace.
    pub(super) fn own(&self, kind: &str, text: &str) -> Result<String, String> {
        match text.split_once('/') {
            Some((namespace, name)) if namespace == self.object.namespace => Ok(name.to_owned()),
            Some(_) => Err(format!(
                "a {kind} of another namespace needs that namespace's grant, which is not supported yet; copy it into \
                 the Ingress's namespace"
            )),
            None => Ok(text.to_owned()),
        }
    }

    /// Says that the routes are closed, because something that protects them cannot be read.
    pub(super) fn close(&mut self, key: &str, value: &str, why: &str) -> Closed {
        let text = format!(
            "{} cannot be read, so the routes of this Ingress answer 503 rather than being open: {why}",
            quote(value)
        );
        let field = format!("metadata.annotations[{key}]");
        self.diagnostics
            .error(self.object, field, Reason::Unprotected, text);
        Closed
    }

    /// Header lines, one `name value` a line; quotes around a value are taken off.
    pub(super) fn headers(&mut self, feature: Feature) -> Vec<Header> {
        let lines = self.value(feature, |text| {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines
                .map(|line| {
                    let (name, value) = line
                        .split_once(char::is_whitespace)
                        .ok_or_else(|| format!("{line:?} is not of the form 'name value'"))?;
                    Ok(Header {
                        name: name.to_owned(),
                        value: value.trim().trim_matches('"').to_owned(),
                    })
                })
                .collect()
        });
        lines.unwrap_or_default()
    }
}

/// A time up to a day, as ingress-nginx takes a window: a number with `s`, `m` or `h`.
pub(super) fn window(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let read = |(unit, seconds): &(&str, u64)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds)
    };
    match units.iter().find_map(read) {
        Some(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("it must be a number with s, m or h, such as 1m, up to 24h".to_owned()),
    }
}

/// Up to a day, also written with the unit: `30`, `30s`.
fn whole_seconds(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s').unwrap_or(text).parse::<u32>().ok();
    let number = number.filter(|seconds| *seconds <= 86_400)?;
    Some(Duration::from_secs(number.into()))
}

/// Something that protects the routes cannot be read.
#[derive(Debug)]
pub(super) struct Closed;

/// Ranges of addresses between commas.
pub(super) fn ranges(text: &str) -> Result<Vec<Cidr>, String> {
    let ranges = parts(text).map(|part| part.parse::<Cidr>().map_err(|error| error.to_string()));
    ranges.collect()
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// A size in bytes as nginx writes it: `10`, `8k`, `8m`, `1g`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number = digits.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "it must be a size such as 512k, 8m or 1g".to_owned())
}
