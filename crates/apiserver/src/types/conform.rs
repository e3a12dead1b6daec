//! Bringing a body into the form of its type: unknown fields go, and what has the wrong type is named.
//!
//! kube-apiserver decodes into Go structs, so what it says is what Go's decoder says; people know those words.

use super::{Shape, StructId, Type};
use serde_json::{Map, Value};
use std::fmt;

/// Most fields listed; more are not read. kube-apiserver's decoder has the same limit.
const MOST: usize = 100;

/// What was found in a body.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Paths of fields that the type does not have, such as `spec.containers[0].foo`.
    pub(crate) unknown: Vec<String>,
    /// The first value of a wrong type.
    pub(crate) mismatch: Option<Mismatch>,
}

/// A value of a wrong type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// As Go's decoder says it.
    pub(crate) message: String,
    /// Path such as `spec.containers[0].image`.
    pub(crate) path: String,
}

/// Where we are, from the value up to the root.
struct Path<'a> {
    above: Option<&'a Path<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Root,
    /// A field, and the struct it is in.
    Field(&'a str, StructId),
    Key(&'a str),
    Index(usize),
}

impl Type {
    /// Takes away unknown fields and nulls, which Go reads as absent, and reports what it finds.
    pub(crate) fn conform(&self, value: &mut Value, findings: &mut Findings) {
        let root = Path {
            above: None,
            step: Step::Root,
        };
        self.walk(value, &root, findings);
    }

    /// The same for a member of the root called `name`.
    pub(crate) fn conform_member(&self, name: &str, value: &mut Value, findings: &mut Findings) {
        let root = Path {
            above: None,
            step: Step::Root,
        };
        self.walk(value, &root.key(name), findings);
    }

    fn walk(&self, value: &mut Value, at: &Path<'_>, findings: &mut Findings) {
        match (&self.shape, &mut *value) {
            (Shape::Struct(id), Value::Object(map)) => walk_struct(*id, map, at, findings),
            (Shape::Map(of), Value::Object(map)) => {
                for (key, value) in map.iter_mut() {
                    of.walk_or_zero(value, &at.key(key), findings);
                }
            }
            (Shape::List(of), Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    of.walk_or_zero(item, &at.index(index), findings);
                }
            }
            _ => {
                if findings.mismatch.is_none() {
                    findings.mismatch = self.mismatch(value, at);
                }
            }
        }
    }

    /// Items and map values cannot be left out, so null is the zero value there.
    fn walk_or_zero(&self, value: &mut Value, at: &Path<'_>, findings: &mut Findings) {
        if !value.is_null() {
            return self.walk(value, at, findings);
        }
        match self.shape {
            Shape::Text => *value = Value::from(""),
            Shape::Int32 | Shape::Int64 => *value = Value::from(0),
            Shape::Bool => *value = Value::from(false),
            Shape::Struct(_) => *value = Value::Object(Map::new()),
            _ => {}
        }
    }

    /// Why a value that has no fields to look into is not of this type.
    fn mismatch(&self, value: &Value, at: &Path<'_>) -> Option<Mismatch> {
        let fits = match self.shape {
            Shape::Any => true,
            Shape::Text | Shape::Bytes => value.is_string(),
            Shape::Time => match value.as_str() {
                Some(text) if !is_time(text) => {
                    return Some(at.refuse(format!(
                        "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
                    )));
                }
                text => text.is_some(),
            },
            Shape::Quantity => match value {
                Value::Number(_) => true,
                Value::String(text) if !is_quantity(text) => {
                    return Some(at.refuse(
                        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned(),
                    ));
                }
                other => other.is_string(),
            },
            Shape::Int32 => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            Shape::Int64 => value.as_i64().is_some(),
            Shape::Float => value.is_number(),
            Shape::Bool => value.is_boolean(),
            Shape::IntOrString => {
                value.is_string() || value.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
            }
            Shape::Struct(_) | Shape::List(_) | Shape::Map(_) => value.is_null(),
        };
        (!fits).then(|| at.refuse(at.unmarshal_error(value, self)))
    }

    /// As Go writes it.
    fn go_name(&self) -> String {
        match &self.shape {
            Shape::Any => "interface {}".to_owned(),
            Shape::Text => "string".to_owned(),
            Shape::Bytes => "[]uint8".to_owned(),
            Shape::Time => "v1.Time".to_owned(),
            Shape::Quantity => "resource.Quantity".to_owned(),
            Shape::Int32 | Shape::IntOrString => "int32".to_owned(),
            Shape::Int64 => "int64".to_owned(),
            Shape::Float => "float64".to_owned(),
            Shape::Bool => "bool".to_owned(),
            Shape::Struct(id) => id.get().name.clone(),
            Shape::List(item) => format!("[]{}", item.go_name()),
            Shape::Map(value) => format!("map[string]{}", value.go_name()),
        }
    }
}

fn walk_struct(id: StructId, map: &mut Map<String, Value>, at: &Path<'_>, findings: &mut Findings) {
    map.retain(|name, value| {
        let here = at.field(name, id);
        match id.get().fields.get(name) {
            None => {
                if findings.unknown.len() < MOST {
                    findings.unknown.push(here.to_string());
                }
                false
            }
            Some(_) if value.is_null() => false,
            Some(of) => {
                of.walk(value, &here, findings);
                true
            }
        }
    });
}

fn is_time(text: &str) -> bool {
    // Go writes the zero time as an empty text.
    text.is_empty() || text.parse::<jiff::Timestamp>().is_ok()
}

fn is_quantity(text: &str) -> bool {
    let number = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = number
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(number.len());
    let (number, suffix) = number.split_at(digits);
    let exponent = |e: &str| e.parse::<i32>().is_ok();
    let known = matches!(
        suffix,
        "" | "n"
            | "u"
            | "m"
            | "k"
            | "M"
            | "G"
            | "T"
            | "P"
            | "E"
            | "Ki"
            | "Mi"
            | "Gi"
            | "Ti"
            | "Pi"
            | "Ei"
    );
    number.bytes().any(|c| c.is_ascii_digit())
        && number.bytes().filter(|c| *c == b'.').count() <= 1
        && (known || suffix.strip_prefix(['e', 'E']).is_some_and(exponent))
}

// === impl Path ===

impl<'a> Path<'a> {
    fn down(&'a self, step: Step<'a>) -> Path<'a> {
        Path {
            above: Some(self),
            step,
        }
    }

    fn field(&'a self, name: &'a str, of: StructId) -> Path<'a> {
        self.down(Step::Field(name, of))
    }

    fn key(&'a self, key: &'a str) -> Path<'a> {
        self.down(Step::Key(key))
    }

    fn index(&'a self, index: usize) -> Path<'a> {
        self.down(Step::Index(index))
    }

    fn refuse(&self, message: String) -> Mismatch {
        Mismatch {
            message,
            path: self.to_string(),
        }
    }

    /// `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`.
    fn unmarshal_error(&self, value: &Value, wanted: &Type) -> String {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            // Of a number it is the value that is wrong, unless no number would do.
            Value::Number(n) if wanted.takes_integers() => format!("number {n}"),
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let mut names = Vec::new();
        let mut inside = None;
        let mut next = Some(self);
        while let Some(path) = next {
            if let Step::Field(name, of) = path.step {
                names.push(name);
                inside = inside.or(Some(of));
            }
            next = path.above;
        }
        names.reverse();
        let place = match inside {
            Some(id) => {
                let name = &id.get().name;
                let name = name.rsplit('.').next().unwrap_or(name);
                format!("Go struct field {name}.{} of type ", names.join("."))
            }
            None => "Go value of type ".to_owned(),
        };
        format!(
            "json: cannot unmarshal {found} into {place}{}",
            wanted.go_name()
        )
    }
}

impl Type {
    fn takes_integers(&self) -> bool {
        matches!(self.shape, Shape::Int32 | Shape::Int64 | Shape::IntOrString)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        let first = matches!(
            self.above,
            None | Some(Path {
                step: Step::Root,
                ..
            })
        );
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name, _) | Step::Key(name) if first => f.write_str(name),
            Step::Field(name, _) | Step::Key(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}
