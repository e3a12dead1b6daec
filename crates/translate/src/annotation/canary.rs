//! Annotations that make an Ingress a canary of another, and say which requests it gets.

use super::{Feature, Reader};
use tidegate_model::{FieldMatch, Pattern, ValueMatch};

/// What an Ingress is with regard to canaries.
#[derive(Default)]
pub(crate) enum CanaryRole {
    /// An ordinary Ingress.
    #[default]
    None,
    /// It gets some of the requests of another.
    Canary(Canary),
    /// Marked as a canary with nothing that selects requests: no routes.
    Unselected { key: String },
}

/// Which requests a canary gets. The selectors are asked in their order, then the weight.
#[derive(Debug)]
pub(crate) struct Canary {
    pub(crate) selectors: Vec<Selector>,
    /// Its part of the rest, and the whole that this is a part of; the part is not above the whole.
    pub(crate) weight: Option<(u32, u32)>,
}

/// A condition that decides about a request.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// What it looks at.
    pub(crate) field: Field,
    pub(crate) condition: FieldMatch,
    /// Whether a request that meets it goes to the canary; if not, it goes to the main Ingress for certain.
    pub(crate) takes: bool,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Header,
    Query,
    Cookie,
}

impl CanaryRole {
    /// Whether requests are sent to it on purpose.
    pub(crate) fn is_selected(&self) -> bool {
        matches!(self, Self::Canary(canary) if canary.selectors.iter().any(|s| s.takes))
    }
}

/// The annotations of one field: its name, a value, a pattern.
struct Names {
    name: Feature,
    value: Feature,
    pattern: Option<Feature>,
}

const HEADER: Names = Names {
    name: Feature::CanaryByHeader,
    value: Feature::CanaryByHeaderValue,
    pattern: Some(Feature::CanaryByHeaderPattern),
};
const QUERY: Names = Names {
    name: Feature::CanaryByQuery,
    value: Feature::CanaryByQueryValue,
    pattern: Some(Feature::CanaryByQueryPattern),
};
const COOKIE: Names = Names {
    name: Feature::CanaryByCookie,
    value: Feature::CanaryByCookieValue,
    pattern: None,
};

/// In the order in which they are asked.
const FIELDS: [(Field, Names); 3] = [
    (Field::Header, HEADER),
    (Field::Query, QUERY),
    (Field::Cookie, COOKIE),
];

impl Reader<'_> {
    pub(super) fn canary(&mut self) -> CanaryRole {
        let Some((key, _)) = self.found.get(&Feature::Canary).copied() else {
            self.needs_canary();
            return CanaryRole::None;
        };
        match self.flag(Feature::Canary) {
            Some(true) => {}
            Some(false) | None => return CanaryRole::None,
        }
        let mut selectors = Vec::new();
        for (field, names) in FIELDS {
            self.selectors(field, &names, &mut selectors);
        }
        let weight = self.weight();
        if selectors.is_empty() && weight.is_none() {
            return CanaryRole::Unselected {
                key: key.to_owned(),
            };
        }
        CanaryRole::Canary(Canary { selectors, weight })
    }

    /// What only a canary may have.
    fn needs_canary(&mut self) {
        let features = FIELDS.iter().flat_map(|(_, names)| {
            [Some(names.name), Some(names.value), names.pattern]
                .into_iter()
                .flatten()
        });
        let mut lost: Vec<_> = features
            .chain([Feature::CanaryWeight])
            .filter_map(|feature| self.found.get(&feature).copied())
            .collect();
        lost.sort_unstable();
        for (key, text) in lost {
            self.refuse(key, text, "it needs canary: \"true\" beside it");
        }
    }

    fn weight(&mut self) -> Option<(u32, u32)> {
        let total = self
            .number(Feature::CanaryWeightTotal, 1..=1_000_000)
            .unwrap_or(100);
        let weight = self.number(Feature::CanaryWeight, 0..=total)?;
        Some((weight, total))
    }

    fn selectors(&mut self, field: Field, names: &Names, selectors: &mut Vec<Selector>) {
        let value = self.text(names.value);
        let pattern = names.pattern.and_then(|feature| self.text(feature));
        let Some((key, name)) = self.found.get(&names.name).copied() else {
            for (key, text) in [value, pattern].into_iter().flatten() {
                self.refuse(
                    key,
                    text,
                    &format!("it needs {} beside it", field.annotation()),
                );
            }
            return;
        };
        let name = name.trim();
        if !field.may_be_called(name) {
            let why = format!("it is not the name of {}", field.text());
            self.refuse(key, name, &why);
            return;
        }
        let name = match field {
            Field::Header => name.to_ascii_lowercase(),
            Field::Query | Field::Cookie => name.to_owned(),
        };
        let mut select = |takes, value| {
            let condition = FieldMatch {
                name: name.clone(),
                value,
            };
            selectors.push(Selector {
                field,
                condition,
                takes,
            });
        };
        let always = || "always".to_owned();
        match (value, pattern) {
            (Some((key, text)), _) => {
                let visible = |b: u8| b == b' ' || b == b'\t' || (b > b' ' && b != 0x7f);
                if text.bytes().all(visible) {
                    // The original lets 'always' match beside an explicit value too.
                    let mut any = vec![text.to_owned(), always()];
                    any.dedup();
                    select(true, ValueMatch::AnyOf(any));
                } else {
                    select(true, ValueMatch::AnyOf(vec![always()]));
                    self.refuse(key, text, "no such value can be sent");
                }
            }
            (None, Some((key, text))) => match Pattern::new(text) {
                Ok(pattern) => select(true, ValueMatch::Regex(pattern)),
                Err(error) => self.refuse(key, text, &error.reason),
            },
            (None, None) => {
                select(true, ValueMatch::AnyOf(vec![always()]));
                select(false, ValueMatch::AnyOf(vec!["never".to_owned()]));
            }
        }
    }
}

impl Field {
    fn annotation(self) -> &'static str {
        match self {
            Self::Header => "canary-by-header",
            Self::Query => "canary-by-query",
            Self::Cookie => "canary-by-cookie",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Header => "a header (RFC 9110 5.6.2)",
            Self::Query => "a parameter of a query",
            Self::Cookie => "a cookie (RFC 6265 4.1.1)",
        }
    }

    fn may_be_called(self, name: &str) -> bool {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let fits = match self {
            Self::Header | Self::Cookie => name.bytes().all(token),
            Self::Query => name.bytes().all(|b| !b.is_ascii_control()),
        };
        fits && !name.is_empty() && name.len() <= 256
    }
}
