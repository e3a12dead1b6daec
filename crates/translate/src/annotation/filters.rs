//! Annotations that become filters, redirects and forms of paths.

use super::{Annotations, Feature, Reader, value};
use std::time::Duration;
use tidegate_model::{Cors, Filters, Header, PathMatch, Redirect, Route, RouteId, Target};

/// What the original allows where the annotation is missing.
const CORS_METHODS: &str = "GET,PUT,POST,DELETE,PATCH,OPTIONS";
const CORS_HEADERS: &str = "DNT,X-CustomHeader,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,\
                            Cache-Control,Content-Type,Authorization";
const CORS_MAX_AGE: Duration = Duration::from_secs(1_728_000);

/// How the paths of an Ingress are to be read, and rewritten.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    /// They are regular expressions.
    pub(crate) regex: bool,
    /// These must match the whole path.
    pub(crate) whole: bool,
    /// The target of a rewrite, with its key.
    pub(crate) target: Option<(String, String)>,
    /// It takes the place of the matched prefix, whatever it holds.
    pub(crate) prefix: bool,
}

impl Reader<'_> {
    /// Reads all that is said about filters into `annotations`.
    pub(super) fn filters(&mut self, annotations: &mut Annotations) {
        let filters = &mut annotations.filters;
        self.headers_and_host(filters);
        filters.cors = self.cors();
        self.limits(filters);
        self.limits_of_use(filters);
        self.answers(filters);
        self.guards(annotations);
        annotations.paths = self.paths();
        annotations.redirect = self.redirect();
        annotations.app_root = self.value(Feature::AppRoot, path);
        if self.is_set(Feature::ForceSslRedirect) {
            annotations.filters.https_redirect = Some(308);
        }
        if self.is_set(Feature::SslRedirect) {
            annotations.ssl_redirect = self
                .text(Feature::SslRedirect)
                .map(|(key, _)| key.to_owned());
        }
    }

    fn headers_and_host(&mut self, filters: &mut Filters) {
        let host = self.text(Feature::UpstreamVhost).map(|(_, host)| host);
        self.put(Feature::UpstreamVhost, filters, |f| {
            f.rewrite.host = host.map(str::to_owned);
        });
        let lines = self.headers(Feature::RequestHeaderAdd);
        self.put(Feature::RequestHeaderAdd, filters, |f| {
            f.request_headers.add.clone_from(&lines);
        });
        let lines = self.headers(Feature::RequestHeaderUpdate);
        self.put(Feature::RequestHeaderUpdate, filters, |f| {
            f.request_headers.set.clone_from(&lines);
        });
        let names = self.list(Feature::RequestHeaderRemove).unwrap_or_default();
        self.put(Feature::RequestHeaderRemove, filters, |f| {
            f.request_headers.remove.clone_from(&names);
        });
        let lines = self.headers(Feature::ResponseHeaderAdd);
        self.put(Feature::ResponseHeaderAdd, filters, |f| {
            f.response_headers.add.clone_from(&lines);
        });
        let lines = self.headers(Feature::ResponseHeaderUpdate);
        self.put(Feature::ResponseHeaderUpdate, filters, |f| {
            f.response_headers.set.clone_from(&lines);
        });
        let names = self.list(Feature::ResponseHeaderRemove).unwrap_or_default();
        self.put(Feature::ResponseHeaderRemove, filters, |f| {
            f.response_headers.remove.clone_from(&names);
        });
        let prefix = self
            .text(Feature::ForwardedPrefix)
            .map(|(_, value)| Header {
                name: "X-Forwarded-Prefix".to_owned(),
                value: value.to_owned(),
            });
        self.put(Feature::ForwardedPrefix, filters, |f| {
            f.request_headers.set.extend(prefix.clone());
        });
    }

    /// Changes the filters, if what the change makes can be served.
    fn put(&mut self, feature: Feature, filters: &mut Filters, change: impl Fn(&mut Filters)) {
        let mut alone = Filters::default();
        change(&mut alone);
        if self.fits(feature, &alone) {
            change(filters);
        }
    }

    /// Whether filters can be served; if not, the annotation they come from is refused.
    fn fits(&mut self, feature: Feature, filters: &Filters) -> bool {
        match filters.validate(&PathMatch::Prefix("/".to_owned())) {
            Ok(()) => true,
            Err((_, why)) => {
                if let Some((key, value)) = self.text(feature) {
                    self.refuse(key, value, &why);
                }
                false
            }
        }
    }

    fn cors(&mut self) -> Option<Cors> {
        if !self.is_set(Feature::EnableCors) {
            return None;
        }
        let list = |reader: &mut Self, feature, default: &str, put: fn(&mut Cors, Vec<String>)| {
            let split = |text: &str| {
                let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
                parts.map(str::to_owned).collect::<Vec<_>>()
            };
            let Some(names) = reader.list(feature) else {
                return split(default);
            };
            let mut alone = no_cors();
            put(&mut alone, names.clone());
            let filters = Filters {
                cors: Some(alone),
                ..Filters::default()
            };
            match reader.fits(feature, &filters) {
                true => names,
                // A value that cannot be read opens nothing.
                false => Vec::new(),
            }
        };
        Some(Cors {
            allow_origins: list(self, Feature::CorsOrigin, "*", |c, v| c.allow_origins = v),
            allow_methods: list(self, Feature::CorsMethods, CORS_METHODS, |c, v| {
                c.allow_methods = v;
            }),
            allow_headers: list(self, Feature::CorsHeaders, CORS_HEADERS, |c, v| {
                c.allow_headers = v;
            }),
            expose_headers: list(self, Feature::CorsExpose, "", |c, v| c.expose_headers = v),
            allow_credentials: self.flag(Feature::CorsCredentials).unwrap_or(true),
            max_age: Some(self.seconds_of_age().unwrap_or(CORS_MAX_AGE)),
        })
    }

    fn seconds_of_age(&mut self) -> Option<Duration> {
        let seconds = self.number(Feature::CorsMaxAge, 0..=u32::MAX)?;
        Some(Duration::from_secs(seconds.into()))
    }

    fn limits(&mut self, filters: &mut Filters) {
        let max = self.value(Feature::BodySize, value::size);
        filters.max_body = max.filter(|bytes| *bytes > 0);
        filters.timeouts.connect = self.seconds(Feature::ConnectTimeout);
        let read = self.seconds(Feature::ReadTimeout);
        let send = self.seconds(Feature::SendTimeout);
        filters.timeouts.first_byte = read;
        // One limit holds for both directions here: the longer one disturbs nobody.
        filters.timeouts.body_idle = read.max(send);
        let tries = self.number(Feature::Tries, 0..=100);
        // 0 means no limit; the budget for retries is the limit then.
        filters.retry.max = tries.map(|tries| match tries {
            0 => 10,
            tries => tries - 1,
        });
        let conditions = self.value(Feature::NextUpstream, conditions);
        if let Some(Conditions { off, any_method }) = conditions {
            filters.retry.any_method = any_method;
            if off {
                filters.retry.max = Some(0);
            }
        }
    }

    fn paths(&mut self) -> Paths {
        let whole = self.is_set(Feature::FullPathRegex);
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let prefix = self.text(Feature::RewritePath).map(owned);
        let target = self.text(Feature::RewriteTarget).map(owned);
        Paths {
            regex: whole || self.is_set(Feature::UseRegex),
            whole,
            prefix: prefix.is_some(),
            target: prefix.or(target),
        }
    }

    fn redirect(&mut self) -> Option<Redirect> {
        let code = |reader: &mut Self, feature, default: u16| {
            let code = reader.value(feature, |text| match text {
                "301" => Ok(301),
                "302" => Ok(302),
                "303" => Ok(303),
                "307" => Ok(307),
                "308" => Ok(308),
                _ => Err(format!(
                    "it must be 301, 302, 303, 307 or 308, so {default} is used"
                )),
            });
            code.unwrap_or(default)
        };
        let temporal = self.value(Feature::TemporalRedirect, url);
        let permanent = self.value(Feature::PermanentRedirect, url);
        let temporal_code = code(self, Feature::TemporalRedirectCode, 302);
        let permanent_code = code(self, Feature::PermanentRedirectCode, 301);
        let (url, status) = match (temporal, permanent) {
            (Some(url), _) => (url, temporal_code),
            (None, Some(url)) => (url, permanent_code),
            (None, None) => return None,
        };
        Some(Redirect {
            status,
            to: Target::Url(url),
        })
    }
}

/// What `proxy-next-upstream` asks for.
struct Conditions {
    off: bool,
    any_method: bool,
}

/// Which failures lead to another try is fixed here; what can be said is whether there is one, and for whom.
fn conditions(text: &str) -> Result<Conditions, String> {
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let mut found = Conditions {
        off: false,
        any_method: false,
    };
    for word in words {
        match word {
            "off" => found.off = true,
            "non_idempotent" => found.any_method = true,
            "error" | "timeout" | "invalid_header" | "http_502" | "http_503" | "http_504" => {}
            other => {
                return Err(format!(
                    "{other:?} is none of off, error, timeout, invalid_header, http_502, http_503, http_504 and \
                     non_idempotent"
                ));
            }
        }
    }
    Ok(found)
}

pub(super) fn url(text: &str) -> Result<String, String> {
    let web = text.starts_with("http://") || text.starts_with("https://");
    if !web || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("it must be a URL that begins with http:// or https://".to_owned());
    }
    if text.contains('$') {
        return Err("variables in it are not supported".to_owned());
    }
    Ok(text.to_owned())
}

fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("it must be a path that begins with '/'".to_owned()),
    }
}

fn no_cors() -> Cors {
    Cors {
        allow_origins: Vec::new(),
        allow_methods: Vec::new(),
        allow_headers: Vec::new(),
        expose_headers: Vec::new(),
        allow_credentials: false,
        max_age: None,
    }
}

/// `/` of a host, sent elsewhere.
pub(crate) fn app_root(id: RouteId, path: String) -> Route {
    let action = tidegate_model::Action::Redirect(Redirect {
        status: 302,
        to: Target::Path(path),
    });
    Route::new(id, PathMatch::Exact("/".to_owned()), action)
}
