//! The origin and the proxies, each as a good operator would set it up.

mod envoy;
mod haproxy;
mod nginx;
mod tidegate;

pub(super) use nginx::origin;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::super::scratch::{Running, Scratch, free_address};
use super::{HOST, on_path};

/// A running proxy.
pub(super) struct Proxy {
    pub(super) name: String,
    pub(super) plain: SocketAddr,
    pub(super) tls: SocketAddr,
    pub(super) running: Running,
}

/// What every proxy is started with.
struct Start<'a> {
    scratch: &'a Scratch,
    origin: SocketAddr,
    plain: SocketAddr,
    tls: SocketAddr,
    pair: &'a Pair,
}

/// A certificate on the curve P-256 and its key, as PEM files.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

/// Tidegate and every peer that this machine has.
pub(super) fn all(
    scratch: &Scratch,
    binary: &Path,
    origin: SocketAddr,
) -> anyhow::Result<Vec<Proxy>> {
    let pair = certificate(scratch)?;
    let run = |name: String, start: &dyn Fn(&Start<'_>) -> anyhow::Result<Running>| {
        let (plain, tls) = (free_address()?, free_address()?);
        let running = start(&Start {
            scratch,
            origin,
            plain,
            tls,
            pair: &pair,
        })?;
        Ok::<_, anyhow::Error>(Proxy {
            name,
            plain,
            tls,
            running,
        })
    };
    let mut proxies = vec![
        run("Tidegate".to_owned(), &|with| tidegate::start(binary, with))?,
        run(version("nginx", "-v"), &nginx::start)?,
    ];
    if on_path("haproxy") {
        proxies.push(run(version("haproxy", "-v"), &haproxy::start)?);
    }
    if on_path("envoy") {
        proxies.push(run(version("envoy", "--version"), &envoy::start)?);
    }
    Ok(proxies)
}

fn certificate(scratch: &Scratch) -> anyhow::Result<Pair> {
    let pair = Pair {
        certificate: scratch.path("certificate.pem"),
        key: scratch.path("key.pem"),
    };
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]);
    openssl.args(["-pkeyopt", "ec_paramgen_curve:P-256"]);
    openssl.args(["-subj", &format!("/CN={HOST}")]);
    openssl.arg("-out").arg(&pair.certificate);
    openssl.arg("-keyout").arg(&pair.key);
    let said = openssl.output().context("starting openssl")?;
    ensure!(
        said.status.success(),
        "openssl makes no certificate: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(pair)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Name and version as the program says them, such as `nginx 1.22.1`.
pub(in super::super) fn version(program: &str, flag: &str) -> String {
    let said = Command::new(program).arg(flag).output();
    let said = said
        .map(|said| [said.stdout, said.stderr].concat())
        .unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    // Envoy names its own path first, which may hold a version of something else.
    let said = said
        .split_once("version:")
        .map_or(&*said, |(_, after)| after);
    let number = said
        .split(|c: char| c.is_whitespace() || c == '/')
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()));
    let name = match program {
        "haproxy" => "HAProxy",
        "envoy" => "Envoy",
        other => other,
    };
    // Debian's revision after the dash says nothing here.
    let number = number.and_then(|number| number.split('-').next());
    format!("{name} {}", number.unwrap_or("of unknown version"))
}
