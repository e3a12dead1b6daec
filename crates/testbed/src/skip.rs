//! Tests that lack something on this machine.

use std::fs::File;
use std::io::Write;

/// Says loudly that a test is skipped because of `what`, and how to mend that.
///
/// # Panics
/// In CI (`CI` is set), where a skipped test must not look like one that passed.
pub(crate) fn missing(what: &str, hint: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}: {hint}");
    // Straight to the terminal: the test harness keeps back what tests print.
    let text = format!("\n*** SKIPPED: {what}, so this test did not run: {hint}\n\n");
    if let Ok(mut terminal) = File::options().write(true).open("/dev/stderr") {
        // Where there is no standard error there is nobody to tell.
        let _ = terminal.write_all(text.as_bytes());
    }
}
