//! Label and field selectors.

#[cfg(test)]
mod tests;

use crate::status::Status;
use serde_json::{Map, Value};

/// A parsed `labelSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let mut requirements = Vec::new();
        for term in split_terms(text) {
            let term = term.trim();
            if term.is_empty() {
                if text.trim().is_empty() {
                    continue;
                }
                return Err(bad(text, "found an empty term"));
            }
            requirements.push(
                requirement(term).ok_or_else(|| bad(text, &format!("cannot read {term:?}")))?,
            );
        }
        Ok(LabelSelector { requirements })
    }

    /// Whether everything matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object's labels satisfy every requirement.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        if self.requirements.is_empty() {
            return true;
        }
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object);
        self.requirements.iter().all(|r| r.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        let value = labels
            .and_then(|l| l.get(&self.key))
            .and_then(Value::as_str);
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.operator {
            Operator::In(all) => value.is_some_and(|v| all.iter().any(|a| a == v)),
            // An object without the label is "not in" and "!=".
            Operator::NotIn(all) => value.is_none_or(|v| all.iter().all(|a| a != v)),
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::GreaterThan(n) => number().is_some_and(|v| v > *n),
            Operator::LessThan(n) => number().is_some_and(|v| v < *n),
        }
    }
}

/// Splits at commas outside parentheses.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut depth) = (0, 0u32);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                terms.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn requirement(term: &str) -> Option<Requirement> {
    let make = |key: &str, operator| {
        is_label_key(key).then(|| Requirement {
            key: key.to_owned(),
            operator,
        })
    };
    if let Some(key) = term.strip_prefix('!') {
        return make(key.trim(), Operator::Absent);
    }
    if let Some(set) = term.strip_suffix(')') {
        let (head, values) = set.split_once('(')?;
        let values: Vec<String> = values.split(',').map(|v| v.trim().to_owned()).collect();
        if !values.iter().all(|v| is_label_value(v)) {
            return None;
        }
        let mut words = head.split_whitespace();
        let (key, word) = (words.next()?, words.next()?);
        return match (word, words.next()) {
            ("in", None) => make(key, Operator::In(values)),
            ("notin", None) => make(key, Operator::NotIn(values)),
            _ => None,
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        let value = value.trim();
        return is_label_value(value)
            .then(|| make(key.trim(), Operator::NotIn(vec![value.to_owned()])))?;
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        let value = value.trim();
        return is_label_value(value)
            .then(|| make(key.trim(), Operator::In(vec![value.to_owned()])))?;
    }
    if let Some((key, value)) = term.split_once('>') {
        return make(
            key.trim(),
            Operator::GreaterThan(value.trim().parse().ok()?),
        );
    }
    if let Some((key, value)) = term.split_once('<') {
        return make(key.trim(), Operator::LessThan(value.trim().parse().ok()?));
    }
    make(term, Operator::Exists)
}

/// Whether text is a qualified label or annotation key.
pub(crate) fn is_label_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    prefix.is_none_or(crate::registry::names::is_dns_subdomain)
        && !name.is_empty()
        && is_label_value(name)
}

/// Whether text may be a label's value.
pub(crate) fn is_label_value(value: &str) -> bool {
    let edge = |c: Option<u8>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && value
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'))
        && edge(value.bytes().next())
        && edge(value.bytes().last())
}

fn bad(text: &str, why: &str) -> Status {
    Status::bad_request(format!("unable to parse requirement: {why} in {text:?}"))
}

/// A parsed `fieldSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    terms: Vec<FieldTerm>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldTerm {
    pointer: String,
    value: String,
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Equal,
    Different,
}

impl FieldSelector {
    /// Parses `a.b=c,d.e!=f`; only metadata.name, metadata.namespace and `supported` fields may be named.
    pub(crate) fn parse(text: &str, supported: &[&str]) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for term in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            let (field, value, wanted) = if let Some((f, v)) = term.split_once("!=") {
                (f, v, Wanted::Different)
            } else if let Some((f, v)) = term.split_once("==").or_else(|| term.split_once('=')) {
                (f, v, Wanted::Equal)
            } else {
                return Err(Status::bad_request(format!(
                    "invalid selector: {text:?}; can't understand {term:?}"
                )));
            };
            let field = field.trim();
            if !matches!(field, "metadata.name" | "metadata.namespace")
                && !supported.contains(&field)
            {
                return Err(Status::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
            let pointer = format!("/{}", field.replace('.', "/"));
            terms.push(FieldTerm {
                pointer,
                value: value.trim().to_owned(),
                wanted,
            });
        }
        Ok(FieldSelector { terms })
    }

    /// Whether an object satisfies every term.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| {
            let actual = match object.pointer(&term.pointer) {
                Some(Value::Bool(b)) => {
                    if *b {
                        "true"
                    } else {
                        "false"
                    }
                }
                other => other.and_then(Value::as_str).unwrap_or(""),
            };
            (actual == term.value) == (term.wanted == Wanted::Equal)
        })
    }
}

/// Both selectors of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

impl Selector {
    /// Whether an object is wanted.
    pub(crate) fn matches(&self, value: &Value) -> bool {
        self.fields.matches(value) && self.labels.matches(value)
    }

    /// Whether everything is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.terms.is_empty()
    }
}
