//! Trailers: header lines behind a body, RFC 9110 6.5.

use super::lines::{Known, Scan, scan_lines};

/// The trailers in `lines`, each a line that ends in CRLF, that may be passed on, as name and value. What decides
/// about framing, routing, rights or caching is left out (RFC 9110 6.5.1, B10): whoever merges trailers into
/// headers must not be led astray by it. Nothing at all when the lines are not clean.
pub(crate) fn passable_trailers(lines: &[u8]) -> Vec<(&[u8], &[u8])> {
    if lines.is_empty() {
        return Vec::new();
    }
    let mut section = lines.to_vec();
    section.extend_from_slice(b"\r\n");
    let mut found = Vec::new();
    match scan_lines(&section, 0, &mut found) {
        Ok(Scan::Done(_)) => {}
        Ok(Scan::Incomplete) | Err(_) => return Vec::new(),
    }
    found
        .iter()
        .filter(|line| line.known == Known::Other)
        .map(|line| (line.name.of(lines), line.value.of(lines)))
        .filter(|(name, _)| may_trail(name))
        .collect()
}

/// Whether a header of this name may stand behind a body.
fn may_trail(name: &[u8]) -> bool {
    const NOT: [&str; 25] = [
        "age",
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expect",
        "expires",
        "host",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "retry-after",
        "set-cookie",
        "te",
        "transfer-encoding",
        "vary",
        "www-authenticate",
    ];
    let is = |no: &&str| name.eq_ignore_ascii_case(no.as_bytes());
    !NOT.iter().any(is) && !name.to_ascii_lowercase().starts_with(b"x-forwarded-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(lines: &[u8]) -> Vec<&str> {
        let passable = passable_trailers(lines);
        let names = passable
            .iter()
            .map(|(name, _)| std::str::from_utf8(name).unwrap());
        names.collect()
    }

    #[test]
    fn what_could_mislead_is_left_out() {
        assert_eq!(names(b""), [""; 0]);
        assert_eq!(
            names(b"Grpc-Status: 0\r\nx-sum:1\r\n"),
            ["Grpc-Status", "x-sum"]
        );
        for no in [
            "Authorization",
            "Content-Length",
            "Content-Type",
            "Set-Cookie",
            "Host",
            "TE",
            "Trailer",
            "Upgrade",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "X-Forwarded-For",
            "X-Request-Id",
            "X-Real-IP",
            "Expect",
        ] {
            assert_eq!(
                names(format!("{no}: a\r\nx: y\r\n").as_bytes()),
                ["x"],
                "{no}"
            );
        }
        // Not clean: nobody can say what the rest is.
        for bad in ["content_length: 1", "a b: c", " a: b", "a: b\0"] {
            assert_eq!(
                names(format!("x: y\r\n{bad}\r\n").as_bytes()),
                [""; 0],
                "{bad}"
            );
        }
    }
}
