//! Requests for objects: which kind, which verb, which answer.

use super::negotiate::{self, View};
use super::reply::{self, Reply};
use super::request::{Query, ResourcePath};
use super::views::Rendering;
use super::writes;
use crate::logs::{Follow, LogError, LogRequest, Run};
use crate::object;
use crate::ops::{
    Api, Bookmarks, DeleteOptions, Deleted, InitialEvents, ListOptions, Propagation, VersionMatch,
    WatchOptions, scale_of,
};
use crate::printing::IncludeObject;
use crate::registry::{Kind, Scope, StatusMode};
use crate::selector::{FieldSelector, LabelSelector, Selector};
use crate::status::{ApiResult, FieldError, Status};
use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, request::Parts};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// A request for objects of a known kind.
pub(super) struct ResourceRequest<'a> {
    pub(super) api: &'a Arc<Api>,
    pub(super) kind: Arc<Kind>,
    pub(super) path: ResourcePath,
    pub(super) query: Query,
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) rendering: Rendering,
}

impl<'a> ResourceRequest<'a> {
    /// Finds the kind and checks that the path fits its scope.
    pub(super) fn new(
        api: &'a Arc<Api>,
        path: ResourcePath,
        query: Query,
        head: Parts,
        body: Bytes,
    ) -> ApiResult<Self> {
        let catalog = api.registry.catalog();
        let kind = catalog
            .find(&path.group, &path.version, &path.resource)
            .ok_or_else(Status::no_such_resource)?;
        let misplaced = match kind.scope {
            Scope::Cluster => path.namespace.is_some(),
            Scope::Namespaced => path.namespace.is_none() && path.name.is_some(),
        };
        if misplaced {
            return Err(Status::no_such_resource());
        }
        let include = match query.get("includeObject") {
            Some("None") => IncludeObject::None,
            Some("Object") => IncludeObject::Object,
            None | Some("Metadata") => IncludeObject::Metadata,
            Some(other) => {
                return Err(Status::bad_request(format!(
                    "includeObject must be None, Metadata or Object, not {other:?}"
                )));
            }
        };
        let rendering = Rendering {
            view: View::Whole,
            include,
        };
        Ok(ResourceRequest {
            api,
            kind: Arc::clone(kind),
            path,
            query,
            head,
            body,
            rendering,
        })
    }

    /// The namespace, empty for cluster-scoped kinds.
    pub(super) fn namespace(&self) -> &str {
        self.path.namespace.as_deref().unwrap_or("")
    }

    fn is_watch(&self) -> bool {
        self.head.method == Method::GET
            && self.path.name.is_none()
            && matches!(self.query.get("watch"), Some("true" | "1" | "True"))
    }

    /// Whether the answer is a stream without an end in sight.
    pub(super) fn is_long_running(&self) -> bool {
        self.is_watch()
            || (self.head.method == Method::GET && self.path.subresource.as_deref() == Some("log"))
    }

    fn selector(&self) -> ApiResult<Selector> {
        Ok(Selector {
            labels: LabelSelector::parse(self.query.get("labelSelector").unwrap_or(""))?,
            fields: FieldSelector::parse(
                self.query.get("fieldSelector").unwrap_or(""),
                &self.kind.selectable_fields(),
            )?,
        })
    }

    fn accept(&mut self) -> ApiResult<()> {
        self.rendering.view = negotiate::view(&self.head.headers)?;
        Ok(())
    }
}

/// Answers everything that has an end.
pub(super) async fn answer(mut request: ResourceRequest<'_>) -> ApiResult<Reply> {
    request.accept()?;
    let method = request.head.method.clone();
    let name = request.path.name.clone();
    let subresource = request.path.subresource.clone();
    match (method.as_str(), name.as_deref(), subresource.as_deref()) {
        ("GET" | "HEAD", Some(name), None) => get(&request, name),
        ("GET" | "HEAD", None, None) => list(&request),
        ("POST", None, None) => writes::create(&request).await,
        ("PUT", Some(name), None) => writes::replace(&request, name).await,
        ("PATCH", Some(name), None) => writes::patch(&request, name).await,
        ("DELETE", Some(name), None) => delete(&request, name).await,
        ("DELETE", None, None) => delete_collection(&request).await,
        (_, Some(name), Some(subresource)) => on_subresource(&request, name, subresource).await,
        _ => Err(Status::method_not_allowed()),
    }
}

async fn on_subresource(
    request: &ResourceRequest<'_>,
    name: &str,
    subresource: &str,
) -> ApiResult<Reply> {
    let kind = &request.kind;
    match (request.head.method.as_str(), subresource) {
        ("GET" | "HEAD", "status") if kind.status == StatusMode::Subresource => get(request, name),
        ("PUT", "status") if kind.status == StatusMode::Subresource => {
            writes::replace(request, name).await
        }
        ("PATCH", "status") if kind.status == StatusMode::Subresource => {
            writes::patch(request, name).await
        }
        ("GET" | "HEAD", "scale") if kind.scale.is_some() => {
            let found = request.api.get(kind, request.namespace(), name)?;
            let paths = kind.scale.as_ref().ok_or_else(Status::no_such_resource)?;
            Ok(reply::json(
                200,
                &scale_of(paths, &kind.in_served_version(&found.value)),
            ))
        }
        ("PUT" | "PATCH", "scale") if kind.scale.is_some() => writes::scale(request, name).await,
        ("PUT", "finalize") if kind.is("namespaces") => writes::replace(request, name).await,
        ("POST", "binding") if kind.is("pods") => writes::bind(request, name).await,
        ("POST", "eviction") if kind.is("pods") => writes::evict(request, name).await,
        (_, "status" | "scale" | "binding" | "eviction" | "log") => {
            Err(Status::method_not_allowed())
        }
        (_, "exec" | "attach" | "portforward" | "proxy" | "ephemeralcontainers" | "resize")
            if kind.is("pods") =>
        {
            Err(Status::not_implemented(&format!("pods/{subresource}")))
        }
        _ => Err(Status::no_such_resource()),
    }
}

fn get(request: &ResourceRequest<'_>, name: &str) -> ApiResult<Reply> {
    let found = request.api.get(&request.kind, request.namespace(), name)?;
    Ok(reply::json_bytes(
        200,
        request.rendering.object(&request.kind, &found),
    ))
}

fn list(request: &ResourceRequest<'_>) -> ApiResult<Reply> {
    let query = &request.query;
    let limit = query.number("limit")?.unwrap_or(0);
    let options = ListOptions {
        selector: request.selector()?,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        continue_from: query.get("continue").map(str::to_owned),
        version: version_match(query)?,
    };
    let page = request
        .api
        .list(&request.kind, request.path.namespace.as_deref(), &options)?;
    Ok(reply::json_bytes(
        200,
        request.rendering.list(&request.kind, &page),
    ))
}

fn version_match(query: &Query) -> ApiResult<VersionMatch> {
    let version = query.number("resourceVersion").map_err(|_| {
        Status::bad_request(format!(
            "invalid resource version {:?}",
            query.get("resourceVersion").unwrap_or("")
        ))
    })?;
    match (version, query.get("resourceVersionMatch")) {
        (None, None) | (Some(0), None | Some("NotOlderThan")) => Ok(VersionMatch::Latest),
        (Some(version), None | Some("NotOlderThan")) => Ok(VersionMatch::NotOlderThan(version)),
        (Some(version), Some("Exact")) if version > 0 => Ok(VersionMatch::Exact(version)),
        (_, Some(other)) => {
            let error = FieldError::forbidden(
                "resourceVersionMatch",
                &format!(
                    "resourceVersionMatch {other:?} is forbidden unless a fitting resourceVersion is provided"
                ),
            );
            let about = crate::status::About {
                group: "meta.k8s.io",
                what: "ListOptions",
                name: "",
            };
            Err(Status::invalid(about, &[error]))
        }
    }
}

fn delete_options(request: &ResourceRequest<'_>) -> ApiResult<DeleteOptions> {
    let content_type = negotiate::content_type(&request.head.headers);
    let mut options = if request.body.is_empty() {
        DeleteOptions::default()
    } else {
        DeleteOptions::from_body(&negotiate::decode(&content_type, &request.body)?.value)?
    };
    if let Some(grace) = request.query.number("gracePeriodSeconds")? {
        options.grace_seconds = i64::try_from(grace).ok();
    }
    match request.query.get("propagationPolicy") {
        None => {}
        Some("Background") => options.propagation = Some(Propagation::Background),
        Some("Foreground") => options.propagation = Some(Propagation::Foreground),
        Some("Orphan") => options.propagation = Some(Propagation::Orphan),
        Some(other) => {
            return Err(Status::bad_request(format!(
                "invalid propagationPolicy {other:?}"
            )));
        }
    }
    if writes::dry_run(&request.query)? == crate::ops::DryRun::All {
        options.dry_run = crate::ops::DryRun::All;
    }
    Ok(options)
}

async fn delete(request: &ResourceRequest<'_>, name: &str) -> ApiResult<Reply> {
    let kind = &request.kind;
    let deleted = request
        .api
        .delete(kind, request.namespace(), name, &delete_options(request)?)
        .await?;
    // These answer with the object also when it is gone at once, as in kube-apiserver.
    let shows_object = [
        "pods",
        "services",
        "serviceaccounts",
        "persistentvolumes",
        "persistentvolumeclaims",
    ];
    match &deleted {
        Deleted::Gone(object) if !shows_object.contains(&&*kind.storage) => Ok(reply::json(
            200,
            &Status::success(kind.about(name), object::uid(&object.value)),
        )),
        Deleted::Gone(object) | Deleted::Pending(object) => Ok(reply::json_bytes(
            200,
            request.rendering.object(kind, object),
        )),
    }
}

async fn delete_collection(request: &ResourceRequest<'_>) -> ApiResult<Reply> {
    let kind = &request.kind;
    let namespace = request.path.namespace.as_deref();
    if kind.scope == Scope::Namespaced && namespace.is_none() {
        return Err(Status::method_not_allowed());
    }
    let all = request
        .api
        .delete_collection(
            kind,
            namespace,
            &request.selector()?,
            &delete_options(request)?,
        )
        .await?;
    let revision = request.api.store.read().revision();
    let page = crate::ops::Page {
        objects: all,
        revision,
        continue_token: None,
        remaining: None,
    };
    Ok(reply::json_bytes(200, request.rendering.list(kind, &page)))
}

/// Answers watches and logs.
pub(super) async fn stream(
    mut request: ResourceRequest<'_>,
    place: OwnedSemaphorePermit,
    shutdown: &CancellationToken,
) -> ApiResult<Reply> {
    if request.is_watch() {
        request.accept()?;
        watch(&request, place, shutdown)
    } else {
        log(&request, place, shutdown).await
    }
}

fn watch(
    request: &ResourceRequest<'_>,
    place: OwnedSemaphorePermit,
    shutdown: &CancellationToken,
) -> ApiResult<Reply> {
    let query = &request.query;
    let version = query.number("resourceVersion").map_err(|_| {
        Status::bad_request(format!(
            "invalid resource version {:?}",
            query.get("resourceVersion").unwrap_or("")
        ))
    })?;
    let marked = query.flag("sendInitialEvents")?;
    let bookmarks = if query.flag("allowWatchBookmarks")? {
        Bookmarks::Allowed
    } else {
        Bookmarks::Unwanted
    };
    if marked && query.get("resourceVersionMatch") != Some("NotOlderThan") {
        let error = FieldError::forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
        let about = crate::status::About {
            group: "meta.k8s.io",
            what: "ListOptions",
            name: "",
        };
        return Err(Status::invalid(about, &[error]));
    }
    let named = query.get("sendInitialEvents").is_some();
    let (after, initial_events) = match version {
        Some(v) if v > 0 => (
            Some(v),
            if marked {
                InitialEvents::Marked
            } else {
                InitialEvents::No
            },
        ),
        _ if marked => (None, InitialEvents::Marked),
        _ if named => (None, InitialEvents::No),
        // "Any" or no version: the current objects first, as kube-apiserver's watch cache does.
        _ => (None, InitialEvents::Yes),
    };
    // Spread over half an hour, so that clients that started together do not come back together.
    let seconds = query
        .number("timeoutSeconds")?
        .unwrap_or_else(|| 1800 + u64::from(crate::random::below(1800)));
    let options = WatchOptions {
        selector: request.selector()?,
        after,
        initial_events,
        bookmarks,
        timeout: Duration::from_secs(seconds.clamp(1, 86_400)),
    };
    let stream = request.api.watch(
        &request.kind,
        request.path.namespace.as_deref(),
        options,
        shutdown.clone(),
    )?;
    let (kind, rendering) = (Arc::clone(&request.kind), request.rendering);
    let lines = futures::stream::unfold((stream, place), move |(mut stream, place)| {
        let kind = Arc::clone(&kind);
        async move {
            let first = stream.next().await?;
            let mut bytes = rendering.event(&kind, &first);
            // Events that are there already share a frame: an initial list is one write, not thousands.
            if stream.ready() > 0 {
                let mut many = bytes::BytesMut::from(bytes);
                while stream.ready() > 0 && many.len() < FRAME_BYTES {
                    let Some(next) = stream.next().await else {
                        break;
                    };
                    many.extend_from_slice(&rendering.event(&kind, &next));
                }
                bytes = many.freeze();
            }
            Some((Ok(bytes), (stream, place)))
        }
    });
    Ok(reply::stream(
        HeaderValue::from_static("application/json"),
        lines,
    ))
}

/// Size from which waiting events go out as they are.
const FRAME_BYTES: usize = 64 << 10;

async fn log(
    request: &ResourceRequest<'_>,
    place: OwnedSemaphorePermit,
    shutdown: &CancellationToken,
) -> ApiResult<Reply> {
    let name = request.path.name.as_deref().unwrap_or("");
    if !request.kind.is("pods") {
        return Err(Status::no_such_resource());
    }
    let pod = request.api.get(&request.kind, request.namespace(), name)?;
    let source = request
        .api
        .logs
        .as_ref()
        .ok_or_else(|| Status::not_implemented("pods/log"))?;
    let query = &request.query;
    let wanted = LogRequest {
        namespace: request.namespace().to_owned(),
        pod: name.to_owned(),
        uid: object::uid(&pod.value).to_owned(),
        container: log_container(&pod.value, query.get("container"))?,
        follow: if query.flag("follow")? {
            Follow::Yes
        } else {
            Follow::No
        },
        run: if query.flag("previous")? {
            Run::Previous
        } else {
            Run::Current
        },
        tail_lines: query.number("tailLines")?,
        since_seconds: query.number("sinceSeconds")?,
        limit_bytes: query.number("limitBytes")?,
    };
    match source.open(wanted).await {
        Ok(pieces) => {
            use futures::StreamExt as _;
            let until_shutdown = pieces.take_until(shutdown.clone().cancelled_owned());
            let held = until_shutdown.map(move |piece| {
                let _held = &place;
                piece
            });
            Ok(reply::stream(HeaderValue::from_static("text/plain"), held))
        }
        Err(LogError::NotAvailable(why)) => Err(Status::bad_request(why)),
        Err(LogError::Failed(why)) => Err(Status::internal(why)),
    }
}

/// The container asked for, or the only one.
fn log_container(pod: &Value, asked: Option<&str>) -> ApiResult<String> {
    let name = object::name(pod);
    let of = |pointer: &str| {
        object::items(pod.pointer(pointer))
            .iter()
            .map(|c| object::text(c, "/name"))
            .collect::<Vec<_>>()
    };
    let (main, init) = (of("/spec/containers"), of("/spec/initContainers"));
    match (asked, main.as_slice()) {
        (Some(asked), _) if main.contains(&asked) || init.contains(&asked) => Ok(asked.to_owned()),
        (Some(asked), _) => Err(Status::bad_request(format!(
            "container {asked} is not valid for pod {name}"
        ))),
        (None, [only]) => Ok((*only).to_owned()),
        (None, all) => Err(Status::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            all.join(" ")
        ))),
    }
}
