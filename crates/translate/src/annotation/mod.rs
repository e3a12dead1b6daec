//! Annotations of Ingresses: one typed table says what each means today.

mod table;

use crate::backend::ServiceRef;
use crate::diagnostic::{Sink, quote};
use crate::fleet::PortRef;
use crate::{ObjectRef, Reason};
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use tidegate_model::{ClusterName, FieldMatch, ValueMatch};

/// Prefixes in the order in which they win when one name is written with several.
const PREFIXES: [&str; 3] = [
    "nginx.ingress.kubernetes.io/",
    "mse.ingress.kubernetes.io/",
    tidegate_api::PREFIX,
];

/// The label that selects a cluster in `subset-labels`.
const CLUSTER_LABEL: &str = "topology.istio.io/cluster";

/// One annotation.
struct Row {
    name: &'static str,
    spelling: Spelling,
    /// A value that asks for what happens anyway.
    default: &'static str,
    state: State,
}

/// Under which prefixes a name is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// All of [`PREFIXES`].
    Both,
    /// All but nginx's: the name is not one of ingress-nginx.
    Own,
}

/// What a name does today.
#[derive(Clone, Copy)]
enum State {
    /// It has effect.
    Works(Feature),
    /// It will have effect and has none now.
    NotYet,
    /// It protects the routes and does not work yet, so the routes must not be open either.
    Guards,
    /// What it tunes does not exist here; leaving it out changes nothing.
    Needless,
    /// It never will have effect.
    Refused(Refusal),
}

#[derive(Clone, Copy)]
enum Refusal {
    Snippet,
    Foreign,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Feature {
    Canary,
    CanaryByHeader,
    CanaryByHeaderValue,
    DefaultBackend,
    ServiceSubset,
    SubsetLabels,
}

/// What the annotations of one Ingress say.
#[derive(Default)]
pub(crate) struct Annotations {
    /// The cluster its routes are pinned to, with the annotation's key.
    pub(crate) pinned: Option<(ClusterName, String)>,
    pub(crate) canary: CanaryRole,
    /// Service of `default-backend`; its port is the first one, resolved later. With its key.
    pub(crate) default_backend: Option<(String, String)>,
    /// Set when something that protects the routes does not work: they answer 503.
    pub(crate) closed: bool,
}

/// What an Ingress is with regard to canaries.
#[derive(Default)]
pub(crate) enum CanaryRole {
    /// An ordinary Ingress.
    #[default]
    None,
    /// Its routes are tried first, for requests with this header.
    ByHeader(FieldMatch),
    /// Marked as a canary with nothing that selects requests: no routes.
    Unselected { key: String },
}

/// Reads the annotations of an Ingress. A bad value costs that annotation alone.
pub(crate) fn read(
    all: &BTreeMap<String, String>,
    object: &ObjectRef,
    diagnostics: &mut Sink,
) -> Annotations {
    let mut found: HashMap<Feature, (&str, &str)> = HashMap::new();
    let mut annotations = Annotations::default();
    for prefix in PREFIXES {
        for (key, value) in all.range(prefix.to_owned()..) {
            let Some(name) = key.strip_prefix(prefix) else {
                break;
            };
            if key == tidegate_api::STATUS_ANNOTATION {
                continue;
            }
            let field = format!("metadata.annotations[{}]", cut(key));
            let Some(row) = look_up(name) else {
                let text = "Tidegate does not know this annotation; it has no effect".to_owned();
                diagnostics.warning(object, field, Reason::NoEffect, text);
                continue;
            };
            if row.spelling == Spelling::Own && prefix == PREFIXES[0] {
                let text = format!(
                    "ingress-nginx has no such annotation: write {}{name}",
                    PREFIXES[1]
                );
                diagnostics.warning(object, field, Reason::NoEffect, text);
                continue;
            }
            match row.state {
                State::Works(feature) => {
                    found.entry(feature).or_insert((key, value));
                }
                State::NotYet if asks_for_nothing(row, value) => {}
                State::NotYet => {
                    let text = format!("{} has no effect yet", quote(value));
                    diagnostics.warning(object, field, Reason::NoEffect, text);
                }
                State::Guards if asks_for_nothing(row, value) => {}
                State::Guards => {
                    annotations.closed = true;
                    let text = "it protects the routes of this Ingress and does not work yet: they answer 503 rather \
                                than being open; remove the annotation to serve them without it";
                    diagnostics.error(object, field, Reason::Unprotected, text.to_owned());
                }
                State::Needless => {
                    let text = "it needs no configuration here and has no effect".to_owned();
                    diagnostics.note(object, field, Reason::NoEffect, text);
                }
                State::Refused(why) => {
                    let text = match why {
                        Refusal::Snippet => {
                            "free text in another proxy's language is never used; look for a typed annotation instead"
                        }
                        Refusal::Foreign => {
                            "Tidegate does not do this; the annotation has no effect"
                        }
                    };
                    diagnostics.warning(object, field, Reason::Refused, text.to_owned());
                }
            }
        }
    }
    let mut reader = Reader {
        found,
        object,
        diagnostics,
    };
    annotations.pinned = reader.pinned();
    annotations.canary = reader.canary();
    annotations.default_backend = reader.default_backend();
    annotations
}

fn look_up(name: &str) -> Option<&'static Row> {
    static EXACT: LazyLock<HashMap<&str, &Row>> =
        LazyLock::new(|| table::TABLE.iter().map(|row| (row.name, row)).collect());
    EXACT.get(name).copied().or_else(|| {
        table::TABLE
            .iter()
            .filter_map(|row| Some((row, row.name.strip_suffix('*')?)))
            .find(|(_, stem)| name.len() > stem.len() && name.starts_with(stem))
            .map(|(row, _)| row)
    })
}

/// Whether a value asks for what happens without the annotation as well.
fn asks_for_nothing(row: &Row, value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || value.eq_ignore_ascii_case("false")
        || (!row.default.is_empty() && value.eq_ignore_ascii_case(row.default))
}

fn cut(key: &str) -> &str {
    key.char_indices()
        .nth(120)
        .map_or(key, |(at, _)| &key[..at])
}

/// Reads the values of the features that work.
struct Reader<'a> {
    found: HashMap<Feature, (&'a str, &'a str)>,
    object: &'a ObjectRef,
    diagnostics: &'a mut Sink,
}

impl<'a> Reader<'a> {
    fn refuse(&mut self, key: &str, value: &str, why: &str) {
        self.diagnostics.error(
            self.object,
            format!("metadata.annotations[{key}]"),
            Reason::InvalidAnnotation,
            format!("{} is ignored: {why}", quote(value)),
        );
    }

    /// `service-subset` with `subset-labels`: the original's rule, for clusters.
    fn pinned(&mut self) -> Option<(ClusterName, String)> {
        let subset = self.found.get(&Feature::ServiceSubset).copied();
        let labels = self.found.get(&Feature::SubsetLabels).copied();
        let (key, value) = match (subset, labels) {
            (None, None) => return None,
            (Some(_), Some(labels)) => labels,
            (Some((key, value)), None) => {
                self.refuse(
                    key,
                    value,
                    "subsets of pods are not supported; name a cluster in subset-labels",
                );
                return None;
            }
            (None, Some((key, value))) => {
                self.refuse(key, value, "it needs service-subset beside it");
                return None;
            }
        };
        let mut cluster = None;
        for line in value.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Some((label, text)) = line.split_once(char::is_whitespace) else {
                self.refuse(key, value, "each line must read 'label value'");
                return None;
            };
            if label != CLUSTER_LABEL {
                self.refuse(
                    key,
                    value,
                    "the only label supported is topology.istio.io/cluster",
                );
                return None;
            }
            match ClusterName::new(text.trim()) {
                Ok(name) if cluster.as_ref().is_none_or(|first| *first == name) => {
                    cluster = Some(name)
                }
                Ok(_) => {
                    self.refuse(
                        key,
                        value,
                        "an endpoint is in one cluster only, so that nothing has both labels",
                    );
                    return None;
                }
                Err(error) => {
                    self.refuse(key, value, &error.to_string());
                    return None;
                }
            }
        }
        if cluster.is_none() {
            self.refuse(key, value, "it names no label");
        }
        Some((cluster?, key.to_owned()))
    }

    fn canary(&mut self) -> CanaryRole {
        let header = self.found.get(&Feature::CanaryByHeader).copied();
        let value = self.found.get(&Feature::CanaryByHeaderValue).copied();
        let Some((key, text)) = self.found.get(&Feature::Canary).copied() else {
            for (key, text) in [header, value].into_iter().flatten() {
                self.refuse(key, text, "it needs canary: \"true\" beside it");
            }
            return CanaryRole::None;
        };
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => {}
            "0" | "f" | "F" | "false" | "FALSE" | "False" => return CanaryRole::None,
            _ => {
                self.refuse(key, text, "it must be \"true\" or \"false\"");
                return CanaryRole::None;
            }
        }
        let unselected = CanaryRole::Unselected {
            key: key.to_owned(),
        };
        let Some((header_key, name)) = header else {
            if let Some((key, text)) = value {
                self.refuse(key, text, "it needs canary-by-header beside it");
            }
            return unselected;
        };
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || name.len() > 256 || !name.bytes().all(token) {
            self.refuse(
                header_key,
                name,
                "it is not the name of a header (RFC 9110 5.6.2)",
            );
            return unselected;
        }
        // The original lets 'always' match beside an explicit value too.
        let mut any_of = vec!["always".to_owned()];
        if let Some((value_key, text)) = value {
            let visible = |b: u8| b == b' ' || b == b'\t' || (b > b' ' && b != 0x7f);
            if text.is_empty() {
            } else if text.trim() != text || !text.bytes().all(visible) {
                self.refuse(value_key, text, "no header can have this value");
            } else {
                any_of.insert(0, text.to_owned());
                any_of.dedup();
            }
        }
        CanaryRole::ByHeader(FieldMatch {
            name: name.to_ascii_lowercase(),
            value: ValueMatch::AnyOf(any_of),
        })
    }

    fn default_backend(&mut self) -> Option<(String, String)> {
        let (key, value) = self.found.get(&Feature::DefaultBackend).copied()?;
        let (namespace, name) = match value.split_once('/') {
            Some((namespace, name)) => (namespace, name),
            None => (self.object.namespace.as_str(), value),
        };
        if namespace != self.object.namespace {
            self.refuse(key, value, "a Service of another namespace needs that namespace's grant, which is not supported yet");
            return None;
        }
        if name.is_empty() || name.contains('/') {
            self.refuse(key, value, "it must be the name of a Service");
            return None;
        }
        Some((name.to_owned(), key.to_owned()))
    }
}

/// The Service port that `default-backend` means: the first one of the first cluster that has it.
pub(crate) fn first_port(
    fleet: &crate::fleet::Fleet<'_>,
    clusters: &std::collections::BTreeSet<ClusterName>,
    namespace: &str,
    name: &str,
) -> Option<ServiceRef> {
    let port = clusters
        .iter()
        .filter_map(|cluster| fleet.clusters.get(cluster))
        .find_map(|member| member.first_port(namespace, name))?;
    Some(ServiceRef {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        port: PortRef::Number(port),
    })
}
