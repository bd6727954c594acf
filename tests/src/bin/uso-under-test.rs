//! The `uso` binary, built where the tests can start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    uso_cli::main()
}
