//! Structural schemas: compiled once per CRD version, then used to prune, default and validate.

use crate::object;
use crate::status::FieldError;
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Deepest schema accepted; deeper ones are refused when the CRD is created.
const MAX_DEPTH: usize = 64;

/// Size limit of one compiled pattern, so that a CRD cannot take the memory.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// How a list is merged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// How a map is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MapType {
    #[default]
    Granular,
    Atomic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonType {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// A node of a schema.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    json_type: Option<JsonType>,
    nullable: Flag,
    preserve_unknown: Flag,
    int_or_string: Flag,
    embedded: Flag,
    unique_items: Flag,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) additional: Option<Box<Schema>>,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) list_type: ListType,
    pub(crate) map_type: MapType,
    default: Option<Value>,
    required: Vec<String>,
    allowed: Vec<Value>,
    pattern: Option<Regex>,
    format: String,
    minimum: Option<(f64, Bound)>,
    maximum: Option<(f64, Bound)>,
    multiple_of: Option<f64>,
    length: Range,
    items_count: Range,
    properties_count: Range,
    all_of: Vec<Schema>,
    any_of: Vec<Schema>,
    one_of: Vec<Schema>,
    not: Option<Box<Schema>>,
}

type Flag = bool;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Inclusive,
    Exclusive,
}

#[derive(Debug, Default, Clone, Copy)]
struct Range {
    min: Option<usize>,
    max: Option<usize>,
}

impl Range {
    fn of(json: &Value, min: &str, max: &str) -> Self {
        let read = |f: &str| {
            json.get(f)
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
        };
        Range {
            min: read(min),
            max: read(max),
        }
    }
}

/// A schema that cannot be used, with the path inside it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub(crate) struct SchemaError {
    pub(crate) path: String,
    pub(crate) why: String,
}

impl Schema {
    /// Compiles an `openAPIV3Schema`; null means "anything".
    pub(crate) fn compile(json: &Value) -> Result<Schema, SchemaError> {
        if json.is_null() {
            return Ok(Schema {
                preserve_unknown: true,
                ..Schema::default()
            });
        }
        Schema::node(json, "openAPIV3Schema", 0)
    }

    fn node(json: &Value, at: &str, depth: usize) -> Result<Schema, SchemaError> {
        let error = |why: String| SchemaError {
            path: at.to_owned(),
            why,
        };
        if depth > MAX_DEPTH {
            return Err(error(format!("deeper than {MAX_DEPTH} levels")));
        }
        let Some(map) = json.as_object() else {
            return Err(error("must be an object".to_owned()));
        };
        let flag = |f: &str| map.get(f) == Some(&Value::Bool(true));
        let json_type = match map.get("type").and_then(Value::as_str) {
            None | Some("") => None,
            Some("object") => Some(JsonType::Object),
            Some("array") => Some(JsonType::Array),
            Some("string") => Some(JsonType::String),
            Some("integer") => Some(JsonType::Integer),
            Some("number") => Some(JsonType::Number),
            Some("boolean") => Some(JsonType::Boolean),
            Some(other) => return Err(error(format!("type {other:?} is not a JSON schema type"))),
        };
        let child = |f: &str, json: &Value| Schema::node(json, &format!("{at}.{f}"), depth + 1);
        let children = |f: &str| -> Result<Vec<Schema>, SchemaError> {
            object::items(map.get(f))
                .iter()
                .map(|j| child(f, j))
                .collect()
        };
        let one = |f: &str| -> Result<Option<Box<Schema>>, SchemaError> {
            map.get(f)
                .filter(|j| j.is_object())
                .map(|j| child(f, j).map(Box::new))
                .transpose()
        };
        let mut properties = BTreeMap::new();
        for (name, json) in map
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            properties.insert(
                name.clone(),
                Schema::node(json, &format!("{at}.properties[{name}]"), depth + 1)?,
            );
        }
        let pattern = match map.get("pattern").and_then(Value::as_str) {
            None | Some("") => None,
            Some(text) => Some(
                regex::RegexBuilder::new(text)
                    .size_limit(MAX_REGEX_BYTES)
                    .build()
                    .map_err(|e| error(format!("pattern cannot be used: {e}")))?,
            ),
        };
        let bound = |value: &str, exclusive: &str| {
            let bound = if flag(exclusive) {
                Bound::Exclusive
            } else {
                Bound::Inclusive
            };
            map.get(value).and_then(Value::as_f64).map(|n| (n, bound))
        };
        // `additionalProperties: true` keeps everything below it.
        let open = map.get("additionalProperties") == Some(&Value::Bool(true));
        Ok(Schema {
            json_type,
            nullable: flag("nullable"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields") || open,
            int_or_string: flag("x-kubernetes-int-or-string"),
            embedded: flag("x-kubernetes-embedded-resource"),
            unique_items: flag("uniqueItems"),
            properties,
            additional: one("additionalProperties")?,
            items: one("items")?,
            list_type: match map.get("x-kubernetes-list-type").and_then(Value::as_str) {
                Some("set") => ListType::Set,
                Some("map") => ListType::Map(
                    object::strings(map.get("x-kubernetes-list-map-keys"))
                        .into_iter()
                        .map(str::to_owned)
                        .collect(),
                ),
                _ => ListType::Atomic,
            },
            map_type: match map.get("x-kubernetes-map-type").and_then(Value::as_str) {
                Some("atomic") => MapType::Atomic,
                _ => MapType::Granular,
            },
            default: map.get("default").cloned(),
            required: object::strings(map.get("required"))
                .into_iter()
                .map(str::to_owned)
                .collect(),
            allowed: object::items(map.get("enum")).to_vec(),
            pattern,
            format: map
                .get("format")
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned(),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: map
                .get("multipleOf")
                .and_then(Value::as_f64)
                .filter(|n| *n > 0.0),
            length: Range::of(json, "minLength", "maxLength"),
            items_count: Range::of(json, "minItems", "maxItems"),
            properties_count: Range::of(json, "minProperties", "maxProperties"),
            all_of: children("allOf")?,
            any_of: children("anyOf")?,
            one_of: children("oneOf")?,
            not: one("not")?,
        })
    }

    /// The schema of a member, when the map has one for it.
    pub(crate) fn member(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// The value a missing member counts as.
    pub(crate) fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    // === pruning ===

    /// Prunes an object; `apiVersion`, `kind` and `metadata` always stay.
    pub(crate) fn prune_root(&self, object: &mut Value, unknown: &mut Vec<String>) {
        self.prune(object, "", Root::Yes, unknown);
    }

    fn prune(&self, value: &mut Value, at: &str, root: Root, unknown: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                let typed = root == Root::Yes || self.embedded;
                map.retain(|name, child| {
                    if typed && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                        return true;
                    }
                    let path = join(at, name);
                    match self.member(name) {
                        Some(schema) => {
                            schema.prune(child, &path, Root::No, unknown);
                            true
                        }
                        None if self.preserve_unknown => true,
                        None => {
                            unknown.push(path);
                            false
                        }
                    }
                });
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    for (i, item) in items.iter_mut().enumerate() {
                        schema.prune(item, &format!("{at}[{i}]"), Root::No, unknown);
                    }
                }
            }
            _ => {}
        }
    }

    // === defaulting ===

    /// Fills in defaults, and drops nulls where null is not allowed and a default exists.
    pub(crate) fn fill_defaults(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (name, schema) in &self.properties {
                    if let Some(default) = &schema.default {
                        let missing = map
                            .get(name)
                            .is_none_or(|v| v.is_null() && !schema.nullable);
                        if missing {
                            map.insert(name.clone(), default.clone());
                        }
                    }
                }
                for (name, child) in map.iter_mut() {
                    if let Some(schema) = self.member(name) {
                        schema.fill_defaults(child);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    items.iter_mut().for_each(|item| schema.fill_defaults(item));
                }
            }
            _ => {}
        }
    }

    // === validation ===

    /// Reports everything wrong with a value at a path.
    pub(crate) fn validate(&self, value: &Value, at: &str, errors: &mut Vec<FieldError>) {
        if value.is_null() {
            // A null where null is not allowed is treated as absent by Kubernetes, which drops it.
            if !self.nullable && self.json_type.is_some() && !at.is_empty() {
                errors.push(type_error(at, value, self.type_name()));
            }
            return;
        }
        if !self.has_type(value) {
            errors.push(type_error(at, value, self.type_name()));
            return;
        }
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            let all: Vec<String> = self
                .allowed
                .iter()
                .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                .collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            errors.push(FieldError::not_supported(at, value, &all));
        }
        match value {
            Value::Object(map) => self.validate_map(map, at, errors),
            Value::Array(list) => self.validate_list(list, at, errors),
            Value::String(text) => self.validate_text(text, value, at, errors),
            Value::Number(number) => {
                self.validate_number(number.as_f64().unwrap_or(0.0), value, at, errors)
            }
            Value::Null | Value::Bool(_) => {}
        }
        self.validate_combinations(value, at, errors);
    }

    fn has_type(&self, value: &Value) -> bool {
        if self.int_or_string {
            return value.is_string() || value.as_i64().is_some() || value.as_u64().is_some();
        }
        let Some(wanted) = self.json_type else {
            return true;
        };
        match wanted {
            JsonType::Object => value.is_object(),
            JsonType::Array => value.is_array(),
            JsonType::String => value.is_string(),
            JsonType::Integer => {
                value.as_i64().is_some()
                    || value.as_u64().is_some()
                    || value.as_f64().is_some_and(|n| n.fract() == 0.0)
            }
            JsonType::Number => value.is_number(),
            JsonType::Boolean => value.is_boolean(),
        }
    }

    fn type_name(&self) -> &'static str {
        match self.json_type {
            _ if self.int_or_string => "integer or string",
            None | Some(JsonType::Object) => "object",
            Some(JsonType::Array) => "array",
            Some(JsonType::String) => "string",
            Some(JsonType::Integer) => "integer",
            Some(JsonType::Number) => "number",
            Some(JsonType::Boolean) => "boolean",
        }
    }

    fn validate_map(&self, map: &Map<String, Value>, at: &str, errors: &mut Vec<FieldError>) {
        for name in &self.required {
            if !map.contains_key(name) {
                errors.push(FieldError::required(join(at, name), ""));
            }
        }
        count(map.len(), self.properties_count, "properties", at, errors);
        for (name, child) in map {
            if at.is_empty() && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                continue;
            }
            if let Some(schema) = self.member(name) {
                let path = if self.properties.contains_key(name) {
                    join(at, name)
                } else {
                    format!("{at}[{name}]")
                };
                schema.validate(child, &path, errors);
            }
        }
    }

    fn validate_list(&self, list: &[Value], at: &str, errors: &mut Vec<FieldError>) {
        count(list.len(), self.items_count, "items", at, errors);
        let keyed = |item: &Value| match &self.list_type {
            ListType::Map(keys) => Value::Array(
                keys.iter()
                    .map(|k| item.get(k).cloned().unwrap_or(Value::Null))
                    .collect(),
            ),
            ListType::Atomic | ListType::Set => item.clone(),
        };
        if self.unique_items || self.list_type != ListType::Atomic {
            let mut seen = std::collections::HashSet::new();
            for (i, item) in list.iter().enumerate() {
                if !seen.insert(keyed(item).to_string()) {
                    errors.push(FieldError::duplicate(format!("{at}[{i}]"), item));
                }
            }
        }
        if let Some(schema) = &self.items {
            for (i, item) in list.iter().enumerate() {
                schema.validate(item, &format!("{at}[{i}]"), errors);
            }
        }
    }

    fn validate_text(&self, text: &str, value: &Value, at: &str, errors: &mut Vec<FieldError>) {
        let chars = text.chars().count();
        if let Some(min) = self.length.min.filter(|min| chars < *min) {
            let detail = format!("{at} in body should be at least {min} chars long");
            errors.push(FieldError::invalid(at, value, &detail));
        }
        if let Some(max) = self.length.max.filter(|max| chars > *max) {
            errors.push(FieldError::too_long(at, max));
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|p| !p.is_match(text)) {
            errors.push(FieldError::invalid(
                at,
                value,
                &format!("{at} in body should match '{pattern}'"),
            ));
        }
        let well_formed = match self.format.as_str() {
            "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
            "date" => text.parse::<jiff::civil::Date>().is_ok(),
            "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
            "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
            _ => true,
        };
        if !well_formed {
            let detail = format!("{at} in body must be of type {}: {value}", self.format);
            errors.push(FieldError::invalid(at, value, &detail));
        }
    }

    fn validate_number(&self, number: f64, value: &Value, at: &str, errors: &mut Vec<FieldError>) {
        if let Some((min, bound)) = self.minimum {
            let (bad, words) = match bound {
                Bound::Inclusive => (number < min, "greater than or equal to"),
                Bound::Exclusive => (number <= min, "greater than"),
            };
            if bad {
                errors.push(FieldError::invalid(
                    at,
                    value,
                    &format!("{at} in body should be {words} {min}"),
                ));
            }
        }
        if let Some((max, bound)) = self.maximum {
            let (bad, words) = match bound {
                Bound::Inclusive => (number > max, "less than or equal to"),
                Bound::Exclusive => (number >= max, "less than"),
            };
            if bad {
                errors.push(FieldError::invalid(
                    at,
                    value,
                    &format!("{at} in body should be {words} {max}"),
                ));
            }
        }
        if let Some(step) = self
            .multiple_of
            .filter(|step| (number / step).fract() != 0.0)
        {
            errors.push(FieldError::invalid(
                at,
                value,
                &format!("{at} in body should be a multiple of {step}"),
            ));
        }
        let whole = || value.as_i64();
        if self.format == "int32" && whole().is_none_or(|n| i32::try_from(n).is_err()) {
            errors.push(FieldError::invalid(
                at,
                value,
                &format!("{at} in body must be of type int32: {value}"),
            ));
        }
    }

    fn validate_combinations(&self, value: &Value, at: &str, errors: &mut Vec<FieldError>) {
        let passes = |schema: &Schema| {
            let mut found = Vec::new();
            schema.validate(value, at, &mut found);
            found.is_empty()
        };
        for schema in &self.all_of {
            schema.validate(value, at, errors);
        }
        if !self.any_of.is_empty() && !self.any_of.iter().any(passes) {
            let detail = format!("{at} in body must validate at least one schema (anyOf)");
            errors.push(FieldError::invalid(at, value, &detail));
        }
        if !self.one_of.is_empty() {
            let valid = self.one_of.iter().filter(|s| passes(s)).count();
            if valid != 1 {
                let found = if valid == 0 {
                    "Found none valid".to_owned()
                } else {
                    format!("Found {valid} valid alternatives")
                };
                let detail =
                    format!("{at} in body must validate one and only one schema (oneOf). {found}");
                errors.push(FieldError::invalid(at, value, &detail));
            }
        }
        if self.not.as_deref().is_some_and(passes) {
            errors.push(FieldError::invalid(
                at,
                value,
                &format!("{at} in body must not validate the schema (not)"),
            ));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Yes,
    No,
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    }
}

fn type_error(at: &str, value: &Value, wanted: &str) -> FieldError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    FieldError::type_invalid(
        at,
        value,
        &format!("{at} in body must be of type {wanted}: {found:?}"),
    )
}

fn count(actual: usize, range: Range, what: &str, at: &str, errors: &mut Vec<FieldError>) {
    if let Some(min) = range.min.filter(|min| actual < *min) {
        let detail = format!("{at} in body should have at least {min} {what}");
        errors.push(FieldError::invalid(at, &Value::from(actual), &detail));
    }
    if let Some(max) = range.max.filter(|max| actual > *max) {
        errors.push(FieldError::too_many(at, actual, max));
    }
}
