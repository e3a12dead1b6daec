//! Server-side apply: create or update.

use super::create::place_in;
use super::{Api, Operation, Part, Sent, WriteOptions, Written, check_type, fields};
use crate::object;
use crate::patch::{self, Applied, Conflicts};
use crate::registry::Kind;
use crate::status::{ApiResult, Status};
use serde_json::Value;

impl Api {
    /// Brings an object to what a manager wants of it.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the parts of one request, named at the call"
    )]
    pub(crate) async fn apply(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        part: Part,
        mut config: Value,
        conflicts: Conflicts,
        options: &WriteOptions,
    ) -> ApiResult<Written> {
        if config.get("apiVersion").is_none() || config.get("kind").is_none() {
            return Err(Status::bad_request(
                "apiVersion and kind must be set in an applied configuration",
            ));
        }
        check_type(kind, &mut config)?;
        place_in(kind, &mut config, namespace)?;
        match object::name(&config) {
            "" => object::set_meta(&mut config, "name", Some(Value::from(name))),
            found if found != name => {
                return Err(Status::bad_request(format!(
                    "the name of the object ({found}) does not match the name on the URL ({name})"
                )));
            }
            _ => {}
        }
        let checked = WriteOptions {
            operation: Operation::Apply,
            sent: Sent::Apply,
            ..options.clone()
        };
        let warnings = fields::check(kind, &mut config, &checked)?;
        // What comes of the configuration is the server's own, and has been checked.
        let options = WriteOptions {
            duplicates: Vec::new(),
            ..checked
        };
        let wish = Applied {
            manager: &options.manager,
            part,
            conflicts,
            config: &config,
        };
        let merge = |current: &Value| patch::apply(kind, current, &wish);
        // Two tries: the object may come or go between looking and writing.
        for last in [false, true] {
            let done = match self
                .update(kind, namespace, name, part, &options, merge)
                .await
            {
                Err(status) if status.code == 404 && part == Part::Main => {
                    if !object::meta(&config, "resourceVersion").is_empty() {
                        return Err(Status::modified(kind.about(name)));
                    }
                    let created = patch::apply(kind, &Value::Null, &wish)?;
                    match self.create(kind, namespace, created, &options).await {
                        Err(status) if status.reason == "AlreadyExists" && !last => continue,
                        other => other,
                    }
                }
                other => other,
            };
            return done.map(|mut written| {
                written.warnings.extend(warnings);
                written
            });
        }
        Err(Status::modified(kind.about(name)))
    }
}
