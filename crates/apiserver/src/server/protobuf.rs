//! Bodies in Kubernetes' protobuf form, which kubectl prefers for what it makes itself (`kubectl create
//! deployment`). They are turned into the JSON form that everything else here works on. Answers are always
//! JSON: clients that send protobuf take both.
//!
//! ```text
//! "k8s\0" Unknown{ typeMeta{apiVersion, kind}, raw } ── schema: the kind's message ──> JSON object
//! ```

mod schema;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use schema::{Field, MessageId, Schema, Type};
use serde_json::{Map, Value};
use wire::{Reader, Scalar};

/// The media type.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// No built-in kind nests deeper than about twenty messages; only a hostile body does.
const MAX_DEPTH: usize = 64;

/// Why a body cannot be decoded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ProtobufError {
    /// Not a Kubernetes envelope.
    #[error("it does not begin with the four bytes of a Kubernetes envelope")]
    Magic,
    /// Not well-formed.
    #[error("{0}")]
    Wire(#[from] wire::WireError),
    /// A kind that has no protobuf form here, such as every custom one.
    #[error("{kind} in {api_version} has no protobuf form here; send JSON")]
    UnknownKind {
        /// From the envelope.
        api_version: String,
        /// From the envelope.
        kind: String,
    },
    /// A value that its type does not allow.
    #[error("field {field} {problem}")]
    Value {
        /// Its JSON name.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The JSON form of a body.
pub(super) fn decode(body: &[u8]) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut fields = Reader::new(envelope);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Scalar::Bytes(meta)) => {
                api_version = text_field(meta, 1)?;
                kind = text_field(meta, 2)?;
            }
            (2, Scalar::Bytes(bytes)) => raw = bytes,
            // Content encoding and type are empty for protobuf.
            _ => {}
        }
    }
    let schema = Schema::get();
    let Some(message) = schema.root(&api_version, &kind) else {
        return Err(ProtobufError::UnknownKind { api_version, kind });
    };
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Decoder { schema }.message(message, raw, &mut object, MAX_DEPTH)?;
    Ok(Value::Object(object))
}

struct Decoder<'a> {
    schema: &'a Schema,
}

impl Decoder<'_> {
    /// Adds the fields of a message to `object`. Numbers that the schema does not know are from a later
    /// release and are skipped, as Kubernetes does.
    fn message(
        &self,
        id: MessageId,
        bytes: &[u8],
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        let mut fields = Reader::new(bytes);
        while let Some((number, scalar)) = fields.next()? {
            let Some(field) = self.schema.field(id, number) else {
                continue;
            };
            let depth = depth
                .checked_sub(1)
                .ok_or_else(|| bad(field, "is nested too deeply"))?;
            match &field.kind {
                Type::List(item) => {
                    // Numbers may also come packed, several in one value.
                    let items = match (&**item, &scalar) {
                        (Type::Int, Scalar::Bytes(packed)) => wire::packed(packed)?,
                        _ => self
                            .value(field, item, scalar, depth)?
                            .into_iter()
                            .collect(),
                    };
                    if let Value::Array(list) = entry(object, field, || Value::Array(Vec::new())) {
                        list.extend(items);
                    }
                }
                Type::Map(value) => {
                    let (key, value) = self.map_entry(field, value, scalar, depth)?;
                    if let Value::Object(map) = entry(object, field, || Value::Object(Map::new())) {
                        map.insert(key, value);
                    }
                }
                Type::Message(inner) if field.is_inline() => {
                    self.message(*inner, bytes_of(field, scalar)?, object, depth)?;
                }
                kind => {
                    if let Some(value) = self.value(field, kind, scalar, depth)? {
                        object.insert(field.name.to_owned(), value);
                    }
                }
            }
        }
        Ok(())
    }

    /// One value; `None` when JSON leaves it out.
    fn value(
        &self,
        field: &Field,
        kind: &Type,
        scalar: Scalar<'_>,
        depth: usize,
    ) -> Result<Option<Value>, ProtobufError> {
        let value = match kind {
            Type::Int => Value::from(number_of(field, scalar)?),
            Type::Bool => Value::from(number_of(field, scalar)? != 0),
            Type::String => Value::from(text(field, bytes_of(field, scalar)?)?),
            Type::Bytes => Value::from(STANDARD.encode(bytes_of(field, scalar)?)),
            Type::Quantity => Value::from(text_field(bytes_of(field, scalar)?, 1)?),
            Type::Time => return self.time(field, bytes_of(field, scalar)?, 0),
            Type::MicroTime => return self.time(field, bytes_of(field, scalar)?, 6),
            Type::IntOrString => int_or_string(bytes_of(field, scalar)?)?,
            Type::Raw => return raw_json(field, bytes_of(field, scalar)?),
            Type::Items => items(field, bytes_of(field, scalar)?)?,
            Type::Message(inner) => {
                let mut object = Map::new();
                self.message(*inner, bytes_of(field, scalar)?, &mut object, depth)?;
                Value::Object(object)
            }
            Type::List(_) | Type::Map(_) => return Err(bad(field, "is a list in a list")),
        };
        let zero = matches!(&value, Value::String(s) if s.is_empty())
            || value == 0
            || value == Value::Bool(false);
        Ok((!(zero && field.omits_zero)).then_some(value))
    }

    fn map_entry(
        &self,
        field: &Field,
        kind: &Type,
        scalar: Scalar<'_>,
        depth: usize,
    ) -> Result<(String, Value), ProtobufError> {
        let mut reader = Reader::new(bytes_of(field, scalar)?);
        // What is missing has its zero value, which for all value types here is the empty one.
        let (mut key, mut value) = (String::new(), Scalar::Bytes(&[]));
        while let Some((number, scalar)) = reader.next()? {
            match number {
                1 => key = text(field, bytes_of(field, scalar)?)?,
                2 => value = scalar,
                _ => {}
            }
        }
        let value = self.value(field, kind, value, depth)?.unwrap_or_default();
        Ok((key, value))
    }

    /// The zero time is an empty message, and absent in JSON.
    fn time(
        &self,
        field: &Field,
        bytes: &[u8],
        digits: u8,
    ) -> Result<Option<Value>, ProtobufError> {
        let (mut seconds, mut nanos) = (0, 0);
        let mut reader = Reader::new(bytes);
        while let Some((number, scalar)) = reader.next()? {
            match number {
                1 => seconds = number_of(field, scalar)?,
                2 => nanos = number_of(field, scalar)?,
                _ => {}
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let nanos = i32::try_from(nanos).map_err(|_| bad(field, "has too many nanoseconds"))?;
        let time = Timestamp::new(seconds, nanos).map_err(|_| bad(field, "is no time"))?;
        let printed = DateTimePrinter::new()
            .precision(Some(digits))
            .timestamp_to_string(&time);
        Ok(Some(printed.into()))
    }
}

fn entry<'a>(
    object: &'a mut Map<String, Value>,
    field: &Field,
    empty: impl FnOnce() -> Value,
) -> &'a mut Value {
    object.entry(field.name.to_owned()).or_insert_with(empty)
}

fn bad(field: &Field, problem: &'static str) -> ProtobufError {
    ProtobufError::Value {
        field: field.name.to_owned(),
        problem,
    }
}

fn bytes_of<'a>(field: &Field, scalar: Scalar<'a>) -> Result<&'a [u8], ProtobufError> {
    match scalar {
        Scalar::Bytes(bytes) => Ok(bytes),
        Scalar::Number(_) => Err(bad(field, "is a number")),
    }
}

fn number_of(field: &Field, scalar: Scalar<'_>) -> Result<i64, ProtobufError> {
    match scalar {
        Scalar::Number(number) => Ok(number),
        Scalar::Bytes([]) => Ok(0),
        Scalar::Bytes(_) => Err(bad(field, "is no number")),
    }
}

fn text(field: &Field, bytes: &[u8]) -> Result<String, ProtobufError> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| bad(field, "is not UTF-8"))
}

/// The text in field `wanted` of a message; empty when there is none.
fn text_field(message: &[u8], wanted: u32) -> Result<String, ProtobufError> {
    let mut found = String::new();
    let mut fields = Reader::new(message);
    while let Some((number, scalar)) = fields.next()? {
        if let (true, Scalar::Bytes(bytes)) = (number == wanted, scalar) {
            found = String::from_utf8(bytes.to_vec()).map_err(|_| wire::WireError::Text)?;
        }
    }
    Ok(found)
}

fn int_or_string(bytes: &[u8]) -> Result<Value, ProtobufError> {
    let (mut is_text, mut number) = (false, 0);
    let mut fields = Reader::new(bytes);
    while let Some(found) = fields.next()? {
        match found {
            (1, Scalar::Number(kind)) => is_text = kind == 1,
            (2, Scalar::Number(value)) => number = value,
            _ => {}
        }
    }
    Ok(if is_text {
        text_field(bytes, 3)?.into()
    } else {
        number.into()
    })
}

/// JSON in the first field of a message.
fn raw_json(field: &Field, bytes: &[u8]) -> Result<Option<Value>, ProtobufError> {
    let text = text_field(bytes, 1)?;
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|_| bad(field, "holds no JSON"))
}

/// A list of texts that is a message of its own.
fn items(field: &Field, bytes: &[u8]) -> Result<Value, ProtobufError> {
    let mut list = Vec::new();
    let mut fields = Reader::new(bytes);
    while let Some((number, scalar)) = fields.next()? {
        if number == 1 {
            list.push(text(field, bytes_of(field, scalar)?)?.into());
        }
    }
    Ok(Value::Array(list))
}

#[cfg(test)]
mod tests;
