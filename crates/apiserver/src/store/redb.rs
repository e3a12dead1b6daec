//! Objects in one redb file: a table of JSON by `resource\0namespace\0name`, and the last revision.

use super::{Backend, Key, Loaded, Object, Persist, StoreError};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const REVISION: &str = "revision";

/// The page cache. Reads are served from our own copy, so redb needs only enough for its tree's inner pages.
const CACHE_BYTES: usize = 4 << 20;

/// The file store. Every commit is on disk before it returns.
#[derive(Debug)]
pub(crate) struct RedbBackend {
    path: PathBuf,
    database: Database,
}

impl RedbBackend {
    /// Opens or creates the file and takes its exclusive lock.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|e| match e {
                DatabaseError::DatabaseAlreadyOpen => StoreError::InUse {
                    path: shown.clone(),
                },
                other => StoreError::Io {
                    doing: "opening",
                    path: shown.clone(),
                    why: other.to_string(),
                },
            })?;
        Ok(RedbBackend {
            path: path.to_owned(),
            database,
        })
    }

    fn failed(&self, doing: &'static str, error: impl std::fmt::Display) -> StoreError {
        StoreError::Io {
            doing,
            path: self.path.display().to_string(),
            why: error.to_string(),
        }
    }

    fn try_load(&self) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
        let read = self.database.begin_read()?;
        let table = match read.open_table(OBJECTS) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        };
        let mut all = Vec::new();
        for row in table.iter()? {
            let (key, json) = row?;
            all.push((key.value().to_owned(), json.value().to_vec()));
        }
        Ok(all)
    }

    fn try_revision(&self) -> Result<u64, redb::Error> {
        let read = self.database.begin_read()?;
        match read.open_table(META) {
            Ok(table) => Ok(table.get(REVISION)?.map_or(0, |v| v.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
            Err(e) => Err(e.into()),
        }
    }

    fn try_commit(&self, revision: u64, changes: &[Persist<'_>]) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut objects = write.open_table(OBJECTS)?;
            for change in changes {
                let key = row_key(change.key);
                match &change.json {
                    Some(json) => {
                        objects.insert(key.as_str(), json.as_ref())?;
                    }
                    None => {
                        objects.remove(key.as_str())?;
                    }
                }
            }
            write.open_table(META)?.insert(REVISION, revision)?;
        }
        write.commit()?;
        Ok(())
    }
}

impl Backend for RedbBackend {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let revision = self.try_revision().map_err(|e| self.failed("reading", e))?;
        let rows = self.try_load().map_err(|e| self.failed("reading", e))?;
        let mut objects = Vec::with_capacity(rows.len());
        // One shared string per resource instead of one per object.
        let mut resources: std::collections::HashSet<Arc<str>> = std::collections::HashSet::new();
        for (row, json) in rows {
            let damaged = |why: String| StoreError::Damaged {
                path: self.path.display().to_string(),
                key: row.replace('\0', "/"),
                why,
            };
            let mut parts = row.splitn(3, '\0');
            let (Some(resource), Some(namespace), Some(name)) =
                (parts.next(), parts.next(), parts.next())
            else {
                return Err(damaged("the key has not three parts".to_owned()));
            };
            let value: serde_json::Value =
                serde_json::from_slice(&json).map_err(|e| damaged(e.to_string()))?;
            let version = crate::object::meta(&value, "resourceVersion");
            let object_revision = version
                .parse()
                .map_err(|_| damaged(format!("resourceVersion {version:?} is not a number")))?;
            let resource = match resources.get(resource) {
                Some(known) => Arc::clone(known),
                None => {
                    let new: Arc<str> = Arc::from(resource);
                    resources.insert(Arc::clone(&new));
                    new
                }
            };
            let key = Key {
                resource,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            objects.push((key, Object::new(value, object_revision)));
        }
        Ok(Loaded { revision, objects })
    }

    fn commit(&mut self, revision: u64, changes: &[Persist<'_>]) -> Result<(), StoreError> {
        self.try_commit(revision, changes)
            .map_err(|e| self.failed("writing", e))
    }
}

fn row_key(key: &Key) -> String {
    format!("{}\0{}\0{}", key.resource, key.namespace, key.name)
}
