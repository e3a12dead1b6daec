//! The wire format: numbered fields, each a varint, a fixed number or bytes.

use serde_json::Value;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub(in crate::server) enum WireError {
    /// It ends within a field.
    #[error("a field ends after the body does")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("a number is longer than 64 bits")]
    Varint,
    /// A kind of field that Kubernetes does not use.
    #[error("a field has the unknown wire type {0}")]
    Type(u8),
    /// Text that is none.
    #[error("a text is not UTF-8")]
    Text,
}

/// A field's value before its type is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Number(i64),
    Bytes(&'a [u8]),
}

/// Reads a message field by field.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field's number and value; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Scalar<'a>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::Varint)?;
        let value = match tag & 7 {
            0 => Scalar::Number(self.varint()?.cast_signed()),
            1 => {
                let bytes = self.take(8)?;
                Scalar::Bytes(bytes)
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Scalar::Bytes(self.take(length)?)
            }
            5 => Scalar::Bytes(self.take(4)?),
            other => return Err(WireError::Type(u8::try_from(other).unwrap_or(u8::MAX))),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(WireError::Truncated)?;
            self.0 = rest;
            // The tenth byte has room for one bit.
            if shift == 63 && *byte > 1 {
                return Err(WireError::Varint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }
}

/// Numbers one after the other.
pub(super) fn packed(bytes: &[u8]) -> Result<Vec<Value>, WireError> {
    let mut reader = Reader(bytes);
    let mut numbers = Vec::new();
    while !reader.0.is_empty() {
        numbers.push(reader.varint()?.cast_signed().into());
    }
    Ok(numbers)
}
