use super::*;

#[test]
fn forms_of_passwords_are_told_apart_and_damaged_ones_refused() {
    let cases = [
        (
            "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
            Some(PasswordScheme::Bcrypt),
        ),
        ("$2y$05$c4WoMPo3SXsafkva", None),
        (
            "$2y$31$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
            None,
        ),
        (
            "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/",
            Some(PasswordScheme::Apr1),
        ),
        ("$apr1$r31.....$Hq", None),
        ("$apr1$$HqJZimcKQFAMYayBlzkrA/", None),
        (
            "$1$r31.....$HqJZimcKQFAMYayBlzkrA/",
            Some(PasswordScheme::Md5),
        ),
        (
            "{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=",
            Some(PasswordScheme::Sha),
        ),
        ("{SHA}short", None),
        ("{PLAIN}open", Some(PasswordScheme::Plain)),
        ("{PLAIN}", None),
        // The old crypt of DES looks like a plain text.
        ("rqXexS6ZhobKA", None),
        ("", None),
    ];
    for (text, scheme) in cases {
        let found = PasswordHash::new(text).ok().map(|hash| hash.scheme());
        assert_eq!(found, scheme, "{text}");
    }
}

#[test]
fn no_debug_text_and_no_error_shows_a_password() {
    let auth = |text: &str| format!(r#"{{"users":{{"ann":"{text}"}}}}"#);
    let good: BasicAuth = serde_json::from_str(&auth("{PLAIN}hunter2")).unwrap();
    assert!(!format!("{good:?}").contains("hunter2"));
    let bad = serde_json::from_str::<BasicAuth>(&auth("hunter2")).unwrap_err();
    assert!(!bad.to_string().contains("hunter2"), "{bad}");
    assert!(
        !PasswordHash::new("hunter2")
            .unwrap_err()
            .to_string()
            .contains("hunter2")
    );
}

#[test]
fn realms_and_names_that_cannot_be_sent_are_refused() {
    let auth = |realm: &str, name: &str| BasicAuth {
        realm: realm.to_owned(),
        users: [(name.to_owned(), PasswordHash::new("{PLAIN}p").unwrap())].into(),
    };
    assert_eq!(auth("a \"b\"", "ann").validate(), Ok(()));
    for (realm, name, field) in [
        ("a\r\nb", "ann", "realm"),
        ("a", "a:b", "users"),
        ("a", "", "users"),
    ] {
        assert_eq!(auth(realm, name).validate().unwrap_err().0, field);
    }
    let nobody = BasicAuth {
        users: BTreeMap::new(),
        ..auth("a", "b")
    };
    assert_eq!(nobody.validate().unwrap_err().0, "users");
}
