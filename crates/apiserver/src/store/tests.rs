//! The store: order, durability, and that history and state tell the same story.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

struct Nobody;

impl Observer for Nobody {
    fn before_visible(&self, _: &Event) {}
    fn after_visible(&self, _: &Event) {}
}

fn open(dir: &Path) -> Result<(Store, std::thread::JoinHandle<()>), StoreError> {
    RedbBackend::open(&dir.join("store.redb")).and_then(|b| Store::open(b, Arc::new(Nobody)))
}

fn close((store, writer): (Store, std::thread::JoinHandle<()>)) {
    drop(store);
    writer.join().expect("the writer does not panic");
}

fn key(name: &str) -> Key {
    Key {
        resource: Arc::from("configmaps"),
        namespace: "n".to_owned(),
        name: name.to_owned(),
    }
}

fn value(name: &str, data: u32) -> Value {
    serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n", "uid": name}, "data": data})
}

async fn put(store: &Store, name: &str, data: u32) -> Result<Arc<Object>, WriteError> {
    let expect = match store.read().get(&key(name)) {
        Some(object) => Expect::Revision(object.revision),
        None => Expect::Absent,
    };
    store
        .write(Write {
            key: key(name),
            expect,
            change: Change::Put(value(name, data)),
        })
        .await
}

async fn delete(store: &Store, name: &str) -> Result<Arc<Object>, WriteError> {
    let object = store.read().get(&key(name)).ok_or(WriteError::Changed)?;
    store
        .write(Write {
            key: key(name),
            expect: Expect::Revision(object.revision),
            change: Change::Delete(object.value.clone()),
        })
        .await
}

#[tokio::test]
async fn a_restart_keeps_objects_and_the_revision() {
    let dir = tempfile::tempdir().expect("temp dir");
    let opened = open(dir.path()).expect("open");
    put(&opened.0, "a", 1).await.expect("a");
    put(&opened.0, "b", 1).await.expect("b");
    put(&opened.0, "a", 2).await.expect("a again");
    let last = delete(&opened.0, "b").await.expect("b goes").revision;
    let before = opened.0.read().get(&key("a")).expect("a").value.clone();
    close(opened);

    let opened = open(dir.path()).expect("open again");
    {
        let state = opened.0.read();
        assert_eq!(
            state.revision(),
            last,
            "the deletion's revision is not forgotten"
        );
        assert_eq!(state.get(&key("a")).expect("a").value, before);
        assert!(state.get(&key("b")).is_none());
        let oldest = state
            .events_after("configmaps", last - 1, 10)
            .expect_err("history is not kept");
        assert_eq!(oldest.oldest, last);
    }
    assert_eq!(put(&opened.0, "c", 1).await.expect("c").revision, last + 1);
    close(opened);
}

#[tokio::test]
async fn a_second_opener_is_told_who_is_in_the_way() {
    let dir = tempfile::tempdir().expect("temp dir");
    let opened = open(dir.path()).expect("open");
    match open(dir.path()) {
        Err(error @ StoreError::InUse { .. }) => {
            assert!(
                error
                    .to_string()
                    .contains("store.redb is in use by another process"),
                "{error}"
            );
        }
        Err(other) => panic!("wrong error: {other}"),
        Ok(_) => panic!("opened twice"),
    }
    close(opened);
}

#[tokio::test]
async fn a_damaged_file_is_refused_by_name_also_an_empty_one() {
    let dir = tempfile::tempdir().expect("temp dir");
    close(open(dir.path()).expect("a new one"));
    let path = dir.path().join("store.redb");
    let whole = std::fs::read(&path).expect("it is there");
    for damaged in [
        b"".as_slice(),
        b"garbage",
        &whole[..100],
        &vec![0; whole.len()],
    ] {
        std::fs::write(&path, damaged).expect("ours");
        let error = open(dir.path()).err().expect("not a store").to_string();
        assert!(error.contains("store.redb"), "{error}");
    }
    std::fs::write(&path, whole).expect("ours");
    close(open(dir.path()).expect("whole again"));
}

#[tokio::test]
async fn only_one_of_two_racing_writers_wins() {
    let (store, _writer) = Store::open(MemoryBackend, Arc::new(Nobody)).expect("open");
    let first = put(&store, "a", 0).await.expect("create").revision;
    let write = |data| {
        store.write(Write {
            key: key("a"),
            expect: Expect::Revision(first),
            change: Change::Put(value("a", data)),
        })
    };
    let (one, two) = tokio::join!(write(1), write(2));
    assert_eq!(
        [one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(),
        1
    );
    let again = Write {
        key: key("a"),
        expect: Expect::Absent,
        change: Change::Put(value("a", 3)),
    };
    assert_eq!(
        store.write(again).await.expect_err("it exists"),
        WriteError::Exists
    );
}

/// Whether the disk of [`FullDisk`] is full.
static FULL: AtomicBool = AtomicBool::new(false);

/// A file on a disk that is full now and then.
#[derive(Debug)]
struct FullDisk(::redb::backends::FileBackend);

impl FullDisk {
    fn open(path: &Path) -> Result<::redb::Database, ::redb::DatabaseError> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options
            .open(path)
            .map_err(|error| ::redb::DatabaseError::Storage(::redb::StorageError::Io(error)))?;
        let backend = FullDisk(::redb::backends::FileBackend::new(file)?);
        ::redb::Database::builder().create_with_backend(backend)
    }

    fn room() -> std::io::Result<()> {
        match FULL.load(SeqCst) {
            true => Err(std::io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl ::redb::StorageBackend for FullDisk {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        Self::room()?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        Self::room()?;
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        Self::room()?;
        self.0.write(offset, data)
    }
}

#[tokio::test]
async fn a_full_disk_gives_errors_keeps_the_data_and_is_written_again_when_it_has_room() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("store.redb");
    let backend = RedbBackend::open_by(&path, FullDisk::open).expect("open");
    let opened = Store::open(backend, Arc::new(Nobody)).expect("open");
    let store = &opened.0;
    put(store, "a", 1).await.expect("create");
    for round in 0..3 {
        FULL.store(true, SeqCst);
        for name in ["a", "b"] {
            let error = put(store, name, 9).await.expect_err("no room");
            assert!(matches!(error, WriteError::Storage(_)), "{error}");
        }
        assert_eq!(
            store.read().get(&key("a")).expect("kept").value["data"],
            round + 1
        );
        FULL.store(false, SeqCst);
        put(store, "a", round + 2).await.expect("room again");
    }
    let revision = store.read().revision();
    close(opened);
    let opened = open(dir.path()).expect("open");
    let state = opened.0.read();
    assert_eq!(state.get(&key("a")).expect("kept").value["data"], 4);
    assert!(state.get(&key("b")).is_none(), "it was refused");
    assert_eq!(state.revision(), revision);
    drop(state);
    close(opened);
}

type Answer = oneshot::Receiver<Result<Arc<Object>, WriteError>>;

/// Commits when told to, and says whether somebody was answered before.
struct Watched {
    answer: Arc<std::sync::Mutex<Answer>>,
    commits: bool,
}

impl Backend for Watched {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    fn commit(&mut self, _: u64, _: &[Persist<'_>]) -> Result<(), StoreError> {
        let early = self.answer.lock().expect("not poisoned").try_recv();
        assert_eq!(early.err(), Some(oneshot::error::TryRecvError::Empty));
        match self.commits {
            true => Ok(()),
            false => Err(StoreError::Io {
                doing: "writing",
                path: "store".into(),
                why: "disk full".to_owned(),
            }),
        }
    }
}

#[test]
fn nobody_is_refused_for_what_is_not_yet_there_to_see() {
    for commits in [true, false] {
        let state = RwLock::new(State::new(Loaded::default()));
        let mut batch = Vec::new();
        let mut answers = Vec::new();
        for data in 0..2 {
            let (reply, answer) = oneshot::channel();
            let write = Write {
                key: key("a"),
                expect: Expect::Absent,
                change: Change::Put(value("a", data)),
            };
            batch.push(Pending { write, reply });
            answers.push(answer);
        }
        let second = Arc::new(std::sync::Mutex::new(answers.pop().expect("two")));
        let mut backend = Watched {
            answer: Arc::clone(&second),
            commits,
        };
        run_batch(&mut backend, &state, &Nobody, &mut batch);
        let told = second.lock().expect("not poisoned").try_recv();
        let error = told.expect("answered").expect_err("the first has it");
        match commits {
            true => assert_eq!(error, WriteError::Exists),
            false => assert!(matches!(error, WriteError::Storage(_)), "{error}"),
        }
        let visible = state.read().expect("not poisoned").get(&key("a"));
        assert_eq!(visible.is_some(), commits);
    }
}

#[tokio::test]
async fn history_is_bounded_and_says_so() {
    let (store, _writer) = Store::open(MemoryBackend, Arc::new(Nobody)).expect("open");
    let first = put(&store, "a", 0).await.expect("create").revision;
    // Enough to push the first event out, whatever the exact bound.
    let big = "x".repeat(1 << 20);
    for _ in 0..12 {
        let revision = store.read().get(&key("a")).expect("a").revision;
        let mut value = value("a", 1);
        value["big"] = Value::from(big.as_str());
        let write = Write {
            key: key("a"),
            expect: Expect::Revision(revision),
            change: Change::Put(value),
        };
        store.write(write).await.expect("update");
    }
    let state = store.read();
    let expired = state
        .events_after("configmaps", first, 1)
        .expect_err("too old");
    assert!(expired.oldest > first);
    assert!(
        state
            .events_after("configmaps", expired.oldest, 1)
            .is_ok_and(|(e, _)| e.len() == 1)
    );
    assert_eq!(
        state.list_at("configmaps", None, first).expect_err("gone"),
        expired
    );
}

/// Set in the process that [`a_killed_writer_loses_nothing_it_acknowledged`] starts and kills.
const CHILD_DIR: &str = "TIDEGATE_STORE_TEST_CHILD_DIR";

/// The body of the killed process; does nothing when the tests run normally.
#[tokio::test]
async fn child_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let (store, _writer) = open(Path::new(&dir)).expect("open");
    let workers = (0..8_u32).map(|worker| {
        let store = store.clone();
        async move {
            for n in 0.. {
                let name = format!("w{worker}-{}", n % 50);
                let done = put(&store, &name, n).await.expect("write");
                println!("ACK {name} {n} {}", done.revision);
            }
        }
    });
    futures::future::join_all(workers).await;
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut revision = 0;
    for round in 1..=3_usize {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args([
                "--exact",
                "--nocapture",
                "store::tests::child_writes_until_it_is_killed",
            ])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the writer");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut acknowledged: BTreeMap<String, (u32, u64)> = BTreeMap::new();
        let mut read = |line: String| {
            let Some(at) = line.find("ACK ") else { return };
            let parts: Vec<&str> = line[at + 4..].split(' ').collect();
            // The line being written when the process died may be cut off.
            if let [name, n, at] = parts[..]
                && let (Ok(n), Ok(at)) = (n.parse(), at.parse())
            {
                acknowledged.insert(name.to_owned(), (n, at));
            }
        };
        for line in lines.by_ref().take(round * 300) {
            read(line.expect("a line"));
        }
        child.kill().expect("SIGKILL");
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        // Of the last line it is not known whether it is whole.
        rest.pop();
        rest.into_iter().for_each(&mut read);
        child.wait().expect("reaped");

        assert!(acknowledged.len() > 100, "{} names", acknowledged.len());
        let opened = open(dir.path()).expect("open after the kill");
        let state = opened.0.read();
        for (name, (n, at)) in &acknowledged {
            let found = state
                .get(&key(name))
                .unwrap_or_else(|| panic!("{name} is lost"));
            assert!(
                found.revision >= *at,
                "{name}: {} is older than the acknowledged {at}",
                found.revision
            );
            // A later write of the same name may have been committed, but not yet acknowledged.
            if found.revision == *at {
                assert_eq!(found.value["data"], *n, "{name}");
            }
            revision = revision.max(*at);
        }
        assert!(
            state.revision() >= revision,
            "{} went back behind {revision}",
            state.revision()
        );
        revision = state.revision();
        drop(state);
        close(opened);
    }
}

/// A step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u32),
    Delete(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..6_u8, any::<u32>()).prop_map(|(n, d)| Step::Put(n, d)),
        1 => (0..6_u8).prop_map(Step::Delete),
    ];
    proptest::collection::vec(step, 1..60)
}

type Names = BTreeMap<String, u64>;

fn names<'a>(objects: impl Iterator<Item = &'a Arc<Object>>) -> Names {
    objects
        .map(|o| (crate::object::name(&o.value).to_owned(), o.revision))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The list at any revision, with the events after it replayed, is the list of now; in any chunk size.
    #[test]
    fn list_and_events_agree(steps in steps(), chunk in 1..7_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let (store, _writer) = Store::open(MemoryBackend, Arc::new(Nobody)).expect("open");
        let mut then: Vec<(u64, Names)> = vec![(store.read().revision(), Names::new())];
        for step in steps {
            let done = match step {
                Step::Put(n, data) => runtime.block_on(put(&store, &format!("o{n}"), data)),
                Step::Delete(n) => runtime.block_on(delete(&store, &format!("o{n}"))),
            };
            if done.is_ok() {
                let state = store.read();
                then.push((state.revision(), names(state.list("configmaps", None))));
            }
        }
        let state = store.read();
        let (last, now) = then.last().expect("at least the start");
        for (revision, expected) in &then {
            let old = state.list_at("configmaps", Some("n"), *revision).expect("kept");
            prop_assert_eq!(&names(old.iter()), expected);
            let (mut replayed, mut cursor) = (expected.clone(), *revision);
            loop {
                let (events, complete) = state.events_after("configmaps", cursor, chunk).expect("kept");
                for event in &events {
                    prop_assert!(event.revision > cursor);
                    cursor = event.revision;
                    prop_assert_eq!(event.object.revision, event.revision);
                    match event.kind {
                        EventKind::Deleted => { replayed.remove(&event.key.name); }
                        EventKind::Added | EventKind::Modified => { replayed.insert(event.key.name.clone(), event.revision); }
                    }
                }
                cursor = complete;
                if events.len() < chunk {
                    break;
                }
            }
            prop_assert_eq!(&replayed, now);
            prop_assert_eq!(cursor, *last);
        }
    }
}
