//! `tidegate migrate`: what a move from another controller changes.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use http::HeaderName;
use serde::Serialize;
use tidegate_translate::verdict::{Manifests, Report, Verdict, judge};

use crate::migrate::replay::{self, Body, Limits, Methods, Outcome, Rules, Target};
use crate::migrate::{cluster, html, read, table};
use crate::process;

const EXAMPLES: &str = "\
Examples:
  $ tidegate migrate ingress-nginx manifests/ more.yaml
  $ tidegate migrate ingress-nginx - --output json
  $ tidegate migrate ingress-nginx --kubeconfig nginx.kubeconfig --output html
  $ tidegate migrate ingress-nginx manifests/ --from http://10.0.0.1 --to http://10.0.0.2:8080
  $ tidegate migrate ingress-nginx --replay shop.har --from http://10.0.0.1 --to http://10.0.0.2

Objects may be YAML or JSON, lists, and many in a file, as `kubectl get -A -o yaml
ingress,ingressclass,service` prints them. With Services, TLS Secrets (types and names; values are never
shown) and the controller's ConfigMap, these are checked too.

With --from and --to, one request for each host, path and canary of the Ingresses, and those of
--replay, are sent to both controllers and the answers compared: status, headers, body. A line of a
JSON lines file reads {\"host\": \"shop.example.com\", \"path\": \"/\"}, with \"method\", \"headers\" and \"body\"
where needed. Not compared: age, alt-svc, connection, content-length, date, keep-alive, server,
server-timing, transfer-encoding, via, x-request-id, and the values of cookies.

Exit codes:
  0  all is the same
  1  something is different; it is explained
  2  something is refused; reason and replacement are said
  3  the command line is wrong, or something cannot be read or reached

More: docs/migrate.md.";

/// Says what a move from another controller to Tidegate changes.
#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    IngressNginx(IngressNginx),
}

/// Judges the Ingresses of an ingress-nginx controller, object by object and field by field.
///
/// Each is the same here, the same with a difference that is explained, or refused with a reason and a
/// replacement. Nothing is changed anywhere.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct IngressNginx {
    /// Manifests: files, folders, or "-" for standard input.
    #[arg(value_name = "PATH", required_unless_present_any = ["kubeconfig", "replay"])]
    paths: Vec<PathBuf>,
    /// Reads the objects from this cluster too.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current one].
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    context: Option<String>,
    /// The IngressClass of the controller, where it is not among the objects.
    #[arg(long, value_name = "NAME", default_value = "nginx")]
    ingress_class: String,
    /// The controller's ConfigMap [default: the one named ...ingress-nginx-controller].
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = namespaced)]
    controller_config: Option<String>,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// The ingress-nginx controller to send requests to.
    #[arg(long, value_name = "URL", requires = "to", value_parser = target)]
    from: Option<Target>,
    /// The Tidegate gateway to send the same requests to.
    #[arg(long, value_name = "URL", requires = "from", value_parser = target)]
    to: Option<Target>,
    /// Recorded requests to send: a HAR file, or JSON lines.
    #[arg(long, value_name = "FILE", requires = "from")]
    replay: Option<PathBuf>,
    /// Requests a second to each.
    #[arg(long, value_name = "N", default_value = "20")]
    rate: NonZero<u16>,
    /// Seconds after which no further request is sent.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    time_limit: u32,
    /// Seconds to wait for one answer.
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    answer_limit: NonZero<u32>,
    /// Sends POST, PUT, PATCH and DELETE too: both controllers' backends act on them.
    #[arg(long)]
    unsafe_methods: bool,
    /// A further response header that is not compared; may be repeated.
    #[arg(long, value_name = "NAME")]
    ignore_header: Vec<HeaderName>,
    /// Does not compare bodies.
    #[arg(long)]
    ignore_body: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people, in a terminal.
    Table,
    /// For programs; docs/migrate.md describes it.
    Json,
    /// One page that can be printed.
    Html,
}

/// The JSON of the report.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<&'a Outcome>,
}

impl Migrate {
    /// Never fails: its own exit codes say what went wrong.
    pub(crate) fn run(self) -> ExitCode {
        let Self::IngressNginx(command) = self;
        command.run().unwrap_or_else(|error| {
            eprintln!("error: {}", process::one_line(&error));
            ExitCode::from(super::MIGRATE_CANNOT)
        })
    }
}

impl IngressNginx {
    fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = process::small_runtime()?;
        let settings = self.controller_config.as_deref();
        let mut manifests = Manifests::default();
        read::files(&self.paths, settings, &mut manifests)?;
        if let Some(kubeconfig) = &self.kubeconfig {
            let context = self.context.as_deref();
            runtime.block_on(cluster::read(kubeconfig, context, settings, &mut manifests))?;
        }
        if manifests.ingresses.is_empty() && manifests.settings.is_empty() && self.replay.is_none()
        {
            bail!("there is no Ingress and no ConfigMap of the controller among the objects");
        }
        let report = judge(&manifests, &self.ingress_class);
        let outcome = match (&self.from, &self.to) {
            (Some(from), Some(to)) => {
                let requests = self.requests(&manifests, &report)?;
                let (rules, limits) = (self.rules(), self.limits());
                let run = replay::run(requests, from.clone(), to.clone(), &rules, limits);
                Some(runtime.block_on(run))
            }
            _ => None,
        };
        print(self.output, &report, outcome.as_ref())?;
        if let Some(flag) = outcome.as_ref().and_then(Outcome::silent) {
            bail!("{flag} answered none of the requests: check its address");
        }
        Ok(exit_code(&report, outcome.as_ref()))
    }

    /// The samples of the Ingresses that were judged, then what was recorded.
    fn requests(
        &self,
        manifests: &Manifests,
        report: &Report,
    ) -> anyhow::Result<Vec<replay::Request>> {
        let judged: BTreeSet<(&str, &str)> = report
            .objects
            .iter()
            .filter(|object| object.kind == "Ingress")
            .map(|object| (object.namespace.as_str(), object.name.as_str()))
            .collect();
        let ours = manifests.ingresses.iter().filter(|ingress| {
            let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
            let name = ingress.metadata.name.as_deref().unwrap_or_default();
            judged.contains(&(namespace, name))
        });
        let mut requests: Vec<replay::Request> = ours
            .flat_map(|ingress| replay::sample::of(ingress))
            .collect();
        if let Some(path) = &self.replay {
            let context = || format!("--replay {}", path.display());
            let text = std::fs::read_to_string(path).with_context(context)?;
            requests.extend(replay::record::parse(&text).with_context(context)?);
        }
        Ok(requests)
    }

    fn rules(&self) -> Rules {
        Rules {
            ignored: self.ignore_header.clone(),
            body: match self.ignore_body {
                true => Body::Ignored,
                false => Body::Compared,
            },
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            rate: self.rate.into(),
            total: Duration::from_secs(self.time_limit.into()),
            each: Duration::from_secs(self.answer_limit.get().into()),
            methods: match self.unsafe_methods {
                true => Methods::All,
                false => Methods::Safe,
            },
        }
    }
}

fn print(output: Output, report: &Report, outcome: Option<&Outcome>) -> anyhow::Result<()> {
    use std::io::Write;
    let text = match output {
        Output::Table => {
            let replayed = outcome.map(table::outcome).unwrap_or_default();
            format!("{}{replayed}", table::report(report))
        }
        Output::Json => {
            let whole = Whole {
                report,
                replay: outcome,
            };
            let json = serde_json::to_string_pretty(&whole).context("writing the report")?;
            format!("{json}\n")
        }
        Output::Html => html::page(report, outcome),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")
}

fn exit_code(report: &Report, outcome: Option<&Outcome>) -> ExitCode {
    let different = outcome.is_some_and(|outcome| outcome.different() > 0);
    ExitCode::from(match report.verdict {
        Verdict::Refused => 2,
        Verdict::Different => 1,
        Verdict::Same => u8::from(different),
    })
}

fn target(url: &str) -> Result<Target, String> {
    Target::parse(url).map_err(|error| error.to_string())
}

fn namespaced(name: &str) -> Result<String, String> {
    match name.split_once('/') {
        Some((namespace, rest))
            if !namespace.is_empty() && !rest.is_empty() && !rest.contains('/') =>
        {
            Ok(name.to_owned())
        }
        _ => Err("it must read NAMESPACE/NAME".to_owned()),
    }
}
