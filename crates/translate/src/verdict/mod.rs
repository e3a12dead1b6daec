//! What becomes of the objects of an ingress-nginx controller: the same, the same with a difference, or refused.
//!
//! The objects are translated as the hub would, by the same code, and what the translator says of a field is its
//! verdict; the table of annotations adds where those that work differ. What no diagnostic can know, because only
//! ingress-nginx does it, stands in `rules` and `settings`.

mod named;
mod rules;
mod settings;
mod take;

use crate::annotation::table::{Spelling, look_up};
use crate::annotation::{PREFIXES, State};
use crate::{
    AuthSecret, Diagnostic, Freshness, Kind, MemberView, ObjectRef, Objects, Reason, Severity,
    TlsSecret, Translation, WorldView, translate,
};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, IngressClassSpec};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_api::cluster::{ClusterSpec, Connection, Location, Reach, SecretKeyRef, Traffic};
use tidegate_api::{Cluster, INGRESS_CONTROLLER};
use tidegate_model::ClusterName;

const NGINX_CONTROLLER: &str = "k8s.io/ingress-nginx";
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// What was read of the cluster that ingress-nginx serves.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)] // The fields are the kinds' own names.
pub struct Manifests {
    pub ingresses: Vec<Arc<Ingress>>,
    pub ingress_classes: Vec<Arc<IngressClass>>,
    /// `None` where nothing is known of them: backends are not checked then.
    pub services: Option<Vec<Arc<Service>>>,
    /// Secrets of type `kubernetes.io/tls`; `None` as above.
    pub tls_secrets: Option<Vec<Arc<TlsSecret>>>,
    /// Other Secrets, for what annotations name; `None` as above.
    pub other_secrets: Option<Vec<Arc<AuthSecret>>>,
    /// ConfigMaps that annotations may name; `None` as above.
    pub config_maps: Option<Objects<ConfigMap>>,
    /// The controller's ConfigMaps, by `namespace/name`.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
    /// Kinds, namespaces and names of what was taken.
    seen: BTreeSet<(String, String, String)>,
}

/// What a move to Tidegate changes, in the order of seriousness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Clients see no difference.
    Same,
    /// It works, with a difference that is explained.
    Different,
    /// It does not work; the reason says what to do instead.
    Refused,
}

/// The verdict on one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// As `metadata.annotations[...]`, `spec.rules[0].http.paths[0].path`, `data[...]`.
    pub field: String,
    /// The field's value where that helps, cut where it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// What differs, or why it is refused and what to do instead; empty where it is the same.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// The verdict on one object: that of its worst finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// As `Ingress`.
    pub kind: &'static str,
    /// Its namespace; empty for cluster-scoped kinds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Sorted by field.
    pub findings: Vec<Finding>,
}

/// How many objects have each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // The fields are the verdicts' own names.
pub struct Counts {
    pub same: usize,
    pub different: usize,
    pub refused: usize,
}

/// All verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this form: 1.
    pub version: u32,
    /// The worst verdict.
    pub verdict: Verdict,
    /// Objects by verdict.
    pub counts: Counts,
    /// Sorted by kind, namespace and name.
    pub objects: Vec<Judged>,
    /// What was not looked at, and what to know of the whole.
    pub notes: Vec<String>,
}

/// Judges everything. Ingresses are of the IngressClasses whose controller is ingress-nginx, and of `class` when that
/// IngressClass is not among the objects.
pub fn judge(manifests: &Manifests, class: &str) -> Report {
    let world = world(manifests, class);
    let translation = translate(&world);
    let ours: BTreeSet<&ObjectRef> = translation.ingresses.keys().map(AsRef::as_ref).collect();
    let mut said_of: BTreeMap<&ObjectRef, Vec<&Diagnostic>> = BTreeMap::new();
    for diagnostic in translation
        .diagnostics
        .iter()
        .filter(|d| was_checked(d, manifests))
    {
        said_of
            .entry(&diagnostic.object)
            .or_default()
            .push(diagnostic);
    }
    let mut notes = Vec::new();
    let mut objects = Vec::new();
    let context = rules::Context::new(manifests, |object| ours.contains(object));
    for ingress in &manifests.ingresses {
        let object = ObjectRef::of(Kind::Ingress, &ingress.metadata);
        let said = said_of.remove(&object).unwrap_or_default();
        if !ours.contains(&object) {
            notes.push(match said.first() {
                Some(diagnostic) => format!("{object} was not looked at: {}", diagnostic.message),
                None => {
                    format!("{object} was not looked at: its class is not one of ingress-nginx")
                }
            });
            continue;
        }
        let mut findings = annotations(ingress, &said);
        findings.extend(said.iter().map(|diagnostic| found(ingress, diagnostic)));
        findings.extend(context.findings(ingress));
        objects.push(judged("Ingress", object.namespace, object.name, findings));
    }
    for class in &manifests.ingress_classes {
        if is_nginx(class) {
            let name = class.metadata.name.clone().unwrap_or_default();
            objects.push(judged(
                "IngressClass",
                String::new(),
                name,
                vec![controller()],
            ));
        }
    }
    for (name, data) in &manifests.settings {
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        let findings = data.iter().map(|(key, value)| settings::judge(key, value));
        objects.push(judged(
            "ConfigMap",
            namespace.to_owned(),
            name.to_owned(),
            findings.collect(),
        ));
    }
    objects.sort_by(|a, b| (a.kind, &a.namespace, &a.name).cmp(&(b.kind, &b.namespace, &b.name)));
    notes.extend(unchecked(manifests, &translation));
    report(objects, notes)
}

fn report(objects: Vec<Judged>, notes: Vec<String>) -> Report {
    let count = |verdict| objects.iter().filter(|o| o.verdict == verdict).count();
    Report {
        version: 1,
        verdict: worst(objects.iter().map(|object| object.verdict)),
        counts: Counts {
            same: count(Verdict::Same),
            different: count(Verdict::Different),
            refused: count(Verdict::Refused),
        },
        objects,
        notes,
    }
}

fn judged(
    kind: &'static str,
    namespace: String,
    name: String,
    mut findings: Vec<Finding>,
) -> Judged {
    findings.sort_by(|a, b| (&a.field, &a.why).cmp(&(&b.field, &b.why)));
    findings.dedup();
    let verdict = worst(findings.iter().map(|finding| finding.verdict));
    Judged {
        kind,
        namespace,
        name,
        verdict,
        findings,
    }
}

fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.max().unwrap_or(Verdict::Same)
}

/// The world of a hub whose one member is the cluster that ingress-nginx serves.
fn world(manifests: &Manifests, class: &str) -> WorldView {
    let member = "source";
    let name = ClusterName::new(member).expect("the name is a DNS label");
    // Nothing connects: the objects are there already.
    let nowhere = SecretKeyRef {
        namespace: String::new(),
        name: String::new(),
        key: String::new(),
    };
    let spec = ClusterSpec {
        connection: Connection {
            kubeconfig_secret_ref: nowhere,
        },
        location: Location::default(),
        reach: Reach::default(),
        traffic: Traffic::default(),
        uid: None,
    };
    let mut classes: Vec<Arc<IngressClass>> =
        manifests.ingress_classes.iter().map(taken_over).collect();
    if !classes
        .iter()
        .any(|known| known.metadata.name.as_deref() == Some(class))
    {
        classes.push(Arc::new(new_class(class, &classes)));
    }
    let view = MemberView {
        freshness: match manifests.services {
            Some(_) => Freshness::Known,
            None => Freshness::Never,
        },
        services: manifests.services.clone().unwrap_or_default(),
        slices: Vec::new(),
    };
    WorldView {
        clusters: vec![Arc::new(Cluster::new(member, spec))],
        ingress_classes: classes,
        ingresses: manifests.ingresses.iter().cloned().collect(),
        tls_secrets: manifests.tls_secrets.clone().unwrap_or_default(),
        auth_secrets: manifests.other_secrets.clone().unwrap_or_default(),
        config_maps: manifests.config_maps.clone().unwrap_or_default(),
        members: BTreeMap::from([(name, view)]),
        ..WorldView::default()
    }
}

fn is_nginx(class: &IngressClass) -> bool {
    let controller = class
        .spec
        .as_ref()
        .and_then(|spec| spec.controller.as_deref());
    controller == Some(NGINX_CONTROLLER)
}

/// A class of ingress-nginx as it will be on the hub.
fn taken_over(class: &Arc<IngressClass>) -> Arc<IngressClass> {
    if !is_nginx(class) {
        return Arc::clone(class);
    }
    let mut ours = IngressClass::clone(class);
    ours.spec = Some(IngressClassSpec {
        controller: Some(INGRESS_CONTROLLER.to_owned()),
        parameters: None,
    });
    Arc::new(ours)
}

/// The class that was not among the objects; the default one, when no other is.
fn new_class(name: &str, others: &[Arc<IngressClass>]) -> IngressClass {
    let is_default = |class: &Arc<IngressClass>| {
        let annotations = class.metadata.annotations.as_ref();
        annotations
            .and_then(|a| a.get(DEFAULT_CLASS))
            .is_some_and(|value| value == "true")
    };
    let mut class = IngressClass::default();
    class.metadata.name = Some(name.to_owned());
    if !others.iter().any(is_default) {
        let annotations = BTreeMap::from([(DEFAULT_CLASS.to_owned(), "true".to_owned())]);
        class.metadata.annotations = Some(annotations);
    }
    class.spec = Some(IngressClassSpec {
        controller: Some(INGRESS_CONTROLLER.to_owned()),
        parameters: None,
    });
    class
}

fn controller() -> Finding {
    Finding {
        field: "spec.controller".to_owned(),
        value: Some(NGINX_CONTROLLER.to_owned()),
        verdict: Verdict::Different,
        why: format!(
            "on the hub the class of this name needs controller {INGRESS_CONTROLLER}; a controller cannot be changed, \
             so write the class anew there"
        ),
    }
}

/// Whether what the translator says rests on something that was read.
fn was_checked(diagnostic: &Diagnostic, manifests: &Manifests) -> bool {
    match diagnostic.reason {
        Reason::ServiceNotFound | Reason::PortNotFound => manifests.services.is_some(),
        Reason::BadCertificate => manifests.tls_secrets.is_some(),
        Reason::SecretNotFound => manifests.other_secrets.is_some(),
        Reason::ConfigMapNotFound => manifests.config_maps.is_some(),
        _ => true,
    }
}

fn unchecked(manifests: &Manifests, translation: &Translation) -> impl Iterator<Item = String> {
    let missed = |reason| {
        let mut all = translation.diagnostics.iter();
        all.any(|d| d.reason == reason && !was_checked(d, manifests))
    };
    let others = missed(Reason::SecretNotFound).then_some(
        "no Secret of type Opaque was read: users and authorities that annotations name were not checked",
    );
    let maps = missed(Reason::ConfigMapNotFound)
        .then_some("no ConfigMap was read: headers that annotations name were not checked");
    let services = manifests
        .services
        .is_none()
        .then_some("no Service was read: whether backends exist was not checked");
    let secrets = manifests
        .tls_secrets
        .is_none()
        .then_some("no Secret of type kubernetes.io/tls was read: certificates were not checked");
    let settings = manifests.settings.is_empty().then_some(
        "no ConfigMap of the controller was read: settings of the whole controller were not checked",
    );
    let defaults = (!manifests.ingresses.is_empty()).then_some(
        "ingress-nginx by itself refuses bodies above 1 MiB and sends Strict-Transport-Security over TLS; here both happen \
         only where they are asked for",
    );
    [services, secrets, others, maps, settings, defaults]
        .into_iter()
        .flatten()
        .map(str::to_owned)
}

/// What the translator says of a field.
fn found(ingress: &Ingress, diagnostic: &Diagnostic) -> Finding {
    let key = diagnostic.field.strip_prefix("metadata.annotations[");
    let key = key.and_then(|key| key.strip_suffix(']'));
    let annotations = ingress.metadata.annotations.as_ref();
    let value = key.and_then(|key| annotations?.get(key));
    Finding {
        field: diagnostic.field.clone(),
        value: value.map(|value| cut(value)),
        verdict: match (diagnostic.severity, diagnostic.reason) {
            // The older one wins in ingress-nginx as well.
            (_, Reason::Conflict) => Verdict::Different,
            (Severity::Error, _) => Verdict::Refused,
            (Severity::Warning, Reason::NoEffect | Reason::Refused) => Verdict::Refused,
            (Severity::Warning | Severity::Note, _) => Verdict::Different,
        },
        why: diagnostic.message.clone(),
    }
}

/// The annotations that the translator had nothing to say of.
fn annotations(ingress: &Ingress, said: &[&Diagnostic]) -> Vec<Finding> {
    let Some(all) = &ingress.metadata.annotations else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (key, value) in all {
        let prefix = PREFIXES.iter().position(|prefix| key.starts_with(prefix));
        let Some((prefix, name)) = prefix.map(|at| (at, &key[PREFIXES[at].len()..])) else {
            continue;
        };
        let field = format!("metadata.annotations[{key}]");
        let Some(row) = look_up(name).filter(|_| !said.iter().any(|d| d.field == field)) else {
            continue;
        };
        // What wins over it, where the name is written with several prefixes.
        let unread = usize::from(row.spelling == Spelling::Own);
        let winner = PREFIXES[..prefix]
            .iter()
            .skip(unread)
            .map(|first| format!("{first}{name}"))
            .find(|other| all.get(other).is_some_and(|other| other != value));
        let differs = row.differs.filter(|_| matches!(row.state, State::Works(_)));
        let why = match (winner, differs) {
            (Some(winner), _) => {
                format!("{winner} is there too and counts; this one has no effect")
            }
            (None, Some(differs)) => differs.en.to_owned(),
            (None, None) => String::new(),
        };
        findings.push(Finding {
            field,
            value: Some(cut(value)),
            verdict: match why.is_empty() {
                true => Verdict::Same,
                false => Verdict::Different,
            },
            why,
        });
    }
    findings
}

/// A value that a report can hold.
fn cut(value: &str) -> String {
    const LIMIT: usize = 100;
    match value.char_indices().nth(LIMIT) {
        Some((at, _)) => format!("{}...", &value[..at]),
        None => value.to_owned(),
    }
}
