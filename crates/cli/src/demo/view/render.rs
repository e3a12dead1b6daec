//! The live view as lines of text: a pure function of what is known.

use std::fmt::Write;
use std::time::Duration;

use crossterm::style::{Color, Stylize};

/// Everything the view shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// `active-active at 200 requests/s`.
    pub(crate) title: String,
    /// Since the first request.
    pub(crate) elapsed: Duration,
    /// One row a cluster.
    pub(crate) clusters: Vec<Row>,
    /// Index of the row that keys act on.
    pub(crate) selected: usize,
    /// Requests so far, and of these failed.
    pub(crate) requests: u64,
    /// Without a good answer.
    pub(crate) failed: u64,
    /// Slow ones.
    pub(crate) over_100ms: u64,
    /// Very slow ones.
    pub(crate) over_1s: u64,
    /// Latencies in milliseconds: p50, p99, worst.
    pub(crate) latency_ms: [f64; 3],
    /// Newest last.
    pub(crate) events: Vec<(Duration, String)>,
    /// Addresses and commands to try, printed below.
    pub(crate) hints: Vec<String>,
}

/// A cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: String,
    /// What was done to it.
    pub(crate) state: State,
    /// What the gateway thinks of it: `3/3 endpoints healthy`.
    pub(crate) health: String,
    /// Requests a second, now.
    pub(crate) rate: f64,
    /// Its part of all answers now, 0 to 1.
    pub(crate) share: f64,
    /// Answers so far.
    pub(crate) total: u64,
    /// Its part of the answers in each of the last seconds, oldest first.
    pub(crate) history: Vec<f64>,
}

/// What was done to a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    #[default]
    Up,
    /// Its processes were killed.
    Killed,
    /// Its processes are stopped.
    Hung,
    /// Its pods answer 503.
    Errors,
    /// On its way back.
    Healing,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Killed => "KILLED",
            Self::Hung => "HUNG",
            Self::Errors => "ERRORS",
            Self::Healing => "healing",
        }
    }

    fn color(self) -> Color {
        match self {
            Self::Up => Color::Green,
            Self::Killed | Self::Hung | Self::Errors => Color::Red,
            Self::Healing => Color::Yellow,
        }
    }
}

/// Keys, in the last line.
const KEYS: &str = "1/2 choose   k kill   h hang   e errors   r heal   q quit";

/// One run of text in one colour.
struct Span {
    text: String,
    color: Option<Color>,
    bold: Weight,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Normal,
    Bold,
}

/// The lines of a terminal `width` wide and `height` high; colours are ANSI sequences.
pub(crate) fn render(model: &Model, width: usize, height: usize) -> Vec<String> {
    let mut lines = vec![head(model), Vec::new()];
    for (index, row) in model.clusters.iter().enumerate() {
        lines.extend(cluster(row, index == model.selected, width));
    }
    lines.extend([Vec::new(), requests(model), latency(model), Vec::new()]);
    // What is left between the figures and the hints belongs to the events.
    let below = model.hints.len() + 3;
    let room = height.saturating_sub(lines.len() + below).max(1);
    let first = model.events.len().saturating_sub(room);
    for (at, text) in &model.events[first..] {
        lines.push(vec![
            dim(format!("{:>8} ", clock(*at))),
            plain(text.clone()),
        ]);
    }
    lines.push(Vec::new());
    lines.extend(model.hints.iter().map(|hint| vec![dim(hint.clone())]));
    lines.push(Vec::new());
    lines.push(vec![bold(KEYS.to_owned(), Color::Cyan)]);
    lines.truncate(height);
    lines.iter().map(|line| paint(line, width)).collect()
}

fn head(model: &Model) -> Vec<Span> {
    vec![
        bold("tidegate demo".to_owned(), Color::Cyan),
        plain(format!("  {}  {}", model.title, clock(model.elapsed))),
    ]
}

fn cluster(row: &Row, selected: bool, width: usize) -> [Vec<Span>; 2] {
    let bar_width = width.saturating_sub(46).clamp(10, 40);
    let mark = if selected { "> " } else { "  " };
    let first = vec![
        bold(format!("{mark}{:<5}", row.name), Color::White),
        bold(format!("{:<8}", row.state.text()), row.state.color()),
        bold(bar(row.share, bar_width), row.state.color()),
        plain(format!(
            " {:>3.0} %  {:>6.0}/s  {:>9} total",
            row.share * 100.0,
            row.rate,
            row.total
        )),
    ];
    let second = vec![
        dim(format!("{:15}", "")),
        colored(sparkline(&row.history, bar_width), row.state.color()),
        dim(format!(" {}", row.health)),
    ];
    [first, second]
}

fn requests(model: &Model) -> Vec<Span> {
    let color = if model.failed == 0 {
        Color::Green
    } else {
        Color::Red
    };
    vec![
        plain(format!("  requests {:>9}   ", model.requests)),
        bold(format!("failed {}", model.failed), color),
        plain(format!(
            "   over 100 ms {}   over 1 s {}",
            model.over_100ms, model.over_1s
        )),
    ]
}

fn latency(model: &Model) -> Vec<Span> {
    let [p50, p99, worst] = model.latency_ms;
    vec![plain(format!(
        "  latency  p50 {p50:.1} ms   p99 {p99:.1} ms   worst {worst:.1} ms"
    ))]
}

/// `width` cells, filled in eighths.
fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let cells = scaled(share, width * 8);
    let mut bar = "█".repeat(cells / 8);
    if !cells.is_multiple_of(8) {
        bar.push(EIGHTHS[cells % 8]);
    }
    let filled = bar.chars().count();
    bar.push_str(&"·".repeat(width.saturating_sub(filled)));
    bar
}

/// The last `width` values, each as one of eight heights.
fn sparkline(values: &[f64], width: usize) -> String {
    const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(width)..];
    let mut line: String = shown
        .iter()
        .map(|value| HEIGHTS[scaled(*value, 8)])
        .collect();
    line.push_str(&" ".repeat(width - shown.len()));
    line
}

/// `share` of `whole`, where anything above zero shows.
fn scaled(share: f64, whole: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "cells of a terminal"
    )]
    let cells = (share.clamp(0.0, 1.0) * whole as f64).round() as usize;
    if share > 0.0 { cells.max(1) } else { 0 }
}

/// Minutes and seconds.
fn clock(at: Duration) -> String {
    let seconds = at.as_secs();
    format!(
        "{}:{:02}.{}",
        seconds / 60,
        seconds % 60,
        at.subsec_millis() / 100
    )
}

/// Cuts the line at `width` cells, before colours are added: they take no room.
fn paint(line: &[Span], width: usize) -> String {
    let mut left = width;
    let mut painted = String::new();
    for span in line {
        let text: String = span.text.chars().take(left).collect();
        left -= text.chars().count();
        let mut style = text.stylize();
        if let Some(color) = span.color {
            style = style.with(color);
        }
        if span.bold == Weight::Bold {
            style = style.bold();
        }
        // Writing to a string cannot fail.
        let _ = write!(painted, "{style}");
    }
    painted
}

fn plain(text: String) -> Span {
    Span {
        text,
        color: None,
        bold: Weight::Normal,
    }
}

fn dim(text: String) -> Span {
    colored(text, Color::DarkGrey)
}

fn colored(text: String, color: Color) -> Span {
    Span {
        text,
        color: Some(color),
        bold: Weight::Normal,
    }
}

fn bold(text: String, color: Color) -> Span {
    Span {
        text,
        color: Some(color),
        bold: Weight::Bold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let row = |name: &str, state, share| Row {
            name: name.to_owned(),
            state,
            health: "3/3 healthy".to_owned(),
            rate: share * 200.0,
            share,
            total: 1_000,
            history: vec![0.0, 0.5, 1.0],
        };
        Model {
            title: "active-active at 200 requests/s".to_owned(),
            elapsed: Duration::from_millis(61_250),
            clusters: vec![row("az1", State::Killed, 0.0), row("az2", State::Up, 1.0)],
            requests: 2_000,
            latency_ms: [0.4, 1.2, 30.0],
            events: (0..50)
                .map(|n| (Duration::from_secs(n), format!("event {n}")))
                .collect(),
            hints: vec!["curl ...".to_owned()],
            ..Model::default()
        }
    }

    /// The text without escape sequences.
    fn text(lines: &[String]) -> Vec<String> {
        let strip = |line: &String| {
            let mut parts = line.split('\u{1b}');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |text, part| {
                text + part.split_once('m').map_or("", |(_, rest)| rest)
            })
        };
        lines.iter().map(strip).collect()
    }

    #[test]
    fn it_fits_every_terminal() {
        for (width, height) in [(200, 60), (80, 24), (40, 12), (10, 3), (1, 1)] {
            let lines = text(&render(&model(), width, height));
            assert!(lines.len() <= height, "{width}x{height}");
            for line in lines {
                assert!(line.chars().count() <= width, "{width}x{height}: {line:?}");
            }
        }
    }

    #[test]
    fn it_says_who_serves_and_what_happened_last() {
        let lines = text(&render(&model(), 100, 30)).join("\n");
        for expected in [
            "1:01.2",
            "> az1",
            "KILLED",
            "100 %",
            "200/s",
            "failed 0",
            "worst 30.0 ms",
            "event 49",
            KEYS,
        ] {
            assert!(
                lines.contains(expected),
                "{expected:?} is missing in\n{lines}"
            );
        }
        assert!(!lines.contains("event 3\n"), "old events give way");
    }

    #[test]
    fn bars_show_even_little() {
        assert_eq!(bar(0.0, 4), "····");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.5, 4), "██··");
        assert_eq!(bar(0.001, 4), "▏···");
        assert_eq!(sparkline(&[0.0, 1.0], 4), " █  ");
    }
}
