//! Another path for the backend.

use tidegate_model::{PathMatch, PathRewrite as Rule, Pattern, normalise_path};

#[derive(Debug)]
pub(super) enum PathRewrite {
    /// So many bytes of the path are replaced by this, which does not end in `/`.
    Prefix(usize, Box<str>),
    /// All of it is replaced.
    Full(Template),
    /// All of it, by what the groups of this pattern hold.
    Groups(Pattern, Template),
}

/// A path, and the query behind it.
#[derive(Debug)]
pub(super) struct Template {
    path: Vec<Piece>,
    query: Option<Vec<Piece>>,
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Group(usize),
}

impl PathRewrite {
    pub(super) fn compile(rule: Option<&Rule>, path: &PathMatch) -> Option<Self> {
        Some(match (rule?, path) {
            (Rule::Prefix(new), PathMatch::Exact(path)) => {
                Self::Prefix(path.len(), new.as_str().into())
            }
            (Rule::Prefix(new), PathMatch::Prefix(path)) => {
                let length = path.trim_end_matches('/').len();
                Self::Prefix(length, new.trim_end_matches('/').into())
            }
            (Rule::Full(template), PathMatch::Regex(pattern)) => {
                Self::Groups(pattern.clone(), Template::new(template))
            }
            // Validation lets no prefix of a regular expression through.
            (Rule::Full(template) | Rule::Prefix(template), _) => {
                Self::Full(Template::new(template))
            }
        })
    }

    /// The new path in normal form, and the query with its `?`. `None` when it leads above the root.
    pub(super) fn apply(&self, path: &str, query: &[u8]) -> Option<(String, Vec<u8>)> {
        let none = [&b""[..]; 10];
        let (new, more) = match self {
            Self::Prefix(length, new) => {
                let rest = path.get(*length..).unwrap_or_default();
                (format!("{new}{rest}"), None)
            }
            Self::Full(template) => template.fill(&none),
            Self::Groups(pattern, template) => {
                let groups = pattern.captures_at_start(path.as_bytes()).unwrap_or(none);
                template.fill(&groups)
            }
        };
        let rooted = if new.starts_with('/') {
            new
        } else {
            format!("/{new}")
        };
        let path = normalise_path(&rooted)?.into_owned();
        let query = match (more, query) {
            (None, query) => query.to_vec(),
            (Some(more), [] | [b'?']) => [b"?", more.as_bytes()].concat(),
            (Some(more), [_, own @ ..]) => [b"?", more.as_bytes(), b"&", own].concat(),
        };
        Some((path, query))
    }
}

impl Template {
    fn new(text: &str) -> Self {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        Self {
            path: pieces(path),
            query: query.map(pieces),
        }
    }

    fn fill(&self, groups: &[&[u8]; 10]) -> (String, Option<String>) {
        let fill = |pieces: &[Piece]| {
            let mut filled = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) => filled.push_str(text),
                    // The path is ASCII, and so are its parts.
                    Piece::Group(group) => {
                        filled.extend(groups[*group].iter().map(|b| char::from(*b)))
                    }
                }
            }
            filled
        };
        (fill(&self.path), self.query.as_deref().map(fill))
    }
}

/// `$1` to `$9` between texts.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        let digit = after.bytes().next().unwrap_or_default();
        // Validation lets nothing else through.
        if digit.is_ascii_digit() {
            pieces.push(Piece::Group(usize::from(digit - b'0')));
        }
        rest = after.get(1..).unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    pieces
}
