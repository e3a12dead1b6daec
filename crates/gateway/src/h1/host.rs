//! The Host header, RFC 9110 7.2, stricter: names, addresses, an optional port, nothing else.

/// The length of the host part of `value` (without the port), if the whole is well formed.
pub(super) fn host_len(value: &[u8]) -> Option<usize> {
    let (host, rest) = if value.first() == Some(&b'[') {
        let close = value.iter().position(|b| *b == b']')?;
        let inside = std::str::from_utf8(&value[1..close]).ok()?;
        inside.parse::<std::net::Ipv6Addr>().ok()?;
        value.split_at(close + 1)
    } else {
        let end = value.iter().position(|b| *b == b':').unwrap_or(value.len());
        let (host, rest) = value.split_at(end);
        let clean = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let dots = host.first() == Some(&b'.') || host.windows(2).any(|w| w == b"..");
        if host.is_empty() || host.len() > 255 || dots || !host.iter().all(clean) {
            return None;
        }
        (host, rest)
    };
    match rest {
        [] => Some(host.len()),
        [b':', port @ ..] if (1..=5).contains(&port.len()) => {
            let number = port.iter().try_fold(0_u32, |sum, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| sum * 10 + u32::from(digit - b'0'))
            })?;
            (number <= u32::from(u16::MAX)).then_some(host.len())
        }
        _ => None,
    }
}
