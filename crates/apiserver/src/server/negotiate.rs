//! Media types: what a client sends and what it wants back.

use super::protobuf::{self, ProtobufError};
use super::strict::{self, Decoded};
use crate::status::{ApiResult, Status};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

/// Deepest nesting accepted in a body. serde_json stops at 128 by itself; YAML is checked with the same limit.
const MAX_DEPTH: usize = 127;

const OFFERED: &str = "application/json, application/yaml";

/// The shape of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The object or list itself.
    Whole,
    /// `meta.k8s.io/v1` Table.
    Table,
    /// Only metadata.
    Partial,
}

/// The first shape in `Accept` that we can give.
pub(super) fn view(headers: &HeaderMap) -> ApiResult<View> {
    let accept = headers.get(ACCEPT).map_or(Ok(""), |v| v.to_str());
    let accept = accept.map_err(|_| Status::not_acceptable(OFFERED))?;
    if accept.trim().is_empty() {
        return Ok(View::Whole);
    }
    accept
        .split(',')
        .find_map(one_view)
        .ok_or_else(|| Status::not_acceptable(OFFERED))
}

fn one_view(accept: &str) -> Option<View> {
    let mut parts = accept.split(';').map(str::trim);
    let media = parts.next()?;
    if !matches!(
        media,
        "application/json" | "*/*" | "application/*" | "application/yaml"
    ) {
        return None;
    }
    let parameters: Vec<(&str, &str)> = parts.filter_map(|p| p.split_once('=')).collect();
    let get = |name: &str| parameters.iter().find(|(k, _)| *k == name).map(|(_, v)| *v);
    match (get("as"), get("g"), get("v")) {
        (None, _, _) => Some(View::Whole),
        (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(View::Table),
        (
            Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
            Some("meta.k8s.io"),
            Some("v1"),
        ) => Some(View::Partial),
        _ => None,
    }
}

/// The media type of a body without its parameters.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    value
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase()
}

/// Decodes a body. Only built-in kinds may come as protobuf.
pub(super) fn decode(content_type: &str, body: &Bytes) -> ApiResult<Decoded> {
    match content_type {
        "" | "application/json" => decode_json(body),
        "application/yaml" | "text/yaml" | "application/x-yaml" => decode_yaml(body),
        protobuf::MEDIA_TYPE => {
            protobuf::decode(body)
                .map(Decoded::from)
                .map_err(|error| match error {
                    ProtobufError::UnknownKind { .. } => Status::unsupported_media_type(OFFERED),
                    error => {
                        Status::bad_request(format!("the body is not valid protobuf: {error}"))
                    }
                })
        }
        _ => Err(Status::unsupported_media_type(OFFERED)),
    }
}

/// Decodes JSON.
pub(super) fn decode_json(body: &Bytes) -> ApiResult<Decoded> {
    strict::decode(body)
        .map_err(|e| Status::bad_request(format!("the body is not valid JSON: {e}")))
}

/// Decodes YAML, of which JSON is a part. A key given twice makes other YAML invalid.
pub(super) fn decode_yaml(body: &Bytes) -> ApiResult<Decoded> {
    // JSON is by far the most frequent, and its parser the stricter.
    if let Ok(decoded) = strict::decode(body) {
        return Ok(decoded);
    }
    let value: Value = serde_saphyr::from_slice(body)
        .map_err(|e| Status::bad_request(format!("the body is not valid YAML: {e}")))?;
    if depth_exceeds(&value, MAX_DEPTH) {
        return Err(Status::bad_request(format!(
            "the body is nested deeper than {MAX_DEPTH} levels"
        )));
    }
    Ok(Decoded::from(value))
}

fn depth_exceeds(value: &Value, limit: usize) -> bool {
    match value {
        Value::Array(items) => limit == 0 || items.iter().any(|v| depth_exceeds(v, limit - 1)),
        Value::Object(map) => limit == 0 || map.values().any(|v| depth_exceeds(v, limit - 1)),
        _ => false,
    }
}
