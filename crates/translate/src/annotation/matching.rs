//! Annotations that say which requests the routes of an Ingress are for, beside host and path.

use super::{Feature, Reader};
use tidegate_model::{FieldMatch, PSEUDO_HEADERS, Pattern, Route, ValueMatch};

/// What a request must be like for the routes of an Ingress. Ordered so that no condition at all comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Conditions {
    /// The case of letters in paths does not count.
    pub(crate) ignore_case: bool,
    pub(crate) methods: Vec<String>,
    pub(crate) headers: Vec<FieldMatch>,
    pub(crate) query: Vec<FieldMatch>,
    pub(crate) pseudo_headers: Vec<FieldMatch>,
}

/// A condition that cannot be read. The routes must not serve requests that it would have kept from them.
#[derive(Debug)]
pub(super) struct Unreadable;

/// How a value is compared.
#[derive(Clone, Copy)]
enum Kind {
    Exact,
    Prefix,
    Regex,
}

/// Where a named field stands.
#[derive(Clone, Copy)]
enum Place {
    Header,
    Query,
    PseudoHeader,
}

/// The annotations whose key ends in the name of a field.
const NAMED: [(Feature, Place, Kind); 9] = [
    (Feature::ExactHeader, Place::Header, Kind::Exact),
    (Feature::PrefixHeader, Place::Header, Kind::Prefix),
    (Feature::RegexHeader, Place::Header, Kind::Regex),
    (Feature::ExactQuery, Place::Query, Kind::Exact),
    (Feature::PrefixQuery, Place::Query, Kind::Prefix),
    (Feature::RegexQuery, Place::Query, Kind::Regex),
    (Feature::ExactPseudo, Place::PseudoHeader, Kind::Exact),
    (Feature::PrefixPseudo, Place::PseudoHeader, Kind::Prefix),
    (Feature::RegexPseudo, Place::PseudoHeader, Kind::Regex),
];

impl Conditions {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Makes a route ask for them. Regular expressions mind the case unless they say otherwise themselves.
    pub(crate) fn apply(&self, route: &mut Route) {
        route.ignore_case =
            self.ignore_case && !matches!(route.path, tidegate_model::PathMatch::Regex(_));
        route.methods.clone_from(&self.methods);
        route.headers.clone_from(&self.headers);
        route.query.clone_from(&self.query);
        route.pseudo_headers.clone_from(&self.pseudo_headers);
    }
}

impl Reader<'_> {
    /// All conditions, or none of them where one cannot be read.
    pub(super) fn conditions(&mut self) -> Result<Conditions, Unreadable> {
        let mut conditions = Conditions {
            ignore_case: self.is_set(Feature::IgnorePathCase),
            ..Conditions::default()
        };
        let methods = self.methods();
        let mut readable = methods.is_ok();
        conditions.methods = methods.unwrap_or_default();
        for (feature, place, kind) in NAMED {
            for (name, key, text) in self.named(feature) {
                match condition(place, kind, name, text.trim()) {
                    Ok(condition) => conditions.list(place).push(condition),
                    Err(why) => {
                        readable = false;
                        let why = format!("{why}; {CLOSED}");
                        self.refuse(key, text, &why);
                    }
                }
            }
        }
        for place in [Place::Header, Place::Query, Place::PseudoHeader] {
            let list = conditions.list(place);
            list.sort_unstable();
            list.dedup();
        }
        match readable {
            true => Ok(conditions),
            false => Err(Unreadable),
        }
    }

    fn methods(&mut self) -> Result<Vec<String>, Unreadable> {
        let Some((key, text)) = self.text(Feature::MatchMethod) else {
            return Ok(Vec::new());
        };
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let mut methods = Vec::new();
        for word in text.split_whitespace() {
            if !word.bytes().all(token) {
                let why = format!(
                    "it must be methods with spaces between them, such as \"GET HEAD\"; {CLOSED}"
                );
                self.refuse(key, text, &why);
                return Err(Unreadable);
            }
            methods.push(word.to_ascii_uppercase());
        }
        methods.sort_unstable();
        methods.dedup();
        Ok(methods)
    }
}

const CLOSED: &str =
    "the Ingress has no routes until this is mended, for nobody knows which requests they are for";

impl Conditions {
    fn list(&mut self, place: Place) -> &mut Vec<FieldMatch> {
        match place {
            Place::Header => &mut self.headers,
            Place::Query => &mut self.query,
            Place::PseudoHeader => &mut self.pseudo_headers,
        }
    }
}

fn condition(place: Place, kind: Kind, name: &str, text: &str) -> Result<FieldMatch, String> {
    let name = match place {
        Place::Header => name.to_ascii_lowercase(),
        Place::Query => name.to_owned(),
        Place::PseudoHeader => name.to_ascii_lowercase(),
    };
    if matches!(place, Place::PseudoHeader) && !PSEUDO_HEADERS.contains(&name.as_str()) {
        return Err(format!(
            "a request has no pseudo-header {name:?}, only {}",
            PSEUDO_HEADERS.join(", ")
        ));
    }
    let value = match kind {
        Kind::Exact => ValueMatch::AnyOf(vec![text.to_owned()]),
        Kind::Prefix => ValueMatch::Prefix(text.to_owned()),
        // The whole value, as the proxy under the original does it.
        Kind::Regex => Pattern::new(text)
            .and_then(|_| Pattern::new(&format!("^(?:{text})$")))
            .map(ValueMatch::Regex)
            .map_err(|error| error.reason)?,
    };
    Ok(FieldMatch { name, value })
}
