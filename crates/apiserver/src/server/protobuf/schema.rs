//! Which field of which message is what: `protobuf/schema.txt`, which `protobuf/generate.go` makes from the Go types of
//! Kubernetes; read once, at the first body that needs it.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Made by `protobuf/generate.go` from the Go types of Kubernetes, which says how it reads.
const TEXT: &str = include_str!("../../../protobuf/schema.txt");

static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(TEXT).expect("the schema is tested"));

/// All messages.
#[derive(Debug)]
pub(super) struct Schema {
    roots: HashMap<(&'static str, &'static str), MessageId>,
    /// Each with its fields, sorted by number.
    messages: Vec<Vec<Field>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageId(usize);

#[derive(Debug)]
pub(super) struct Field {
    number: u32,
    /// In JSON; `-` when the fields of its message stand in the object around it.
    pub(super) name: &'static str,
    pub(super) kind: Type,
    /// JSON leaves a zero value out.
    pub(super) omits_zero: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Int,
    Bool,
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON inside.
    Raw,
    /// A list of texts that is a message of its own.
    Items,
    Message(MessageId),
    List(Box<Type>),
    Map(Box<Type>),
}

impl Field {
    pub(super) fn is_inline(&self) -> bool {
        self.name == "-"
    }
}

impl Schema {
    pub(super) fn get() -> &'static Self {
        &SCHEMA
    }

    /// The message of a kind. Options of a call carry the group version of what is called.
    pub(super) fn root(&self, api_version: &str, kind: &str) -> Option<MessageId> {
        let api_version = if kind == "DeleteOptions" {
            "meta.k8s.io/v1"
        } else {
            api_version
        };
        self.roots.get(&(api_version, kind)).copied()
    }

    pub(super) fn field(&self, message: MessageId, number: u32) -> Option<&Field> {
        let fields = self.messages.get(message.0)?;
        let at = fields
            .binary_search_by_key(&number, |field| field.number)
            .ok()?;
        fields.get(at)
    }

    fn parse(text: &'static str) -> Option<Self> {
        let heads = text.lines().filter(|line| !line.starts_with([' ', '=']));
        let ids: HashMap<&str, MessageId> = heads
            .enumerate()
            .map(|(index, name)| (name, MessageId(index)))
            .collect();
        let mut schema = Self {
            roots: HashMap::new(),
            messages: Vec::new(),
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if line.starts_with('=') {
                let (api_version, kind, message) = (words.nth(1)?, words.next()?, words.next()?);
                schema.roots.insert((api_version, kind), *ids.get(message)?);
            } else if line.starts_with(' ') {
                let field = Field {
                    number: words.next()?.parse().ok()?,
                    name: words.next()?,
                    kind: Type::parse(words.next()?, &ids)?,
                    omits_zero: words.next() == Some("?"),
                };
                schema.messages.last_mut()?.push(field);
            } else {
                schema.messages.push(Vec::new());
            }
        }
        schema
            .messages
            .iter_mut()
            .for_each(|fields| fields.sort_by_key(|field| field.number));
        Some(schema)
    }
}

impl Type {
    fn parse(text: &str, ids: &HashMap<&str, MessageId>) -> Option<Self> {
        let inner = |text| Type::parse(text, ids).map(Box::new);
        if let Some(item) = text.strip_prefix("[]") {
            return inner(item).map(Self::List);
        }
        if let Some(value) = text.strip_prefix("{}") {
            return inner(value).map(Self::Map);
        }
        Some(match text {
            "string" => Self::String,
            "int" => Self::Int,
            "bool" => Self::Bool,
            "bytes" => Self::Bytes,
            "time" => Self::Time,
            "microtime" => Self::MicroTime,
            "quantity" => Self::Quantity,
            "intorstring" => Self::IntOrString,
            "raw" => Self::Raw,
            "items" => Self::Items,
            message => Self::Message(*ids.get(message)?),
        })
    }
}
