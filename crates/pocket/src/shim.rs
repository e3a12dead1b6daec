//! The first program of every container process: ties its life to the kubelet's, then becomes the container.
//!
//! ```text
//!  PROGRAM pod-process --parent PID echo --cluster C --namespace N --pod P --node N --listen IP:PORT ...
//!  PROGRAM pod-process --parent PID exec PROGRAM [ARG ...]
//! ```

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::echo::{self, EchoOptions, Identity};

/// Exit code when the shim itself fails: the convention of `env` and `nohup` for "could not be run".
const CANNOT_RUN: u8 = 126;

/// What a container process becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    Echo(EchoOptions),
    Exec {
        program: OsString,
        args: Vec<OsString>,
    },
}

/// Entry point of container processes. A binary calls it for the hidden subcommand that
/// [`ProcessShim`](crate::ProcessShim) names, with the arguments after it, before it starts any thread.
///
/// It asks the kernel to kill this process when the pocket cluster's process dies, and then runs the built-in echo
/// server or is replaced by the container's program. It returns only when that ends or cannot start.
#[must_use]
pub fn pod_process_main<I>(args: I) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let (parent, role) = match parse(args.into_iter()) {
        Ok(parsed) => parsed,
        Err(problem) => return cannot_run(&problem),
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return cannot_run(&format!(
            "cannot be tied to the life of the pocket cluster: {error}"
        ));
    }
    // The parent may have died before the line above; then nobody would send the signal.
    if getppid() != Some(parent) {
        return cannot_run("the pocket cluster is gone");
    }
    match role {
        Role::Echo(mut options) => {
            if std::env::var_os("ECHO_LOG").is_some_and(|value| value == "1") {
                options.access_log = echo::AccessLog::On;
            }
            echo::run(options)
        }
        Role::Exec { program, args } => {
            let error = Command::new(&program).args(args).exec();
            cannot_run(&format!("{} cannot be started: {error}", program.display()))
        }
    }
}

fn cannot_run(problem: &str) -> ExitCode {
    eprintln!("pod process: {problem}");
    ExitCode::from(CANNOT_RUN)
}

/// The arguments that make a shim started by this process take `role`.
pub(crate) fn arguments(role: &Role) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--parent".into(), std::process::id().to_string().into()];
    match role {
        Role::Echo(EchoOptions {
            identity,
            listen,
            access_log: _,
        }) => {
            args.push("echo".into());
            let Identity {
                cluster,
                namespace,
                pod,
                node,
            } = identity;
            for (flag, value) in [
                ("--cluster", cluster),
                ("--namespace", namespace),
                ("--pod", pod),
                ("--node", node),
            ] {
                args.extend([flag.into(), value.into()]);
            }
            for address in listen {
                args.extend(["--listen".into(), address.to_string().into()]);
            }
        }
        Role::Exec {
            program,
            args: rest,
        } => {
            args.extend(["exec".into(), program.clone()]);
            args.extend(rest.iter().cloned());
        }
    }
    args
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Result<(Pid, Role), String> {
    if args.next().as_deref() != Some(OsStr::new("--parent")) {
        return Err("this command is for the pocket cluster's own use".to_owned());
    }
    let parent = args
        .next()
        .and_then(|pid| pid.to_str()?.parse().ok())
        .and_then(Pid::from_raw)
        .ok_or("--parent needs a process id")?;
    match args.next().as_deref().and_then(OsStr::to_str) {
        Some("exec") => {
            let program = args.next().ok_or("exec needs a program")?;
            Ok((
                parent,
                Role::Exec {
                    program,
                    args: args.collect(),
                },
            ))
        }
        Some("echo") => Ok((parent, Role::Echo(parse_echo(args)?))),
        _ => Err("expected echo or exec".to_owned()),
    }
}

fn parse_echo(mut args: impl Iterator<Item = OsString>) -> Result<EchoOptions, String> {
    let mut options = EchoOptions::default();
    while let Some(flag) = args.next() {
        let flag = flag.to_string_lossy().into_owned();
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        let value = value
            .into_string()
            .map_err(|_| format!("{flag} is not UTF-8"))?;
        let identity = &mut options.identity;
        match flag.as_str() {
            "--cluster" => identity.cluster = value,
            "--namespace" => identity.namespace = value,
            "--pod" => identity.pod = value,
            "--node" => identity.node = value,
            "--listen" => {
                let address: SocketAddr = value
                    .parse()
                    .map_err(|_| format!("--listen {value} is not IP:PORT"))?;
                options.listen.push(address);
            }
            _ => return Err(format!("unknown flag {flag}")),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back_as_the_same_role() {
        let echo = Role::Echo(EchoOptions {
            identity: Identity {
                cluster: "az1".into(),
                namespace: "shop".into(),
                pod: "p".into(),
                node: "az1".into(),
            },
            listen: vec![
                SocketAddr::from(([127, 9, 0, 2], 80)),
                SocketAddr::from(([127, 9, 0, 2], 81)),
            ],
            ..EchoOptions::default()
        });
        let exec = Role::Exec {
            program: "/bin/x".into(),
            args: vec!["--parent".into(), "echo".into()],
        };
        for role in [echo, exec] {
            let (parent, parsed) = parse(arguments(&role).into_iter()).expect("parses");
            assert_eq!(
                (parent.as_raw_pid(), parsed),
                (i32::try_from(std::process::id()).expect("pid"), role)
            );
        }
    }

    #[test]
    fn malformed_arguments_are_refused() {
        for bad in [
            &[][..],
            &["--parent"],
            &["--parent", "x", "exec", "y"],
            &["--parent", "1", "exec"],
            &["--parent", "1", "echo", "--listen", "x"],
        ] {
            assert!(parse(bad.iter().map(OsString::from)).is_err(), "{bad:?}");
        }
    }
}
