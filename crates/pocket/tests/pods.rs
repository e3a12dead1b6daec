//! Single pods: restarts, probes, images, logs.
#![allow(clippy::unwrap_used)]

mod support;

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, ContainerState, Event, Pod};
use kube::api::{DeleteParams, LogParams};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use support::{Bench, container, echo, get, ip, is_alive, is_ready, process, restarts};

fn pod(restart_policy: &str, container: Value) -> Value {
    json!({
        "metadata": {"name": "p", "labels": {"app": "p"}},
        "spec": {"restartPolicy": restart_policy, "containers": [container]},
    })
}

fn shell(script: &str) -> Value {
    json!({"name": "sh", "image": "example.com/shell", "args": ["-c", script]})
}

fn state(pod: &Pod) -> ContainerState {
    container(pod)
        .and_then(|c| c.state.clone())
        .unwrap_or_default()
}

fn waiting_reason(pod: &Pod) -> Option<String> {
    state(pod).waiting.and_then(|w| w.reason)
}

#[tokio::test]
async fn a_killed_process_is_started_again() {
    let mut bench = Bench::start("killed").await;
    bench.create::<Pod>(pod("Always", echo())).await;
    let before = bench.ready_pods(1).await.remove(0);
    kill_process(process(&before), Signal::KILL).unwrap();
    let after = bench
        .until::<Pod>("a second run", |pods| {
            is_ready(&pods[0]) && restarts(&pods[0]) == 1
        })
        .await
        .remove(0);
    assert_eq!(ip(&before), ip(&after));
    let last = container(&after)
        .unwrap()
        .last_state
        .clone()
        .unwrap()
        .terminated
        .unwrap();
    assert_eq!((last.exit_code, last.signal), (137, Some(9)));
    bench.stop().await;
}

#[tokio::test]
async fn probes_take_a_pod_out_and_restart_it() {
    let mut bench = Bench::start("probed").await;
    let mut container = echo();
    container["livenessProbe"] = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 3});
    bench.create::<Pod>(pod("Always", container)).await;
    let before = bench.ready_pods(1).await.remove(0);
    assert_eq!(get(&before, "/-/fault?mode=errors").await, json!("ok\n"));
    bench
        .until::<Pod>("it is taken out", |pods| !is_ready(&pods[0]))
        .await;
    bench
        .until::<Pod>("it runs again, without the fault", |pods| {
            is_ready(&pods[0]) && restarts(&pods[0]) == 1
        })
        .await;
    bench
        .until::<Event>("an event of each kind", |events| {
            ["Unhealthy", "Killing", "Started"]
                .iter()
                .all(|reason| events.iter().any(|e| e.reason.as_deref() == Some(reason)))
        })
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn a_crashing_program_is_backed_off() {
    let mut bench = Bench::start("crashing").await;
    bench.create::<Pod>(pod("Always", shell("exit 3"))).await;
    let crashing = bench
        .until::<Pod>("back-off", |pods| {
            waiting_reason(&pods[0]).as_deref() == Some("CrashLoopBackOff")
        })
        .await
        .remove(0);
    let last = container(&crashing)
        .unwrap()
        .last_state
        .clone()
        .unwrap()
        .terminated
        .unwrap();
    assert_eq!(last.exit_code, 3);
    bench.stop().await;
}

#[tokio::test]
async fn a_program_runs_once_with_its_environment() {
    let mut bench = Bench::start("once").await;
    bench
        .create::<ConfigMap>(json!({"metadata": {"name": "words"}, "data": {"greeting": "hello"}}))
        .await;
    let mut container = shell("echo $GREETING from $IP; exit 0");
    container["env"] = json!([
        {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "greeting"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]);
    bench.create::<Pod>(pod("Never", container)).await;
    let done = bench
        .until::<Pod>("its end", |pods| {
            pods[0].status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Succeeded")
        })
        .await
        .remove(0);
    let log = bench
        .api::<Pod>()
        .logs("p", &LogParams::default())
        .await
        .unwrap();
    assert_eq!(log, format!("hello from {}\n", ip(&done)));
    bench.stop().await;
}

#[tokio::test]
async fn an_unknown_image_says_what_to_do() {
    let mut bench = Bench::start("unknown").await;
    bench
        .create::<Pod>(pod(
            "Always",
            json!({"name": "c", "image": "example.com/shop:v1"}),
        ))
        .await;
    let stuck = bench
        .until::<Pod>("the problem", |pods| {
            waiting_reason(&pods[0]).as_deref() == Some("ErrImagePull")
        })
        .await
        .remove(0);
    let message = state(&stuck).waiting.and_then(|w| w.message).unwrap();
    assert!(
        message.contains("--image example.com/shop=/path/to/program"),
        "{message}"
    );
    bench
        .until::<Event>("an event", |events| {
            events.iter().any(|e| {
                e.message
                    .as_ref()
                    .is_some_and(|m| m.contains("ErrImagePull"))
            })
        })
        .await;
    bench
        .api::<Pod>()
        .delete("p", &DeleteParams::default())
        .await
        .unwrap();
    bench.ready_pods(0).await;
    bench.stop().await;
}

#[tokio::test]
async fn logs_are_kept_over_a_restart_and_followed() {
    let mut bench = Bench::start("logs").await;
    let script = "echo run; trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done";
    bench.create::<Pod>(pod("Always", shell(script))).await;
    let pods = bench.api::<Pod>();
    let first = bench.ready_pods(1).await.remove(0);
    kill_process(process(&first), Signal::KILL).unwrap();
    bench
        .until::<Pod>("a second run", |pods| {
            is_ready(&pods[0]) && restarts(&pods[0]) == 1
        })
        .await;
    let previous = LogParams {
        previous: true,
        ..LogParams::default()
    };
    assert_eq!(pods.logs("p", &previous).await.unwrap(), "run\n");

    let follow = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = pods.log_stream("p", &follow).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("run"));
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    assert_eq!(
        lines.try_next().await.unwrap().as_deref(),
        Some("bye"),
        "it was asked politely"
    );
    assert_eq!(
        lines.try_next().await.unwrap(),
        None,
        "following ends with the pod"
    );
    bench.stop().await;
}

#[tokio::test]
async fn a_program_that_ignores_the_request_is_killed_after_its_grace() {
    let mut bench = Bench::start("stubborn").await;
    bench
        .create::<Pod>(pod(
            "Always",
            shell("trap '' TERM; while :; do sleep 0.05; done"),
        ))
        .await;
    let stubborn = bench.ready_pods(1).await.remove(0);
    bench
        .api::<Pod>()
        .delete("p", &DeleteParams::default().grace_period(1))
        .await
        .unwrap();
    bench.ready_pods(0).await;
    assert!(!is_alive(process(&stubborn)));
    bench.stop().await;
}

#[tokio::test]
async fn nothing_outlives_the_first_process() {
    let mut bench = Bench::start("alone").await;
    let script = "sleep 1000 & echo $!; trap 'exit 0' TERM; while :; do sleep 0.05; done";
    bench.create::<Pod>(pod("Always", shell(script))).await;
    bench.ready_pods(1).await;
    let pods = bench.api::<Pod>();
    let follow = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = pods.log_stream("p", &follow).await.unwrap().lines();
    let pid = lines.try_next().await.unwrap().unwrap().parse().unwrap();
    let background = rustix::process::Pid::from_raw(pid).unwrap();
    assert!(is_alive(background));
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    bench.ready_pods(0).await;
    // It was killed before the pod was gone; dying takes the kernel a moment.
    let died = async {
        while runs(background) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(support::PATIENCE, died)
        .await
        .expect("it goes with the pod");
    bench.stop().await;
}

/// Whether the process runs; one that ended and that nobody has asked for does not.
fn runs(pid: rustix::process::Pid) -> bool {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    !matches!(
        stat.rsplit_once(')')
            .map(|(_, rest)| rest.trim_start().chars().next()),
        None | Some(Some('Z' | 'X'))
    )
}
