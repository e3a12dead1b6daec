//! Annotations about what the backend's answer says of places, about the gateway's own redirects, and about the time a
//! request may take.

use super::{Feature, Reader};
use tidegate_model::{AnswerRewrite, Filters, Replace};

impl Reader<'_> {
    pub(super) fn answers(&mut self, filters: &mut Filters) {
        filters.answer = AnswerRewrite {
            cookie_domain: self.replace(Feature::ProxyCookieDomain),
            cookie_path: self.replace(Feature::ProxyCookiePath),
            location: self.location(),
        };
        filters.relative_redirects = self.is_set(Feature::RelativeRedirects);
        filters.timeouts.total = self.seconds_or_none(Feature::Timeout);
        filters.retry.within = self.seconds_or_none(Feature::TriesTimeout);
    }

    /// `from to`, or `off`.
    fn replace(&mut self, feature: Feature) -> Option<Replace> {
        let replace = self.value(feature, |text| {
            if text == "off" {
                return Ok(None);
            }
            let words: Vec<&str> = text.split_whitespace().collect();
            let [from, to] = words[..] else {
                return Err(
                    "it must be 'off', or two words: what is replaced, and by what".to_owned(),
                );
            };
            plain(from, to).map(Some)
        });
        replace.flatten()
    }

    /// `proxy-redirect-from` and `-to`: both, or neither.
    fn location(&mut self) -> Option<Replace> {
        let from = self.text(Feature::ProxyRedirectFrom);
        let to = self.text(Feature::ProxyRedirectTo);
        let is_off = |part: Option<(&str, &str)>| {
            part.is_some_and(|(_, text)| matches!(text, "off" | "default"))
        };
        if is_off(from) || is_off(to) {
            return None;
        }
        let ((_, from), (key, to)) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            (Some((key, text)), None) => {
                self.refuse(key, text, "it needs proxy-redirect-to beside it");
                return None;
            }
            (None, Some((key, text))) => {
                self.refuse(key, text, "it needs proxy-redirect-from beside it");
                return None;
            }
            (None, None) => return None,
        };
        plain(from, to)
            .map_err(|why| self.refuse(key, to, &why))
            .ok()
    }
}

fn plain(from: &str, to: &str) -> Result<Replace, String> {
    if from.starts_with('~') {
        return Err("regular expressions are not supported here".to_owned());
    }
    if from.contains('$') || to.contains('$') {
        return Err("variables are not supported".to_owned());
    }
    let replace = Replace {
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let filters = Filters {
        answer: AnswerRewrite {
            location: Some(replace.clone()),
            ..AnswerRewrite::default()
        },
        ..Filters::default()
    };
    let path = tidegate_model::PathMatch::Prefix("/".to_owned());
    match filters.validate(&path) {
        Ok(()) => Ok(replace),
        Err((_, why)) => Err(why),
    }
}
