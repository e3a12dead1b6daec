//! Annotations of Ingresses: one typed table says what each means today.

mod answers;
mod backend_tls;
mod balance;
mod canary;
mod ciphers;
mod destination;
pub mod document;
mod external;
mod filters;
mod guards;
mod header_maps;
mod host_tls;
mod hosts;
mod kind;
mod limits;
mod matching;
mod mirror;
pub(crate) mod table;
mod value;

pub(crate) use backend_tls::BackendTlsSpec;
pub(crate) use balance::Manner;
pub(crate) use canary::{Canary, CanaryRole, Field, Selector};
pub(crate) use destination::Destinations;
pub(crate) use external::ExternalSpec;
pub(crate) use filters::{Paths, app_root};
pub(crate) use guards::{HostAccess, PasswordSpec, UsersForm};
pub(crate) use header_maps::HeaderMaps;
pub(crate) use host_tls::{Clients, HostTls};
pub(crate) use hosts::{other_www, possible as possible_hosts};
pub(crate) use matching::Conditions;
pub(crate) use mirror::MirrorSpec;

use self::table::{Row, Spelling};
use crate::backend::ServiceRef;
use crate::diagnostic::{Sink, quote};
use crate::fleet::PortRef;
use crate::{ObjectRef, Reason};
use std::collections::{BTreeMap, HashMap};
use tidegate_model::{ClusterName, Filters, Redirect};

/// Prefixes in the order in which they win when one name is written with several.
pub(crate) const PREFIXES: [&str; 3] = [
    "nginx.ingress.kubernetes.io/",
    "mse.ingress.kubernetes.io/",
    tidegate_api::PREFIX,
];

/// The label that selects a cluster in `subset-labels`.
const CLUSTER_LABEL: &str = "topology.istio.io/cluster";

/// What a name does today.
#[derive(Clone, Copy)]
pub(crate) enum State {
    /// It has effect.
    Works(Feature),
    /// It will have effect and has none now.
    NotYet,
    /// It protects the routes and does not work yet, so the routes must not be open either.
    Guards,
    /// What it tunes does not exist here; leaving it out changes nothing.
    Needless,
    /// It never will have effect.
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Feature {
    Affinity,
    AffinityCanary,
    AffinityMode,
    Allowlist,
    AppRoot,
    AuthAlwaysSetCookie,
    AuthCacheDuration,
    AuthCacheKey,
    AuthMethod,
    AuthProxySetHeaders,
    AuthRealm,
    AuthRequestRedirect,
    AuthResponseHeaders,
    AuthSecret,
    AuthSecretType,
    AuthSignin,
    AuthSigninParameter,
    AuthTlsErrorPage,
    AuthTlsMatchCn,
    AuthTlsPass,
    AuthTlsSecret,
    AuthTlsVerifyClient,
    AuthTlsVerifyDepth,
    AuthType,
    AuthUrl,
    BackendProtocol,
    Blacklist,
    BodySize,
    Canary,
    CanaryByCookie,
    CanaryByCookieValue,
    CanaryByHeader,
    CanaryByHeaderPattern,
    CanaryByHeaderValue,
    CanaryByQuery,
    CanaryByQueryPattern,
    CanaryByQueryValue,
    CanaryWeight,
    CanaryWeightTotal,
    ConcurrencyLimit,
    ConcurrencyLimitBody,
    ConcurrencyLimitBodyType,
    ConcurrencyLimitCode,
    ConcurrencyLimitRedirect,
    ConnectTimeout,
    CookieChangeOnFailure,
    CookieConditionalSameSite,
    CookieDomain,
    CookieExpires,
    CookieMaxAge,
    CookieName,
    CookiePartitioned,
    CookiePath,
    CookieSameSite,
    CookieSecure,
    CorsCredentials,
    CorsExpose,
    CorsHeaders,
    CorsMaxAge,
    CorsMethods,
    CorsOrigin,
    CustomHeaders,
    CustomHttpErrors,
    DefaultBackend,
    Denylist,
    Destination,
    DisableInterceptErrors,
    DomainBlacklist,
    DomainWhitelist,
    EnableCors,
    ExactHeader,
    ExactPseudo,
    ExactQuery,
    FleetLimit,
    FleetLimitBody,
    FleetLimitBodyType,
    FleetLimitCode,
    FleetLimitRedirect,
    ForceSslRedirect,
    ForwardedPrefix,
    FromToWww,
    FullPathRegex,
    GlobalLimit,
    GlobalLimitIgnored,
    GlobalLimitKey,
    GlobalLimitWindow,
    HashBy,
    HashSubset,
    HashSubsetSize,
    IgnorePathCase,
    LimitAllowlist,
    LimitBurst,
    LimitConnections,
    LimitRate,
    LimitRateAfter,
    LimitRpm,
    LimitRps,
    LimitWhitelist,
    LoadBalance,
    MatchMethod,
    MirrorBody,
    MirrorHost,
    MirrorPercentage,
    MirrorService,
    MirrorTarget,
    NextUpstream,
    PermanentRedirect,
    PermanentRedirectCode,
    PrefixHeader,
    PrefixPseudo,
    PrefixQuery,
    ProxyCookieDomain,
    ProxyCookiePath,
    ProxyRedirectFrom,
    ProxyRedirectTo,
    ProxySslCiphers,
    ProxySslName,
    ProxySslProtocols,
    ProxySslSecret,
    ProxySslServerName,
    ProxySslVerify,
    ProxySslVerifyDepth,
    ReadTimeout,
    RegexHeader,
    RegexPseudo,
    RegexQuery,
    RelativeRedirects,
    RequestHeaderAdd,
    RequestHeaderRemove,
    RequestHeaderUpdate,
    ResponseHeaderAdd,
    ResponseHeaderRemove,
    ResponseHeaderUpdate,
    RewritePath,
    RewriteTarget,
    RouteLimitBurst,
    RouteLimitRpm,
    RouteLimitRps,
    Satisfy,
    SendTimeout,
    ServerAlias,
    ServiceSubset,
    SslCipher,
    SslCiphers,
    SslPassthrough,
    SslRedirect,
    SubsetLabels,
    TemporalRedirect,
    TemporalRedirectCode,
    Timeout,
    TlsMax,
    TlsMin,
    Tries,
    TriesTimeout,
    UpstreamVhost,
    UseRegex,
    Warmup,
    Whitelist,
}

/// What the annotations of one Ingress say.
#[derive(Default)]
pub(crate) struct Annotations {
    /// The cluster its routes are pinned to, with the annotation's key.
    pub(crate) pinned: Option<(ClusterName, String)>,
    pub(crate) canary: CanaryRole,
    /// Service of `default-backend`; its port is the first one, resolved later. With its key.
    pub(crate) default_backend: Option<(String, String)>,
    /// Statuses of `custom-http-errors`, with its key.
    pub(crate) error_statuses: Option<(Vec<u16>, String)>,
    /// Set when something that protects the routes does not work: they answer 503.
    pub(crate) closed: bool,
    /// How its Services are asked.
    pub(crate) manner: Manner,
    /// With `manner.tls`, until the Secret is looked up.
    pub(crate) backend_tls: Option<BackendTlsSpec>,
    /// Whose name and password are asked for, until the Secret is looked up.
    pub(crate) password: Option<PasswordSpec>,
    /// Who is asked, until its Service is looked up.
    pub(crate) external: Option<ExternalSpec>,
    /// Who gets copies, until its Service is looked up.
    pub(crate) mirror: Option<MirrorSpec>,
    /// Which addresses may use its hosts.
    pub(crate) host_access: Option<HostAccess>,
    /// Key of `ssl-passthrough`, if that is on.
    pub(crate) passthrough: Option<String>,
    /// How clients of its hosts shake hands.
    pub(crate) host_tls: HostTls,
    pub(crate) filters: Filters,
    /// ConfigMaps with headers, until they are looked up.
    pub(crate) header_maps: HeaderMaps,
    pub(crate) paths: Paths,
    /// In place of the backends.
    pub(crate) redirect: Option<Redirect>,
    /// Where the root of its hosts is redirected to.
    pub(crate) app_root: Option<String>,
    /// Key of `ssl-redirect`, if that is on: it needs a certificate.
    pub(crate) ssl_redirect: Option<String>,
    pub(crate) conditions: Conditions,
    /// It is not known which requests it is for: it has no routes.
    pub(crate) unmatched: bool,
    /// In place of the backends of rules.
    pub(crate) destinations: Option<Destinations>,
    pub(crate) further_hosts: hosts::FurtherHosts,
    /// Key of an annotation that changes headers, if there is one.
    pub(crate) header_edit: Option<String>,
}

/// Reads the annotations of an Ingress. A bad value costs that annotation alone.
pub(crate) fn read(
    all: &BTreeMap<String, String>,
    object: &ObjectRef,
    diagnostics: &mut Sink,
) -> Annotations {
    let mut found: HashMap<Feature, (&str, &str)> = HashMap::new();
    let mut named: BTreeMap<(Feature, &str), (&str, &str)> = BTreeMap::new();
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
            let Some(row) = table::look_up(name) else {
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
                State::Works(feature) => match row.name.strip_suffix('*') {
                    Some(stem) => {
                        let field = &name[stem.len()..];
                        named.entry((feature, field)).or_insert((key, value));
                    }
                    None => {
                        found.entry(feature).or_insert((key, value));
                    }
                },
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
                    let text = match row.differs {
                        Some(why) => format!("{}; it has no effect", why.en),
                        None => "it needs no configuration here and has no effect".to_owned(),
                    };
                    diagnostics.note(object, field, Reason::NoEffect, text);
                }
                State::Refused => {
                    let text = match row.differs {
                        Some(why) => format!("{}; it has no effect", why.en),
                        None => {
                            "Tidegate does not do this; the annotation has no effect".to_owned()
                        }
                    };
                    diagnostics.warning(object, field, Reason::Refused, text);
                }
            }
        }
    }
    let mut reader = Reader {
        found,
        named,
        object,
        diagnostics,
    };
    annotations.pinned = reader.pinned();
    annotations.canary = reader.canary();
    reader.filters(&mut annotations);
    reader.manner(&mut annotations);
    annotations.header_maps = reader.header_maps();
    annotations.host_tls = reader.host_tls();
    annotations.passthrough = reader.passthrough();
    annotations.default_backend = reader.default_backend();
    annotations.mirror = reader.mirror();
    annotations.error_statuses = reader.error_statuses();
    match reader.conditions() {
        Ok(conditions) => annotations.conditions = conditions,
        Err(matching::Unreadable) => annotations.unmatched = true,
    }
    annotations.destinations = reader.destinations();
    annotations.further_hosts = reader.further_hosts();
    annotations.header_edit = reader.header_edit();
    annotations
}

/// Whether a value asks for what happens without the annotation as well.
pub(crate) fn asks_for_nothing(row: &Row, value: &str) -> bool {
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
    /// Of those whose key ends in a name, by that name.
    named: BTreeMap<(Feature, &'a str), (&'a str, &'a str)>,
    object: &'a ObjectRef,
    diagnostics: &'a mut Sink,
}

impl<'a> Reader<'a> {
    /// The annotations of a feature whose keys end in a name: that name, the key and the value.
    fn named(&self, feature: Feature) -> Vec<(&'a str, &'a str, &'a str)> {
        let of_feature = self.named.range((feature, "")..);
        of_feature
            .take_while(|((found, _), _)| *found == feature)
            .map(|((_, name), (key, value))| (*name, *key, *value))
            .collect()
    }

    fn header_edit(&self) -> Option<String> {
        let mut keys: Vec<&str> = [
            Feature::RequestHeaderAdd,
            Feature::RequestHeaderUpdate,
            Feature::RequestHeaderRemove,
            Feature::ResponseHeaderAdd,
            Feature::ResponseHeaderUpdate,
            Feature::ResponseHeaderRemove,
        ]
        .into_iter()
        .filter_map(|feature| self.text(feature))
        .map(|(key, _)| key)
        .collect();
        keys.sort_unstable();
        keys.first().map(|key| (*key).to_owned())
    }

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

    fn error_statuses(&mut self) -> Option<(Vec<u16>, String)> {
        let off = self.is_set(Feature::DisableInterceptErrors);
        let statuses = self.value(Feature::CustomHttpErrors, |text| {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            let status = |part: &str| match part.parse() {
                Ok(status @ 400..=599) => Ok(status),
                _ => Err(format!("{part:?} is not a status from 400 to 599")),
            };
            parts.map(status).collect::<Result<Vec<u16>, _>>()
        })?;
        let (key, value) = self.text(Feature::CustomHttpErrors)?;
        if off {
            return None;
        }
        if self.found.contains_key(&Feature::DefaultBackend) {
            return Some((statuses, key.to_owned()));
        }
        let text = format!("{} has no effect without default-backend", quote(value));
        let field = format!("metadata.annotations[{key}]");
        self.diagnostics
            .warning(self.object, field, Reason::NoEffect, text);
        None
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
