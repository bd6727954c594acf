//! The `uso` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    uso_cli::main()
}
