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

/// What the documents say a value is, its reader asks for: a value that cannot be it is never taken in silence.
#[test]
fn values_that_do_not_fit_their_kind_are_reported() {
    let mut checked = 0;
    // Those whose annotations are read whatever stands beside them.
    let titles = [
        "Canary",
        "Redirects",
        "CORS",
        "Access by address",
        "Time-outs and retries",
    ];
    let groups = groups().filter(|group| titles.contains(&group.title.en));
    let rows = groups.flat_map(|group| group.rows);
    for row in rows.filter(|row| matches!(row.state, State::Works(_))) {
        let bad = match row.kind {
            ValueKind::Bool => "perhaps",
            ValueKind::Integer(..) | ValueKind::Seconds | ValueKind::Size => "many",
            ValueKind::Ranges => "10.0.0.0/99",
            _ => continue,
        };
        checked += 1;
        let key = format!("{}{}", crate::annotation::PREFIXES[1], row.name);
        let object = crate::ObjectRef::new(crate::Kind::Ingress, "shop", "web");
        let mut said = crate::diagnostic::Sink::default();
        // What an annotation needs beside it, so that it is read at all.
        let beside = ["canary", "enable-cors"].map(|name| {
            let key = format!("{}{name}", crate::annotation::PREFIXES[1]);
            (key, "true".to_owned())
        });
        let mut all = std::collections::BTreeMap::from(beside);
        all.insert(key.clone(), bad.to_owned());
        crate::annotation::read(&all, &object, &mut said);
        let field = format!("metadata.annotations[{key}]");
        assert!(
            said.of(&object).any(|diagnostic| diagnostic.field == field),
            "{} is {:?} and {bad:?} is taken",
            row.name,
            row.kind
        );
    }
    assert!(checked >= 15, "only {checked} rows were checked");
}
