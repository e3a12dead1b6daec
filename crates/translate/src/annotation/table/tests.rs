use super::*;
use std::collections::BTreeSet;

#[test]
fn every_row_is_whole_and_there_once() {
    let mut names = BTreeSet::new();
    for row in rows() {
        let name = row.name;
        assert!(names.insert(name), "{name} is there twice");
        let texts = [Some(row.meaning), row.differs];
        for text in texts.into_iter().flatten() {
            for words in [text.en, text.zh] {
                assert!(!words.is_empty(), "{name} lacks a text");
                assert!(
                    !words.ends_with(['.', '。']),
                    "{name}: {words:?} ends with a full stop"
                );
            }
        }
        if matches!(row.state, State::Needless | State::Refused) {
            assert!(
                row.differs.is_some(),
                "{name} has no effect and does not say why"
            );
        }
    }
    assert!(names.len() >= 213, "only {} rows", names.len());
}

#[test]
fn names_within_keys_are_found() {
    let found = look_up("exact-match-header-stage").map(|row| row.name);
    assert_eq!(found, Some("exact-match-header-*"));
    assert!(look_up("exact-match-header-").is_none());
    assert!(look_up("no-such-thing").is_none());
}
