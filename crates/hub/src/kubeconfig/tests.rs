use super::*;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";

/// A good kubeconfig with `cluster` and `user` as the fields of its second cluster and user; the first
/// ones belong to a context that is not the current one, and would be refused.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\npreferences: {{}}\n\
         contexts:\n- name: dev\n  context: {{cluster: dev, user: dev}}\n- name: prod\n  context: {{cluster: prod, user: admin}}\n\
         clusters:\n- name: dev\n  cluster: {{server: 'http://dev'}}\n- name: prod\n  cluster: {{{cluster}}}\n\
         users:\n- name: dev\n  user: {{exec: {{command: rm}}}}\n- name: admin\n  user: {{{user}}}\n"
    )
}

fn cluster(more: &str) -> String {
    format!(
        "server: 'https://10.0.0.1:6443', certificate-authority-data: {}{more}",
        STANDARD.encode(CERTIFICATE)
    )
}

fn certificate() -> String {
    format!(
        "client-certificate-data: {}, client-key-data: {}",
        STANDARD.encode(CERTIFICATE),
        STANDARD.encode(KEY)
    )
}

fn error(text: &str) -> String {
    MemberKubeconfig::parse(text).unwrap_err().to_string()
}

#[test]
fn the_current_context_alone_is_kept() {
    let user = format!("{}, token: s3cret", certificate());
    let parsed =
        MemberKubeconfig::parse(&kubeconfig(&cluster(", tls-server-name: api.prod"), &user))
            .unwrap();
    assert_eq!(parsed.server(), "https://10.0.0.1:6443");
    assert_eq!(parsed.context(), "prod");
    let reduced: serde_json::Value = serde_saphyr::from_str(parsed.reduced()).unwrap();
    let expected = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "member",
        "contexts": [{"name": "member", "context": {"cluster": "member", "user": "member"}}],
        "clusters": [{"name": "member", "cluster": {
            "server": "https://10.0.0.1:6443",
            "certificate-authority-data": STANDARD.encode(CERTIFICATE),
            "tls-server-name": "api.prod",
        }}],
        "users": [{"name": "member", "user": {
            "client-certificate-data": STANDARD.encode(CERTIFICATE),
            "client-key-data": STANDARD.encode(KEY),
            "token": "s3cret",
        }}],
    });
    assert_eq!(reduced, expected);
    let again = MemberKubeconfig::parse(parsed.reduced()).unwrap();
    assert_eq!(again.reduced(), parsed.reduced());
}

#[test]
fn fields_that_are_refused_in_the_cluster() {
    let ca = STANDARD.encode(CERTIFICATE);
    let cases = [
        (
            cluster(", insecure-skip-tls-verify: true"),
            "insecure-skip-tls-verify is refused",
        ),
        (
            cluster(", certificate-authority: /etc/ca.pem"),
            "certificate-authority is refused",
        ),
        (cluster(", proxy-url: 'socks5://p'"), "proxy-url is refused"),
        (
            format!("server: 'http://a', certificate-authority-data: {ca}"),
            "server is refused: it must begin with https://",
        ),
        (
            format!("server: '10.0.0.1:6443', certificate-authority-data: {ca}"),
            "server is refused",
        ),
        (
            format!("server: 'https://u:p@a', certificate-authority-data: {ca}"),
            "server is refused: it must not contain a user",
        ),
        (
            format!("server: 'https://', certificate-authority-data: {ca}"),
            "server is refused: it is not a URL",
        ),
        (
            format!("server: 'https://a?b', certificate-authority-data: {ca}"),
            "server is refused: it must not have a query",
        ),
        (
            format!("certificate-authority-data: {ca}"),
            "server is missing",
        ),
        (
            "server: 'https://a'".to_owned(),
            "certificate-authority-data is missing",
        ),
        (
            "server: 'https://a', certificate-authority-data: ''".to_owned(),
            "certificate-authority-data is missing",
        ),
        (
            "server: 'https://a', certificate-authority-data: '!!'".to_owned(),
            "certificate-authority-data is refused: it is not base64",
        ),
        (
            "server: 'https://a', certificate-authority-data: aGk=".to_owned(),
            "certificate-authority-data is refused: it holds no PEM",
        ),
    ];
    for (cluster, expected) in cases {
        let error = error(&kubeconfig(&cluster, "token: abc"));
        assert!(
            error.starts_with(&format!("kubeconfig field clusters[1].cluster.{expected}")),
            "{cluster}: {error}"
        );
    }
}

#[test]
fn fields_that_are_refused_in_the_user() {
    let certificate = STANDARD.encode(CERTIFICATE);
    let cases = [
        ("exec: {command: aws}, token: abc", ".exec is refused"),
        ("exec: {}", ".exec is refused"),
        ("auth-provider: {name: gcp}", ".auth-provider is refused"),
        (
            "client-certificate: /a.pem",
            ".client-certificate is refused",
        ),
        ("client-key: /a.pem, token: abc", ".client-key is refused"),
        ("tokenFile: /token, token: abc", ".tokenFile is refused"),
        ("username: admin", ".username is refused"),
        ("password: secret, token: abc", ".password is refused"),
        ("as: root, token: abc", ".as is refused"),
        ("as-uid: '0', token: abc", ".as-uid is refused"),
        ("as-groups: [a], token: abc", ".as-groups is refused"),
        (
            "as-user-extra: {a: [b]}, token: abc",
            ".as-user-extra is refused",
        ),
        ("token: 'a b'", ".token is refused"),
        ("token: ''", " is missing: it has no credentials"),
        ("", " is missing: it has no credentials"),
        (
            &format!("client-certificate-data: {certificate}"),
            ".client-key-data is missing",
        ),
        (
            &format!("client-key-data: {certificate}"),
            ".client-certificate-data is missing",
        ),
        (
            &format!("client-certificate-data: {certificate}, client-key-data: {certificate}"),
            ".client-key-data is refused: it holds no PEM block PRIVATE KEY",
        ),
    ];
    for (user, expected) in cases {
        let error = error(&kubeconfig(&cluster(""), user));
        assert!(
            error.starts_with(&format!("kubeconfig field users[1].user{expected}")),
            "{user}: {error}"
        );
    }
}

#[test]
fn what_says_nothing_is_not_refused() {
    let cluster = cluster(
        ", insecure-skip-tls-verify: false, proxy-url: '', extensions: [{name: x, extension: {}}]",
    );
    let user = "token: abc, exec: null, auth-provider: null, as: '', client-key: ''";
    MemberKubeconfig::parse(&kubeconfig(&cluster, user)).unwrap();
}

#[test]
fn the_context_must_be_one_and_the_error_names_all() {
    let good = kubeconfig(&cluster(""), "token: abc");
    let cases = [
        (
            good.replace("current-context: prod\n", ""),
            "current-context is missing; contexts in the file: dev, prod",
        ),
        (
            good.replace("current-context: prod", "current-context: ''"),
            "current-context is missing; contexts in the file: dev, prod",
        ),
        (
            good.replace("current-context: prod", "current-context: qa"),
            "current-context names \"qa\", which does not exist; contexts in the file: dev, prod",
        ),
        (
            good.replace("- name: dev\n  context", "- name: prod\n  context"),
            "current-context names \"prod\", which exists more than once; contexts in the file: prod, prod",
        ),
        (
            "{}".to_owned(),
            "current-context is missing; contexts in the file: none",
        ),
        (
            good.replace("context: {cluster: prod, user: admin}", "context: null"),
            "contexts[1].context is missing",
        ),
        (
            good.replace("cluster: prod, user", "user"),
            "contexts[1].context.cluster is missing",
        ),
        (
            good.replace("user: admin}", "user: nobody}"),
            "users is missing: the current context refers to \"nobody\"",
        ),
        (
            good.replace("- name: dev\n  cluster", "- name: prod\n  cluster"),
            "clusters[1].name is refused: \"prod\" exists more than once",
        ),
    ];
    for (text, expected) in cases {
        let error = error(&text);
        assert!(
            error.starts_with(&format!("kubeconfig field {expected}")),
            "{error}"
        );
    }
}

#[test]
fn no_error_and_no_debug_text_shows_a_secret() {
    let good = kubeconfig(&cluster(""), "token: s3cret");
    let parsed = MemberKubeconfig::parse(&good).unwrap();
    assert!(!format!("{parsed:?}").contains("s3cret"));
    let broken = [
        good.replace("token: s3cret", "token: [s3cret]"),
        good.replace("token: s3cret", "token: {s3cret: s3cret}"),
        good.replace("token: s3cret", "token: s3cret, token: s3cret"),
        good.replace("token: s3cret", "token: 's3cret"),
        good.replace("token: s3cret", "exec: {token: s3cret}"),
        good.replace("token: s3cret", "token: \"s3cret\\n\""),
        good.replace("token: s3cret", "password: s3cret"),
        good.replace("https://10", "https://me:s3cret@10"),
        format!("{good}\ns3cret: : s3cret"),
    ];
    for text in broken {
        let error = MemberKubeconfig::parse(&text).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
}

#[test]
fn what_is_no_kubeconfig_is_refused() {
    let large = "#".repeat(KUBECONFIG_LIMIT + 1);
    assert_eq!(
        MemberKubeconfig::parse(&large).unwrap_err(),
        KubeconfigError::TooLarge {
            bytes: KUBECONFIG_LIMIT + 1
        }
    );
    for text in ["[]", "hello", "a: [", "clusters: 3", "\u{0}"] {
        let error = MemberKubeconfig::parse(text).unwrap_err();
        assert!(
            matches!(error, KubeconfigError::Unreadable(_)),
            "{text:?}: {error}"
        );
    }
}
