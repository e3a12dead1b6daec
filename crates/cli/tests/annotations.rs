//! Annotations from kubectl to what a client and a pod see.

use anyhow::ensure;
use tidegate_testbed::{Answer, Result, Rig, SHOP, SOON, wait_for};

const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");

#[test]
fn annotations_change_what_clients_and_pods_see() {
    Rig::run(TIDEGATE, async |rig| {
        rig.start_shop(&[("az1", 1), ("az2", 1)]).await?;

        let secure = "secure.example.com";
        rig.route_shop(
            "secure",
            secure,
            &[("nginx.ingress.kubernetes.io/force-ssl-redirect", "true")],
        )
        .await?;
        let answer = until(rig, secure, "/a?b=1", 308).await?;
        ensure!(answer.headers["location"] == "https://secure.example.com/a?b=1");

        let closed = "closed.example.com";
        let elsewhere = [(
            "nginx.ingress.kubernetes.io/whitelist-source-range",
            "192.0.2.0/24",
        )];
        rig.route_shop("closed", closed, &elsewhere).await?;
        until(rig, closed, "/", 403).await?;

        // Closed until the Secret is there, then open to who has the password.
        let locked = "locked.example.com";
        let basic = [
            ("nginx.ingress.kubernetes.io/auth-type", "basic"),
            ("nginx.ingress.kubernetes.io/auth-secret", "users"),
        ];
        rig.route_shop("locked", locked, &basic).await?;
        until(rig, locked, "/", 503).await?;
        let create = "-n shop create secret generic users --from-literal=auth=anna:{PLAIN}open";
        rig.hub().run(create).await?;
        until(rig, locked, "/", 401).await?;
        // anna:open
        let password = [("authorization", "Basic YW5uYTpvcGVu")];
        let answer = rig.ask(locked, "/", &password).await?;
        ensure!(answer.status.as_u16() == 200, "{}", answer.text());
        rig.hub().run("-n shop delete secret users").await?;
        until(rig, locked, "/", 503).await?;

        // Without its ConfigMap, then with it.
        let headed = "headed.example.com";
        let headers = [("nginx.ingress.kubernetes.io/custom-headers", "headers")];
        rig.route_shop("headed", headed, &headers).await?;
        until(rig, headed, "/", 200).await?;
        let create = "-n shop create configmap headers --from-literal=x-frame-options=DENY";
        rig.hub().run(create).await?;
        wait_for("the header of the ConfigMap", SOON, async || {
            let answer = rig.ask(headed, "/", &[]).await?;
            ensure!(
                answer
                    .headers
                    .get("x-frame-options")
                    .is_some_and(|v| v == "DENY")
            );
            Ok(())
        })
        .await?;

        let rewritten = "rewritten.example.com";
        let annotations = [
            ("nginx.ingress.kubernetes.io/rewrite-target", "/inner"),
            (
                "nginx.ingress.kubernetes.io/upstream-vhost",
                "inner.example.com",
            ),
        ];
        rig.route_shop("rewritten", rewritten, &annotations).await?;
        let seen = until(rig, rewritten, "/a", 200).await?.json();
        ensure!(seen["path"] == "/inner/a", "{seen}");
        ensure!(seen["host"] == "inner.example.com", "{seen}");

        let all = [
            ("nginx.ingress.kubernetes.io/canary", "true"),
            ("nginx.ingress.kubernetes.io/canary-weight", "100"),
            ("mse.ingress.kubernetes.io/service-subset", "canary"),
            (
                "mse.ingress.kubernetes.io/subset-labels",
                "topology.istio.io/cluster az2",
            ),
        ];
        rig.route_shop("canary", SHOP, &all).await?;
        rig.load(50)?.until_all_from("az2").await?;
        Ok(())
    });
}

async fn until(rig: &Rig, host: &str, path: &str, status: u16) -> Result<Answer> {
    wait_for(&format!("{host} to answer {status}"), SOON, async || {
        let answer = rig.ask(host, path, &[]).await?;
        ensure!(
            answer.status.as_u16() == status,
            "{}: {}",
            answer.status,
            answer.text()
        );
        Ok(answer)
    })
    .await
}
