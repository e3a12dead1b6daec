use super::*;
use crate::tests::snapshot;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use tidegate_model::Generation;

fn numbered(generation: u64) -> Arc<Snapshot> {
    let mut content = snapshot(&[(1, 1)].into(), &[(1, 1)].into());
    content.generation = Generation(generation);
    Arc::new(content)
}

fn saved(dir: &Path, generations: &[u64]) {
    let store = LastKnownGood::open(dir).unwrap();
    for generation in generations {
        store.save(numbered(*generation));
        store.flush();
    }
}

fn refused(content: &[u8]) -> StoreError {
    decode(content).unwrap_err()
}

#[test]
fn the_newest_snapshot_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let none = LastKnownGood::open(dir.path()).unwrap().load();
    assert!(none.snapshot.is_none());
    assert!(
        none.refused
            .iter()
            .all(|r| matches!(r.error, StoreError::Missing))
    );
    saved(dir.path(), &[1, 2, 3]);
    let loaded = LastKnownGood::open(dir.path()).unwrap().load();
    assert_eq!(loaded.snapshot.unwrap(), numbered(3));
    assert!(loaded.refused.is_empty());
    let mode = fs::metadata(dir.path().join(CURRENT))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn what_waits_is_written_when_the_store_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let store = LastKnownGood::open(dir.path()).unwrap();
    (1..50).for_each(|generation| store.save(numbered(generation)));
    drop(store);
    let loaded = LastKnownGood::open(dir.path()).unwrap().load();
    assert_eq!(loaded.snapshot.unwrap(), numbered(49));
}

#[test]
fn a_damaged_file_gives_way_to_the_previous_one_and_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    saved(dir.path(), &[1, 2]);
    let current = dir.path().join(CURRENT);
    let mut bytes = fs::read(&current).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&current, &bytes).unwrap();

    let store = LastKnownGood::open(dir.path()).unwrap();
    let loaded = store.load();
    assert_eq!(loaded.snapshot.unwrap(), numbered(1));
    assert_eq!(loaded.refused.len(), 1);
    assert!(matches!(
        loaded.refused[0].error,
        StoreError::Damaged { .. }
    ));

    store.save(numbered(3));
    drop(store);
    let kept = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(".refused-"))
        .expect("the damaged file is kept aside");
    assert_eq!(fs::read(kept).unwrap(), bytes);
    fs::remove_file(current).unwrap();
    // The previous one was still there while the new one was written.
    let loaded = LastKnownGood::open(dir.path()).unwrap().load();
    assert_eq!(loaded.snapshot.unwrap(), numbered(1));
}

#[test]
fn a_file_cut_anywhere_is_refused_by_name() {
    let whole = encode(&numbered(1));
    assert!(decode(&whole).is_ok());
    assert!(matches!(refused(b""), StoreError::Empty));
    for length in 1..whole.len() {
        let error = refused(&whole[..length]);
        assert!(
            matches!(error, StoreError::Truncated { length: l } if l == length),
            "{length}: {error}"
        );
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(matches!(refused(&longer), StoreError::Damaged { .. }));
}

#[test]
fn every_changed_byte_is_noticed() {
    let whole = encode(&numbered(1));
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x04;
        let error = refused(&bytes);
        assert!(
            matches!(
                error,
                StoreError::Damaged { .. } | StoreError::Truncated { .. }
            ),
            "{at}: {error}"
        );
    }
}

#[test]
fn newer_and_invalid_snapshots_are_told_apart() {
    let mut newer = Snapshot::clone(&numbered(1));
    newer.format = SNAPSHOT_FORMAT + 1;
    assert!(matches!(
        refused(&encode(&newer)),
        StoreError::NewerFormat { found } if found == SNAPSHOT_FORMAT + 1
    ));
    let mut invalid = Snapshot::clone(&numbered(1));
    invalid.settings.timeouts.connect = std::time::Duration::ZERO;
    let error = refused(&encode(&invalid)).to_string();
    assert!(error.contains("settings.timeouts.connect"), "{error}");
}

proptest! {
    #[test]
    fn no_content_makes_it_fail_otherwise(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&content);
        let _ = decode(&[format!("{MAGIC}\n").as_bytes(), &content].concat());
    }
}
