//! One container's process: how it is started, signalled and waited for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::env::expand;
use super::spawner;
use crate::config::ProcessShim;
use crate::echo::{EchoOptions, Identity};
use crate::images::Program;
use crate::shim::{Role, arguments};

/// Signals waiting to be sent: a polite one and a final one.
const SIGNALS_MAX: usize = 4;

/// A handle on a running process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    signals: mpsc::Sender<Signal>,
}

impl Process {
    /// Sends `signal` to the process; `KILL` to all it has started, too.
    pub(super) fn signal(&self, signal: Signal) {
        // Full means that it has been told already; closed means that it has ended.
        let _ = self.signals.try_send(signal);
    }
}

/// What a container is started with.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) role: Role,
    pub(super) env: BTreeMap<String, String>,
    pub(super) working_dir: Option<PathBuf>,
    /// Output of the process, appended.
    pub(super) log: std::fs::File,
}

/// What `container` of `pod` becomes, or why it cannot be started here.
pub(super) fn role(
    program: Program,
    cluster: &str,
    pod: &Pod,
    container: &Container,
    ip: Ipv4Addr,
    env: &BTreeMap<String, String>,
) -> Result<Role, String> {
    let args = container.args.iter().flatten();
    match program {
        Program::Echo { default_port } => {
            let mut ports: Vec<u16> = container
                .ports
                .iter()
                .flatten()
                .filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")
                .filter_map(|port| u16::try_from(port.container_port).ok())
                .collect();
            ports.dedup();
            if ports.is_empty() {
                ports.push(default_port);
            }
            let identity = Identity {
                cluster: cluster.to_owned(),
                namespace: pod.namespace().unwrap_or_default(),
                pod: pod.name_any(),
                node: cluster.to_owned(),
            };
            let listen = ports
                .into_iter()
                .map(|port| SocketAddr::from((ip, port)))
                .collect();
            Ok(Role::Echo(EchoOptions {
                identity,
                listen,
                ..EchoOptions::default()
            }))
        }
        Program::Local(_)
            if container
                .command
                .as_ref()
                .is_some_and(|command| !command.is_empty()) =>
        {
            Err(format!(
                "container {:?}: command is not supported by a pocket cluster, because --image decides which program runs; use args",
                container.name
            ))
        }
        Program::Local(program) => Ok(Role::Exec {
            program: program.into(),
            args: args.map(|arg| OsString::from(expand(arg, env))).collect(),
        }),
    }
}

/// Starts a process of its own group that dies with this one. `ended` is called once, when it has ended.
pub(super) async fn start<Told: Future<Output = ()> + Send>(
    shim: &ProcessShim,
    launch: Launch,
    ended: impl FnOnce(io::Result<ExitStatus>) -> Told + Send + 'static,
) -> io::Result<Process> {
    let mut command = Command::new(&shim.program);
    command
        .args(&shim.args)
        .args(arguments(&launch.role))
        .env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .envs(launch.env)
        .current_dir(launch.working_dir.unwrap_or_else(|| PathBuf::from("/")))
        .stdin(Stdio::null())
        .stdout(launch.log.try_clone()?)
        .stderr(launch.log)
        .process_group(0)
        .kill_on_drop(true);
    let child = spawner::spawn(command).await?;
    let pid = child
        .id()
        .ok_or_else(|| io::Error::other("the process has no id"))?;
    let (signals, wanted) = mpsc::channel(SIGNALS_MAX);
    tokio::spawn(async move { ended(attend(child, wanted).await).await });
    Ok(Process { pid, signals })
}

/// Waits for the end of `child`, passing signals on. Only this task reaps, so a signal never meets a reused id.
///
/// As with containers, the first process alone is asked to end, and nothing it has started outlives it.
async fn attend(mut child: Child, mut wanted: mpsc::Receiver<Signal>) -> io::Result<ExitStatus> {
    let leader = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let Some(leader) = leader else {
        return child.wait().await;
    };
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended,
            // Nobody holds the handle any more: the pod is gone.
            wanted = wanted.recv() => match wanted.unwrap_or(Signal::KILL) {
                Signal::KILL => {
                    // It is not reaped, so its group exists, unless it has not come to life yet; then it is alone.
                    let _ = kill_process_group(leader, Signal::KILL);
                    break child.wait().await;
                }
                // It may just have ended.
                wanted => drop(kill_process(leader, wanted)),
            },
        }
    };
    // The kernel gives the number to no new process while members of the group are left; without any, this does nothing.
    let _ = kill_process_group(leader, Signal::KILL);
    ended
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role_of(program: Program, container: serde_json::Value) -> Result<Role, String> {
        let pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "shop"}}))
            .expect("pod");
        let container = serde_json::from_value(container).expect("container");
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        role(
            program,
            "az1",
            &pod,
            &container,
            Ipv4Addr::new(127, 9, 0, 2),
            &env,
        )
    }

    #[test]
    fn echo_listens_on_the_container_ports_or_its_own() {
        let ports = |container| match role_of(Program::Echo { default_port: 80 }, container) {
            Ok(Role::Echo(options)) => options
                .listen
                .iter()
                .map(SocketAddr::port)
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(ports(json!({"name": "c"})), [80]);
        assert_eq!(
            ports(
                json!({"name": "c", "ports": [{"containerPort": 1}, {"containerPort": 2}, {"containerPort": 3, "protocol": "UDP"}]})
            ),
            [1, 2]
        );
    }

    #[test]
    fn a_mapped_program_gets_expanded_args_and_no_other_command() {
        let program = || Program::Local("/bin/x".into());
        assert_eq!(
            role_of(program(), json!({"name": "c", "args": ["a=$(A)"]})),
            Ok(Role::Exec {
                program: "/bin/x".into(),
                args: vec!["a=1".into()]
            })
        );
        assert!(
            role_of(program(), json!({"name": "c", "command": ["sh"]}))
                .expect_err("refused")
                .contains("use args")
        );
    }
}
