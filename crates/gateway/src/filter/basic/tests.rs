use super::*;
use crate::filter::Question;
use proptest::prelude::*;

/// Hashes of `secret` that OpenSSL, glibc's crypt and Python made.
const SECRET: [&str; 8] = [
    "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "$apr1$r31xyzab$othKcUy6Q8aVRLV2fNvld1",
    "$1$r31$XuHHvkbFSNnRan91BU.230",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
    "{PLAIN}secret",
    // Bytes behind a salt are a part of it, so this is another salt and wrong.
    "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0eA==",
];

fn auth(hash: &str) -> Arc<BasicAuth> {
    Arc::new(BasicAuth::new(&tidegate_model::BasicAuth {
        realm: "a \"b\" \\c".to_owned(),
        users: [("ann".to_owned(), PasswordHash::new(hash).unwrap())].into(),
    }))
}

fn header(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// Looks, and asks where that is needed; with whether it was.
async fn log_in(auth: &Arc<BasicAuth>, header: &str) -> (Result<(), OwnAnswer>, bool) {
    match auth.look(Some(header.as_bytes())) {
        Verdict::Pass => (Ok(()), false),
        Verdict::Refused(answer) => (Err(answer), false),
        Verdict::Ask(Question::Password(check)) => (check.run().await, true),
        Verdict::Ask(Question::External(_)) => panic!("nobody else is to be asked"),
    }
}

#[test]
fn every_form_of_password_is_checked_as_others_wrote_it() {
    for hash in &SECRET[..7] {
        let hash = PasswordHash::new(*hash).unwrap();
        assert!(password::is_right(b"secret", &hash), "{}", hash.text());
        for wrong in [&b"Secret"[..], b"secre", b"secrets", b"", b"secret\0"] {
            assert!(!password::is_right(wrong, &hash), "{}", hash.text());
        }
    }
    let other_salt = PasswordHash::new(SECRET[7]).unwrap();
    assert!(!password::is_right(b"secret", &other_salt));
    for (text, hash) in [
        ("", "$apr1$r31xyzab$IL2BbkZHXS0AliGh/v8Jr1"),
        ("a", "$1$r31$v6wlBJSd8m7bacUhjOA171"),
        (
            "0123456789abcdefghijklmnopqrstuvwxyz",
            "$apr1$r31xyzab$BiLqraYvw3uKzbDQvjM6B1",
        ),
    ] {
        let hash = PasswordHash::new(hash).unwrap();
        assert!(password::is_right(text.as_bytes(), &hash), "{text}");
    }
}

#[tokio::test]
async fn a_costly_password_is_asked_about_once_and_then_known() {
    for hash in &SECRET[..4] {
        let auth = auth(hash);
        let right = header("ann", "secret");
        let wrong = header("ann", "guess");
        let refused = Err(OwnAnswer::Unauthorized);
        assert_eq!(log_in(&auth, &wrong).await, (refused, true));
        assert_eq!(log_in(&auth, &right).await, (Ok(()), true));
        assert_eq!(log_in(&auth, &right).await, (Ok(()), false));
        // Nothing that is wrong is let in by what is known.
        assert_eq!(log_in(&auth, &wrong).await, (refused, true));
        // Nobody is told by the time it takes that there is no such user.
        assert_eq!(
            log_in(&auth, &header("bob", "secret")).await,
            (refused, true)
        );
    }
    for hash in &SECRET[4..7] {
        let (result, asked) = log_in(&auth(hash), &header("ann", "secret")).await;
        assert_eq!((result, asked), (Ok(()), false));
        let (result, asked) = log_in(&auth(hash), &header("bob", "secret")).await;
        assert_eq!((result, asked), (Err(OwnAnswer::Unauthorized), false));
    }
}

#[test]
fn the_realm_is_quoted() {
    assert_eq!(
        auth("{PLAIN}x").challenge(),
        r#"Basic realm="a \"b\" \\c", charset="UTF-8""#
    );
}

#[test]
fn headers_that_hold_no_name_and_password_are_refused() {
    let auth = auth("{PLAIN}secret");
    assert!(matches!(
        auth.look(None),
        Verdict::Refused(OwnAnswer::Unauthorized)
    ));
    for header in [
        "",
        "Basic",
        "Basic ",
        "Basic !",
        "Bearer YW5uOnNlY3JldA==",
        "Basic YW5u",
    ] {
        let verdict = auth.look(Some(header.as_bytes()));
        assert!(matches!(verdict, Verdict::Refused(_)), "{header:?}");
    }
    let any_case = auth.look(Some(b"bAsIc  YW5uOnNlY3JldA=="));
    assert!(matches!(any_case, Verdict::Pass));
}

proptest! {
    #[test]
    fn no_header_but_the_right_one_lets_in(bytes in prop::collection::vec(any::<u8>(), 0..64), name in "[a-z]{0,4}", text in "[a-z]{0,8}") {
        let auth = auth("{PLAIN}secret");
        prop_assert!(!matches!(auth.look(Some(&bytes)), Verdict::Pass));
        let passed = matches!(auth.look(Some(header(&name, &text).as_bytes())), Verdict::Pass);
        prop_assert_eq!(passed, name == "ann" && text == "secret");
    }
}
