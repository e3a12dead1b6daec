//! The sample application of the tests: `shop.example.com`, Service `shop` in namespace `shop`.

use std::net::SocketAddr;

use anyhow::ensure;

use crate::{Answer, Load, Result, Rig, SOON, Target, request, wait_for};

/// Its host, unless a test takes another.
pub const SHOP: &str = "shop.example.com";

impl Rig {
    /// Deploys the shop to a cluster, with the commands a person would type, and waits for its pods.
    ///
    /// # Errors
    /// What kubectl said.
    pub async fn deploy_shop(&self, cluster: &str, replicas: u32) -> Result {
        let kubectl = self.member(cluster);
        kubectl.run("create namespace shop").await?;
        let create = "-n shop create deployment shop --image tidegate.io/echo:1 --port 8080";
        kubectl
            .run(&format!("{create} --replicas {replicas}"))
            .await?;
        kubectl
            .run("-n shop expose deployment shop --port 80 --target-port 8080")
            .await?;
        kubectl
            .run("-n shop rollout status deployment shop --timeout 40s")
            .await?;
        Ok(())
    }

    /// Puts an Ingress `name` for the shop on the hub, at `host` and `/`.
    ///
    /// # Errors
    /// What kubectl said.
    pub async fn route_shop(&self, name: &str, host: &str, annotations: &[(&str, &str)]) -> Result {
        let annotations: serde_json::Map<_, _> = annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        let backend =
            serde_json::json!({ "service": { "name": "shop", "port": { "number": 80 } } });
        let path = serde_json::json!({ "path": "/", "pathType": "Prefix", "backend": backend });
        let ingress = serde_json::json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": { "name": name, "namespace": "shop", "annotations": annotations },
            "spec": { "rules": [{ "host": host, "http": { "paths": [path] } }] },
        });
        let namespace = serde_json::json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" },
        });
        // One by one: kubectl of 2025 takes `---` between JSON documents for a mistake, and validates a List only
        // against a schema in protobuf.
        for object in [namespace, ingress] {
            self.hub().apply(&object.to_string(), &[]).await?;
        }
        Ok(())
    }

    /// A hub, these clusters, and the shop with as many replicas in each, served by all of them.
    ///
    /// # Errors
    /// When a part does not come up.
    pub async fn start_shop(&mut self, clusters: &[(&str, u32)]) -> Result {
        let names: Vec<&str> = clusters.iter().map(|(name, _)| *name).collect();
        self.start_fleet(&names).await?;
        for (name, replicas) in clusters {
            self.deploy_shop(name, *replicas).await?;
        }
        self.route_shop("shop", SHOP, &[]).await?;
        for name in names {
            self.until_served_by(name, SHOP, &[]).await?;
        }
        Ok(())
    }

    /// Where the gateway takes requests.
    ///
    /// # Errors
    /// When the hub did not say.
    pub fn gateway_address(&self) -> Result<SocketAddr> {
        self.server().address("http")
    }

    /// GET of a host at the gateway.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn ask(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        request(self.gateway_address()?, host, "GET", path, headers).await
    }

    /// Waits until a request for `host` is answered by `cluster`.
    ///
    /// # Errors
    /// When that never happens; with the last answer.
    pub async fn until_served_by(
        &self,
        cluster: &str,
        host: &str,
        headers: &[(&str, &str)],
    ) -> Result {
        wait_for(
            &format!("{cluster} to answer for {host}"),
            SOON,
            async || {
                let by = self.ask(host, "/", headers).await?.cluster()?;
                ensure!(by == cluster, "{by} answered");
                Ok(())
            },
        )
        .await
    }

    /// Steady load on the shop through the gateway.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn load(&self, rate: u32) -> Result<Load> {
        Load::start(Target::new(self.gateway_address()?, SHOP).rate(rate))
    }
}

impl Load {
    /// Waits until `cluster` gives about this share (0 to 1, within a tenth) of a few hundred answers.
    ///
    /// # Errors
    /// When that never happens; with the last figures.
    pub async fn until_share(&self, cluster: &str, share: f64) -> Result {
        wait_for(
            &format!("{cluster} to give {share} of the answers"),
            SOON,
            async || {
                let next = self.next(200).await?;
                ensure!((next.share(cluster) - share).abs() < 0.1, "{next}");
                Ok(())
            },
        )
        .await
    }

    /// Waits until a few hundred answers in a row all come from `cluster`.
    ///
    /// # Errors
    /// When that never happens; with the last figures.
    pub async fn until_all_from(&self, cluster: &str) -> Result {
        wait_for(
            &format!("{cluster} to give all answers"),
            SOON,
            async || self.next(200).await?.all_from(cluster),
        )
        .await
    }
}
