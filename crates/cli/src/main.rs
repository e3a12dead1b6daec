//! The `tidegate` binary: one word per process and per thing a person does.
//!
//! ```text
//! commands/   one file a command: its flags, its help, what it wires together
//! demo/       the demo: processes, sample application, faults, live view
//! load/       open-loop load with latency from the due time
//! migrate/    objects of another controller: read, judged, its answers compared
//! process/    what every long-running command shares: ready line, signals, admin address
//! ```
//!
//! It only wires: what the processes do stands in the crates they are made of.

mod commands;
mod demo;
mod load;
mod migrate;
mod process;
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match commands::Cli::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", process::one_line(&error));
            ExitCode::FAILURE
        }
    }
}
