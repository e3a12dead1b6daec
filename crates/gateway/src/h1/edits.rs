//! Changes of a head's lines on their way through.

/// Lines to leave out and lines to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    /// Names whose lines are left out, in any case.
    pub(crate) dropped: Vec<Box<str>>,
    /// Whole lines, each with its CRLF.
    pub(crate) lines: Vec<u8>,
}

impl Edits {
    /// No change.
    pub(crate) const NONE: &'static Self = &Self {
        dropped: Vec::new(),
        lines: Vec::new(),
    };

    /// Appends a line. Name and value must be clean.
    pub(crate) fn append(&mut self, name: &str, value: &str) {
        append_line(&mut self.lines, name, value.as_bytes());
    }

    /// Leaves out all lines of this name.
    pub(crate) fn drop(&mut self, name: &str) {
        self.dropped.push(name.into());
    }

    /// Whether lines of this name are left out.
    pub(crate) fn drops(&self, name: &[u8]) -> bool {
        let mut dropped = self.dropped.iter();
        dropped.any(|dropped| dropped.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Appends `name: value` and CRLF.
pub(crate) fn append_line(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    lines.extend_from_slice(name.as_bytes());
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

/// Adds whole lines to a head that is complete, and nothing behind it.
pub(crate) fn add_lines(head: &mut Vec<u8>, lines: &[u8]) {
    debug_assert!(head.ends_with(b"\r\n\r\n"), "it is complete");
    if lines.is_empty() {
        return;
    }
    head.truncate(head.len() - 2);
    head.extend_from_slice(lines);
    head.extend_from_slice(b"\r\n");
}
