//! What a backend says about places in its answer, told in the client's terms.

use crate::h1::{Edits, append_line};
use tidegate_model::{AnswerRewrite as Rules, Replace};

/// Writes `Set-Cookie`, `Location` and `Refresh` anew, those of them that it has rules for.
#[derive(Debug)]
pub(crate) struct AnswerRewrite {
    cookie_domain: Option<Replace>,
    cookie_path: Option<Replace>,
    location: Option<Replace>,
    cookies: bool,
    locations: bool,
    refreshes: bool,
}

impl AnswerRewrite {
    /// `None` if there is nothing to do. The lines that will be written anew are dropped by `edits`; what these drop
    /// already stays away.
    pub(super) fn compile(rules: &Rules, edits: &mut Edits) -> Option<Self> {
        let mut takes = |name: &str, wanted: bool| {
            let takes = wanted && !edits.drops(name.as_bytes());
            if takes {
                edits.drop(name);
            }
            takes
        };
        let cookies = takes(
            "set-cookie",
            rules.cookie_domain.is_some() || rules.cookie_path.is_some(),
        );
        let locations = takes("location", rules.location.is_some());
        let refreshes = takes("refresh", rules.location.is_some());
        (cookies || locations || refreshes).then(|| Self {
            cookie_domain: rules.cookie_domain.clone(),
            cookie_path: rules.cookie_path.clone(),
            location: rules.location.clone(),
            cookies,
            locations,
            refreshes,
        })
    }

    /// Writes the lines of an answer that it is about.
    pub(crate) fn write<'a>(
        &self,
        lines: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        out: &mut Vec<u8>,
    ) {
        for (name, value) in lines {
            if self.cookies && name.eq_ignore_ascii_case(b"set-cookie") {
                append_line(out, "Set-Cookie", &self.cookie(value));
            } else if self.locations && name.eq_ignore_ascii_case(b"location") {
                append_line(out, "Location", &self.url(value));
            } else if self.refreshes && name.eq_ignore_ascii_case(b"refresh") {
                append_line(out, "Refresh", &self.refresh(value));
            }
        }
    }

    fn url(&self, value: &[u8]) -> Vec<u8> {
        prefix(self.location.as_ref(), value).unwrap_or_else(|| value.to_vec())
    }

    /// `5; url=http://...`: what stands behind the first `url=`.
    fn refresh(&self, value: &[u8]) -> Vec<u8> {
        let at = value
            .windows(4)
            .position(|four| four.eq_ignore_ascii_case(b"url="));
        match at {
            Some(at) => [&value[..at + 4], &self.url(&value[at + 4..])].concat(),
            None => value.to_vec(),
        }
    }

    /// The attributes stand behind the first `;` (RFC 6265 4.1.1); the cookie itself is not touched.
    fn cookie(&self, value: &[u8]) -> Vec<u8> {
        let mut parts = value.split(|b| *b == b';');
        let mut out = parts.next().unwrap_or_default().to_vec();
        for part in parts {
            out.push(b';');
            match self.attribute(part) {
                Some(new) => out.extend_from_slice(&new),
                None => out.extend_from_slice(part),
            }
        }
        out
    }

    fn attribute(&self, part: &[u8]) -> Option<Vec<u8>> {
        let at = part.iter().position(|b| *b == b'=')?;
        let (name, value) = (&part[..at], part[at + 1..].trim_ascii());
        let new = match name.trim_ascii() {
            name if name.eq_ignore_ascii_case(b"domain") => {
                let rule = self.cookie_domain.as_ref()?;
                let bare =
                    |text: &'_ [u8]| text.strip_prefix(b".").unwrap_or(text).to_ascii_lowercase();
                (bare(value) == bare(rule.from.as_bytes())).then(|| rule.to.as_bytes().to_vec())?
            }
            name if name.eq_ignore_ascii_case(b"path") => prefix(self.cookie_path.as_ref(), value)?,
            _ => return None,
        };
        Some([name, b"=", &new].concat())
    }
}

/// The value with another beginning, if the rule is about it.
fn prefix(rule: Option<&Replace>, value: &[u8]) -> Option<Vec<u8>> {
    let rule = rule?;
    let rest = value.strip_prefix(rule.from.as_bytes())?;
    Some([rule.to.as_bytes(), rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(rules: &str, lines: &[(&str, &str)]) -> String {
        let rules: Rules = serde_saphyr::from_str(rules).unwrap();
        let mut edits = Edits::default();
        let rewrite = AnswerRewrite::compile(&rules, &mut edits).unwrap();
        let mut out = Vec::new();
        let lines = lines
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        rewrite.write(lines, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn attributes_of_cookies_change_and_cookies_do_not() {
        let rules = "{ cookie_domain: { from: in.example.com, to: shop.example.com }, cookie_path: { from: /app/, to: / } }";
        let cases = [
            (
                "a=1; Domain=in.example.com; Path=/app/x",
                "a=1; Domain=shop.example.com; Path=/x",
            ),
            (
                "a=1;DOMAIN=.In.Example.com ;path=/app/",
                "a=1;DOMAIN=shop.example.com;path=/",
            ),
            (
                "a=1; Domain=www.in.example.com; Path=/app",
                "a=1; Domain=www.in.example.com; Path=/app",
            ),
            (
                "Domain=in.example.com; Secure; HttpOnly",
                "Domain=in.example.com; Secure; HttpOnly",
            ),
            ("a=1", "a=1"),
            ("", ""),
            ("a=1;", "a=1;"),
            ("a=1; =; path", "a=1; =; path"),
        ];
        for (from, to) in cases {
            let expect = format!("Set-Cookie: {to}\r\n");
            assert_eq!(rewritten(rules, &[("set-cookie", from)]), expect, "{from}");
        }
        let two = [
            ("Set-Cookie", "a=1; Path=/app/a"),
            ("X", "Path=/app/"),
            ("Set-Cookie", "b=2"),
        ];
        assert_eq!(
            rewritten(rules, &two),
            "Set-Cookie: a=1; Path=/a\r\nSet-Cookie: b=2\r\n"
        );
    }

    #[test]
    fn locations_and_refreshes_change_where_they_begin_so() {
        let rules = "{ location: { from: 'http://in:8080/', to: 'https://shop.example.com/' } }";
        let check = |name: &str, from: &str, to: &str| {
            let lines = rewritten(rules, &[(name, from)]);
            assert_eq!(lines, format!("{name}: {to}\r\n"));
        };
        check(
            "Location",
            "http://in:8080/x?y",
            "https://shop.example.com/x?y",
        );
        check("Location", "/x?to=http://in:8080/", "/x?to=http://in:8080/");
        check(
            "Refresh",
            "5; URL=http://in:8080/x",
            "5; URL=https://shop.example.com/x",
        );
        check("Refresh", "5", "5");
    }

    #[test]
    fn what_is_removed_anyway_does_not_come_back() {
        let rules: Rules = serde_saphyr::from_str("{ location: { from: /a, to: /b } }").unwrap();
        let mut edits = Edits::default();
        edits.drop("Location");
        edits.drop("Refresh");
        assert!(AnswerRewrite::compile(&rules, &mut edits).is_none());
    }
}
