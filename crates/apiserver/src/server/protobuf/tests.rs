//! What Kubernetes encodes, and what nobody should.

use serde_json::{Value, json};

use super::{ProtobufError, decode, schema::Schema, wire::WireError};

/// What Kubernetes' own encoder makes of objects with every field set: protobuf in base64, then JSON.
const VECTORS: &str = include_str!("vectors.txt");

fn bytes(base64: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(base64)
        .expect("the vectors are base64")
}

/// Go writes null for the zero time and for lists that must be there; the API reads both as absent.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Fails at the innermost place where the two differ.
fn differences(at: &str, decoded: &Value, expected: &Value) {
    match (decoded, expected) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let (a, b) = (a.get(key), b.get(key));
                differences(
                    &format!("{at}.{key}"),
                    a.unwrap_or(&Value::Null),
                    b.unwrap_or(&Value::Null),
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{at}[{index}]"), a, b);
            }
        }
        // Go writes an empty byte string or list in a map as null, which was dropped above.
        (Value::String(a), Value::Null) if a.is_empty() && at.contains("ata.") => {}
        (Value::Array(a), Value::Null) if a.is_empty() && at.contains(".extra.") => {}
        _ => assert_eq!(decoded, expected, "{at}"),
    }
}

#[test]
fn decodes_what_kubernetes_encodes() {
    let mut seen = 0;
    for line in VECTORS.lines() {
        let (protobuf, text) = line.split_once(' ').expect("a vector has two parts");
        let mut expected: Value = serde_json::from_str(text).expect("the second part is JSON");
        without_nulls(&mut expected);
        let decoded = decode(&bytes(protobuf)).expect("it is well-formed");
        let at = format!("{} {}", expected["apiVersion"], expected["kind"]);
        differences(&at, &decoded, &expected);
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} vectors");
}

#[test]
fn any_cut_or_flipped_byte_is_an_error_or_another_object_but_no_panic() {
    for line in VECTORS.lines() {
        let (protobuf, _) = line.split_once(' ').expect("a vector has two parts");
        let whole = bytes(protobuf);
        for at in (0..whole.len()).step_by(7) {
            let _ = decode(&whole[..at]);
            let mut flipped = whole.clone();
            flipped[at] ^= 0x55;
            let _ = decode(&flipped);
        }
    }
}

#[test]
fn the_schema_is_whole() {
    let schema = Schema::get();
    assert!(schema.root("apps/v1", "Deployment").is_some());
    assert!(schema.root("apps/v1", "DeleteOptions").is_some());
    assert!(schema.root("example.com/v1", "Shop").is_none());
}

#[test]
fn what_is_no_envelope_is_named() {
    assert_eq!(decode(b"{}"), Err(ProtobufError::Magic));
    assert_eq!(
        decode(b"k8s\0\x0a\x7f"),
        Err(ProtobufError::Wire(WireError::Truncated))
    );
    assert_eq!(
        decode(b"k8s\0\x0b"),
        Err(ProtobufError::Wire(WireError::Type(3)))
    );
    assert_eq!(
        decode(b"k8s\0\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        Err(ProtobufError::Wire(WireError::Varint))
    );
    let custom = decode(b"k8s\0\x0a\x0b\x0a\x03x/1\x12\x04Shop");
    let expected = ProtobufError::UnknownKind {
        api_version: "x/1".to_owned(),
        kind: "Shop".to_owned(),
    };
    assert_eq!(custom, Err(expected));
}

#[test]
fn nesting_has_an_end() {
    // JSONSchemaProps are not in the schema; a label selector cannot nest. What can is cut by the schema,
    // so only the count of levels is checked here, on the deepest kind there is.
    let deployment = decode(b"k8s\0\x0a\x15\x0a\x07apps/v1\x12\x0aDeployment\x12\x02\x0a\x00")
        .expect("well-formed");
    assert_eq!(
        deployment,
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {} })
    );
}
