//! Classes of bytes, RFC 9110 5.6.2 and 5.5.

/// Whether a byte may stand in a token: a method, a header name, a coding.
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether `text` is a token.
pub(super) fn all_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_token(*b))
}

/// The position of the first byte at or after `from` that may not stand in a header value: a control
/// byte other than tab, or DEL. `buf.len()` when there is none.
pub(super) fn value_end(buf: &[u8], from: usize) -> usize {
    let mut at = from;
    // Eight bytes at a time: a byte is suspicious when it is below 0x20 or equals 0x7f. The first test
    // may also fire for a byte after a suspicious one (borrow), never before it, so the exact loop
    // below only has to look at one word.
    while let Some(word) = buf.get(at..at + 8).and_then(|w| w.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let below_space = word.wrapping_sub(EACH * 0x20) & !word;
        let del = word ^ (EACH * 0x7f);
        let is_del = del.wrapping_sub(EACH) & !del;
        if (below_space | is_del) & (EACH * 0x80) != 0 {
            match buf[at..at + 8].iter().position(|b| ends_value(*b)) {
                Some(offset) => return at + offset,
                None => {
                    at += 8;
                    continue;
                }
            }
        }
        at += 8;
    }
    buf[at..]
        .iter()
        .position(|b| ends_value(*b))
        .map_or(buf.len(), |offset| at + offset)
}

const EACH: u64 = 0x0101_0101_0101_0101;

const fn ends_value(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// `value` without leading and trailing spaces and tabs.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let Some(start) = value.iter().position(|b| !is_ows(*b)) else {
        return &[];
    };
    let end = value.iter().rposition(|b| !is_ows(*b)).unwrap_or(start);
    &value[start..=end]
}

pub(super) const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};
