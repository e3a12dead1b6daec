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
///
/// redb takes no more writes after an I/O error, such as a full disk: the file is then closed, and opened again for the
/// next commit, so that writing goes on as soon as it can.
#[derive(Debug)]
pub(crate) struct RedbBackend {
    path: PathBuf,
    open: Open,
    /// `None` after an error.
    database: Option<Database>,
    /// The last one that was told to be on disk.
    revision: u64,
}

/// Opens or creates a file; tests put faults between.
type Open = fn(&Path) -> Result<Database, DatabaseError>;

/// What stands in the way of a commit.
#[derive(Debug, thiserror::Error)]
enum CommitError {
    #[error("{0}")]
    Database(#[from] redb::Error),
    #[error("{0}")]
    Open(#[from] DatabaseError),
    /// A commit that was reported as failed is on disk after all. What we serve is behind it.
    #[error(
        "revision {found} is on disk although its write was reported as failed; restart the server to read it"
    )]
    Ahead { found: u64 },
}

impl RedbBackend {
    /// Opens or creates the file and takes its exclusive lock.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_by(path, |path| {
            Database::builder().set_cache_size(CACHE_BYTES).create(path)
        })
    }

    pub(super) fn open_by(path: &Path, open: Open) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        // redb would begin a new database in it, and everything would seem to have been deleted.
        if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
            return Err(StoreError::Io {
                doing: "opening",
                path: shown,
                why: "the file is empty, so it was damaged: put a copy in its place, or begin anew in another data directory".to_owned(),
            });
        }
        let database = open(path).map_err(|e| match e {
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
            open,
            database: Some(database),
            revision: 0,
        })
    }

    fn failed(&self, doing: &'static str, error: impl std::fmt::Display) -> StoreError {
        StoreError::Io {
            doing,
            path: self.path.display().to_string(),
            why: error.to_string(),
        }
    }

    /// The file, opened again if it was closed.
    ///
    /// # Errors
    /// It cannot be opened, or holds more than it should.
    fn database(&mut self) -> Result<&Database, CommitError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let database = (self.open)(&self.path)?;
                let found = revision_of(&database)?;
                if found != self.revision {
                    return Err(CommitError::Ahead { found });
                }
                tracing::info!(path = %self.path.display(), "the store can be written again");
                database
            }
        };
        Ok(self.database.insert(database))
    }

    fn try_load(&self) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
        let Some(database) = &self.database else {
            return Err(redb::Error::DatabaseClosed);
        };
        let read = database.begin_read()?;
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

    fn try_commit(&mut self, revision: u64, changes: &[Persist<'_>]) -> Result<(), CommitError> {
        write(self.database()?, revision, changes)?;
        self.revision = revision;
        Ok(())
    }
}

fn revision_of(database: &Database) -> Result<u64, redb::Error> {
    let read = database.begin_read()?;
    match read.open_table(META) {
        Ok(table) => Ok(table.get(REVISION)?.map_or(0, |v| v.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        Err(e) => Err(e.into()),
    }
}

fn write(database: &Database, revision: u64, changes: &[Persist<'_>]) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
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

impl Backend for RedbBackend {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let revision = self.database.as_ref().map_or(Ok(0), revision_of);
        let revision = revision.map_err(|e| self.failed("reading", e))?;
        self.revision = revision;
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
        let Err(error) = self.try_commit(revision, changes) else {
            return Ok(());
        };
        // Closed before it can be opened again. Whether the write is on disk nobody knows until then.
        self.database = None;
        match self.database() {
            Err(CommitError::Ahead { found }) if found == revision => {
                self.revision = revision;
                Ok(())
            }
            _ => Err(self.failed("writing", error)),
        }
    }
}

fn row_key(key: &Key) -> String {
    format!("{}\0{}\0{}", key.resource, key.namespace, key.name)
}
