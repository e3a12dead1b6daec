//! What a backend says about places, told in the client's terms.

use serde::{Deserialize, Serialize};

/// Changes of headers of answers that name hosts or paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerRewrite {
    /// `Domain` of `Set-Cookie` (RFC 6265 5.2.3): replaced where it is `from`, whatever its case and a dot before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_domain: Option<Replace>,
    /// `Path` of `Set-Cookie` (RFC 6265 5.2.4): `from` at its beginning is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_path: Option<Replace>,
    /// `Location` (RFC 9110 10.2.2), and the URL in `Refresh`: `from` at its beginning is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Replace>,
}

/// A text, and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// It must not be empty.
    pub from: String,
    /// Visible ASCII without `;` and `,`.
    pub to: String,
}

impl AnswerRewrite {
    /// The first field that cannot be served, with the reason.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        let all = [
            ("cookie_domain", &self.cookie_domain),
            ("cookie_path", &self.cookie_path),
            ("location", &self.location),
        ];
        for (field, replace) in all {
            let Some(Replace { from, to }) = replace else {
                continue;
            };
            if from.is_empty() {
                return Err((field, "there must be something to replace".to_owned()));
            }
            // In a header more would begin another attribute or another line.
            let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'"' | b'\\');
            if let Some(text) = [from, to].into_iter().find(|text| !text.bytes().all(fits)) {
                let reason =
                    format!("{text:?}: only visible ASCII without ; , \" and \\ is allowed");
                return Err((field, reason));
            }
        }
        Ok(())
    }
}
