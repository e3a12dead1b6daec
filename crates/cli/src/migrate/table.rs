//! The report as text for a terminal.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table, presets};
use tidegate_translate::verdict::{Report, Verdict};

use super::replay::Outcome;

/// Columns of a report that goes to a file or a pipe.
const WIDTH: u16 = 110;

/// One block an object: its verdict, then the findings that are not the same.
pub(crate) fn report(report: &Report) -> String {
    let mut text = String::new();
    for object in &report.objects {
        let name = match object.namespace.as_str() {
            "" => object.name.clone(),
            namespace => format!("{namespace}/{}", object.name),
        };
        let _ = writeln!(
            text,
            "{} {}: {}",
            object.kind,
            visible(&name),
            word(object.verdict)
        );
        let told = object
            .findings
            .iter()
            .filter(|finding| !finding.why.is_empty());
        let mut table = grid();
        let mut rows = 0;
        for finding in told {
            let value = match &finding.value {
                Some(value) => format!(": {}", visible(value)),
                None => String::new(),
            };
            table.add_row([
                word(finding.verdict),
                &format!(
                    "{}{value}\n{}",
                    visible(&finding.field),
                    visible(&finding.why)
                ),
            ]);
            rows += 1;
        }
        if rows > 0 {
            let _ = writeln!(text, "{}", table.trim_fmt());
        }
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {}", visible(note));
    }
    let counts = report.counts;
    let _ = writeln!(
        text,
        "objects: {} the same, {} different, {} refused",
        counts.same, counts.different, counts.refused
    );
    text
}

/// The differences of a replay, and how many requests had none.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let mut text = String::new();
    for exchange in outcome
        .exchanges
        .iter()
        .filter(|exchange| !exchange.differences.is_empty())
    {
        let _ = writeln!(text, "{}", visible(&exchange.request));
        let mut table = grid();
        table.set_header(["", "from", "to"]);
        for difference in &exchange.differences {
            table.add_row([
                visible(&difference.what),
                visible(&difference.from),
                visible(&difference.to),
            ]);
        }
        let _ = writeln!(text, "{}", table.trim_fmt());
    }
    let _ = writeln!(text, "{}", outcome.summary());
    text
}

pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "same",
        Verdict::Different => "different",
        Verdict::Refused => "refused",
    }
}

fn grid() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !table.is_tty() {
        table.set_width(WIDTH);
    }
    table
}

/// A text that cannot move the cursor: it comes from objects and from answers.
fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => '\n',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.trim_end().chars().map(shown).collect()
}
