//! The first program of a container, for the integration tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate_pocket::pod_process_main(std::env::args_os().skip(1))
}
