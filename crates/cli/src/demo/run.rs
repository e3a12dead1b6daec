//! One run of the demo, from the first process to the report.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http::HeaderValue;
use http::uri::PathAndQuery;
use tidegate_runtime::signals;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::control::{self, Answer, Request};
use super::fleet::Fleet;
use super::health::Watch;
use super::place::DemoDir;
use super::report::{self, DemoReport, Outcome};
use super::view::{Key, Model, View};
use super::{CLUSTERS, Options, sample, view_model};
use crate::load::{FaultWindow, Load, Target};
use crate::process::http_get::get;

/// Everything runs and answers by then, or the demo gives up.
const SERVING_WITHIN: Duration = Duration::from_secs(30);

/// The view is redrawn, and health looked at, five times a second.
const TICK: Duration = Duration::from_millis(200);

/// Without a view, a line of figures comes every five seconds.
const PROGRESS_EVERY: u32 = 25;

/// A phase that began in time may end so long after the traffic.
const LAST_PHASE_WITHIN: Duration = Duration::from_secs(30);

/// A change of a cluster that came to its end.
struct Done {
    request: Request,
    /// When it took effect, from the first request on.
    at: Duration,
    result: Result<String, String>,
    planned: Planned,
}

/// Whether a change was on the command line: the run is only good if it happened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planned {
    Yes,
    No,
}

pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let stop = signals::shutdown().context("listening for signals")?;
    let begun = Instant::now();
    let dir = DemoDir::take(&options.data_dir)?;
    let asked = control::serve(dir.path())?;
    note(
        Duration::ZERO,
        "starting a hub and the clusters az1 and az2",
    );
    let fleet = tokio::select! {
        fleet = Fleet::start(dir, &options) => fleet?,
        () = stop.cancelled() => bail!("interrupted while starting"),
    };
    let gateway = gateway_address(&fleet)?;
    let health = Watch::start(&fleet.gateway_dir());
    let served = tokio::select! {
        served = until_served(gateway, begun) => served?,
        () = stop.cancelled() => bail!("interrupted while starting"),
    };
    note(
        Duration::ZERO,
        &format!(
            "the first request was answered after {:.2} s",
            served.as_secs_f64()
        ),
    );
    tokio::select! {
        ready = health.until_all_serve() => ready?,
        () = stop.cancelled() => bail!("interrupted while starting"),
    }
    let load = Load::start(target(&options, gateway)?, options.rate, options.duration)
        .context("starting the traffic")?;
    let view = match options.report {
        None if std::io::stdout().is_terminal() => {
            Some(View::open().context("taking over the terminal")?)
        }
        _ => None,
    };
    let hints = view_model::hints(&fleet, gateway, &options);
    if view.is_none() {
        hints.iter().for_each(|hint| eprintln!("{hint}"));
    }
    let started = load.tally().started();
    let run = Run {
        started,
        model: Model {
            title: view_model::title(&options),
            hints,
            ..Model::default()
        },
        options,
        fleet: Arc::new(Mutex::new(fleet)),
        health,
        load,
        view,
        changes: JoinSet::new(),
        window: Window::default(),
        problems: BTreeSet::new(),
        happened: 0,
        ticks: 0,
    };
    run.until_ended(stop, asked, served).await
}

/// What happened to the cluster of the planned fault.
#[derive(Default)]
struct Window {
    fault: Option<(String, Duration)>,
    heal: Option<Duration>,
}

struct Run {
    options: Options,
    started: Instant,
    fleet: Arc<Mutex<Fleet>>,
    health: Watch,
    load: Load,
    view: Option<View>,
    model: Model,
    changes: JoinSet<Done>,
    window: Window,
    /// Why the run was not what was asked for.
    problems: BTreeSet<String>,
    /// Planned changes that succeeded.
    happened: usize,
    ticks: u32,
}

impl Run {
    async fn until_ended(
        mut self,
        stop: CancellationToken,
        mut asked: tokio::sync::mpsc::Receiver<control::Asked>,
        served: Duration,
    ) -> anyhow::Result<ExitCode> {
        let outcome = self.drive(&stop, &mut asked).await?;
        let lasted = self.started.elapsed();
        self.finish_changes().await;
        // The terminal is given back before anything is printed.
        self.view = None;
        let tally = self.load.finish();
        let window = self.window.into_fault_window();
        let fleet = self.fleet.lock().await;
        let report = DemoReport::new(
            &self.options,
            &tally,
            lasted,
            window.as_ref(),
            served,
            &fleet,
        );
        let planned =
            usize::from(self.options.fault.is_some()) + usize::from(self.options.heal.is_some());
        if self.happened < planned && outcome == Outcome::RanToEnd {
            self.problems
                .insert("a planned fault or healing did not happen".to_owned());
        }
        if outcome == Outcome::Interrupted && self.options.duration.is_some() {
            self.problems
                .insert("interrupted before --duration was over".to_owned());
        }
        self.problems.extend(report.load_not_kept_up());
        drop(fleet);
        // Ends every process, before the figures come out: whoever reads them may go on at once.
        drop(self.fleet);
        report::write(&report, self.options.report.as_deref())?;
        match self.problems.is_empty() {
            true => Ok(ExitCode::SUCCESS),
            false => bail!(
                "not as asked: {}",
                self.problems.into_iter().collect::<Vec<_>>().join("; ")
            ),
        }
    }

    async fn drive(
        &mut self,
        stop: &CancellationToken,
        asked: &mut tokio::sync::mpsc::Receiver<control::Asked>,
    ) -> anyhow::Result<Outcome> {
        let fault = self.options.fault.clone();
        let (mut fault_due, mut heal_due) = (fault.is_some(), self.options.heal.is_some());
        let fault_at = fault.as_ref().map(|fault| fault.at);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(Outcome::Interrupted),
                () = at(self.started, self.options.duration) => return Ok(Outcome::RanToEnd),
                () = at(self.started, fault_at), if fault_due => {
                    fault_due = false;
                    if let Some(fault) = &fault {
                        let request = Request::Fail { cluster: fault.cluster.clone(), fault: fault.fault };
                        self.change(request, Planned::Yes, None);
                    }
                }
                () = at(self.started, self.options.heal), if heal_due => {
                    heal_due = false;
                    if let Some(fault) = &fault {
                        self.change(Request::Heal { cluster: fault.cluster.clone() }, Planned::Yes, None);
                    }
                }
                Some((request, reply)) = asked.recv() => self.change(request, Planned::No, Some(reply)),
                Some(done) = self.changes.join_next() => self.changed(done),
                key = key(&mut self.view) => {
                    if self.pressed(key) == Outcome::Interrupted {
                        return Ok(Outcome::Interrupted);
                    }
                }
                _ = tick.tick() => self.tick()?,
            }
        }
    }

    /// Breaks or heals a cluster beside everything else.
    fn change(
        &mut self,
        request: Request,
        planned: Planned,
        reply: Option<oneshot::Sender<Answer>>,
    ) {
        let (fleet, started) = (Arc::clone(&self.fleet), self.started);
        self.changes.spawn(async move {
            let mut fleet = fleet.lock().await;
            // A fault counts from when it was complete, healing from when it began.
            let (at, result) = match &request {
                Request::Fail { cluster, fault } => {
                    let result = fleet.fail(cluster, *fault).await;
                    (started.elapsed(), result)
                }
                Request::Heal { cluster } => {
                    let at = started.elapsed();
                    (at, fleet.heal(cluster).await)
                }
            };
            let result = result.map_err(|error| crate::process::one_line(&error));
            if let Some(reply) = reply {
                // Whoever asked may be gone.
                let _ = reply.send(match &result {
                    Ok(text) => Answer::Done(text.clone()),
                    Err(text) => Answer::Refused(text.clone()),
                });
            }
            Done {
                request,
                at,
                result,
                planned,
            }
        });
    }

    fn changed(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let Ok(done) = done else {
            self.problems
                .insert("changing a cluster panicked".to_owned());
            return;
        };
        match (&done.result, done.planned) {
            (Ok(_), Planned::Yes) => {
                self.happened += 1;
                match done.request {
                    Request::Fail { cluster, .. } => self.window.fault = Some((cluster, done.at)),
                    Request::Heal { .. } => self.window.heal = Some(done.at),
                }
            }
            (Err(error), Planned::Yes) => {
                self.problems.insert(error.clone());
            }
            (_, Planned::No) => {}
        }
        let (Ok(text) | Err(text)) = done.result;
        self.event(text);
    }

    /// Changes that began get their end.
    async fn finish_changes(&mut self) {
        let deadline = tokio::time::Instant::now() + LAST_PHASE_WITHIN;
        while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.changes.join_next()).await
        {
            self.changed(done);
        }
        self.changes.abort_all();
        while self.changes.join_next().await.is_some() {}
    }

    fn pressed(&mut self, key: Key) -> Outcome {
        let cluster = CLUSTERS[self.model.selected].to_owned();
        match key {
            Key::Choose(index) => self.model.selected = index,
            Key::Fail(fault) => self.change(Request::Fail { cluster, fault }, Planned::No, None),
            Key::Heal => self.change(Request::Heal { cluster }, Planned::No, None),
            Key::Quit => return Outcome::Interrupted,
            Key::Redraw => {}
        }
        self.draw();
        Outcome::RanToEnd
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        for text in self.health.changes() {
            self.event(text);
        }
        // While a change is under way the fleet is busy, and what ends then was meant to.
        let died = self.fleet.try_lock().ok().and_then(|mut fleet| {
            view_model::states(&mut self.model, &fleet);
            fleet.died()
        });
        if let Some(text) = died
            && self.problems.insert(text.clone())
        {
            self.event(text);
        }
        view_model::figures(&mut self.model, &self.load.tally(), &self.health);
        self.ticks += 1;
        match self.view {
            Some(_) => self.draw(),
            None if self.ticks.is_multiple_of(PROGRESS_EVERY) => {
                note(self.started.elapsed(), &view_model::progress(&self.model));
            }
            None => {}
        }
        Ok(())
    }

    fn draw(&self) {
        if let Some(view) = &self.view {
            // A terminal that is gone shows nothing; the demo ends with its SIGHUP or goes on.
            let _ = view.draw(&self.model);
        }
    }

    fn event(&mut self, text: String) {
        let at = self.started.elapsed();
        if self.view.is_none() {
            note(at, &text);
        }
        self.model.events.push((at, text));
    }
}

impl Window {
    fn into_fault_window(self) -> Option<FaultWindow> {
        let (cluster, fault) = self.fault?;
        Some(FaultWindow {
            cluster,
            fault,
            heal: self.heal?,
        })
    }
}

/// Where the gateway serves.
fn gateway_address(fleet: &Fleet) -> anyhow::Result<std::net::SocketAddr> {
    let value = fleet
        .hub
        .values
        .get("http")
        .context("the hub named no http address")?;
    let address = value.strip_prefix("http://").unwrap_or(value);
    address
        .parse()
        .with_context(|| format!("the hub named {value} as http address"))
}

/// Asks for the shop until it answers; how long that took since `begun`.
async fn until_served(gateway: std::net::SocketAddr, begun: Instant) -> anyhow::Result<Duration> {
    let deadline = Instant::now() + SERVING_WITHIN;
    loop {
        let answer = get(gateway, sample::HOST, "/").await;
        if answer.as_ref().is_ok_and(|(status, _)| status.is_success()) {
            return Ok(begun.elapsed());
        }
        if Instant::now() > deadline {
            match answer {
                Ok((status, _)) => bail!("the gateway still answers {status} for {}", sample::HOST),
                Err(error) => return Err(error.context("the gateway does not answer")),
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn target(options: &Options, gateway: std::net::SocketAddr) -> anyhow::Result<Target> {
    Ok(Target {
        address: gateway,
        host: HeaderValue::from_static(sample::HOST),
        path: PathAndQuery::from_static("/"),
        method: options.method.clone(),
        headers: Vec::new(),
    })
}

async fn at(started: Instant, after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep_until((started + after).into()).await,
        None => std::future::pending().await,
    }
}

async fn key(view: &mut Option<View>) -> Key {
    match view {
        Some(view) => view.key().await,
        None => std::future::pending().await,
    }
}

fn note(at: Duration, text: &str) {
    eprintln!("[{:>7.1}s] {text}", at.as_secs_f64());
}
