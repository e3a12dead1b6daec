//! JSON whose objects may name a field twice: the last one counts, as in Go, and every one is reported.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;

/// Most duplicates listed; more are not read.
const MOST: usize = 100;

/// A decoded body.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decoded {
    pub(super) value: Value,
    /// Paths of fields given more than once, such as `spec.ports[0].port`.
    pub(super) duplicates: Vec<String>,
}

impl From<Value> for Decoded {
    fn from(value: Value) -> Self {
        Decoded {
            value,
            duplicates: Vec::new(),
        }
    }
}

/// Decodes JSON.
pub(super) fn decode(body: &[u8]) -> Result<Decoded, serde_json::Error> {
    let duplicates = RefCell::new(Vec::new());
    let root = Place {
        above: None,
        step: Step::Root,
        duplicates: &duplicates,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = root.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Decoded {
        value,
        duplicates: duplicates.into_inner(),
    })
}

/// Where in the body we are.
#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
    duplicates: &'a RefCell<Vec<String>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    fn down(&'a self, step: Step<'a>) -> Place<'a> {
        Place {
            above: Some(self),
            step,
            duplicates: self.duplicates,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.above.is_none_or(|a| matches!(a.step, Step::Root));
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if first => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.down(Step::Index(list.len())))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let here = self.down(Step::Field(&name));
            if map.contains_key(&name) && self.duplicates.borrow().len() < MOST {
                let path = here.to_string();
                let mut all = self.duplicates.borrow_mut();
                // A field given three times is said once.
                if !all.contains(&path) {
                    all.push(path);
                }
            }
            let value = fields.next_value_seed(here)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_field_given_twice_is_named_and_the_last_one_counts() {
        let body = br#"{"a": 1, "b": {"c": [{"d": 1, "d": 2, "d": 3}]}, "a": {"e": null}}"#;
        let decoded = decode(body).expect("JSON");
        assert_eq!(
            decoded.value,
            serde_json::json!({"a": {"e": null}, "b": {"c": [{"d": 3}]}})
        );
        assert_eq!(decoded.duplicates, ["b.c[0].d", "a"]);
    }

    #[test]
    fn what_is_no_json_is_refused_however_deep() {
        for body in ["", "{", "{} {}", "[1,]", "{\"a\" 1}", "nul", "1e999"] {
            assert!(decode(body.as_bytes()).is_err(), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert!(decode(deep.as_bytes()).is_err());
    }

    proptest! {
        /// Whatever serde_json reads is read the same.
        #[test]
        fn bytes_are_read_as_serde_json_reads_them(body in "[\\[\\]{}:,\"ab01.e \\-]{0,40}") {
            let ours = decode(body.as_bytes()).ok().map(|decoded| decoded.value);
            prop_assert_eq!(ours, serde_json::from_slice::<Value>(body.as_bytes()).ok());
        }
    }
}
