//! The `uso` binary, built where the tests can start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let code = uso_cli::main();
    // Memory is accounted for as long as the process lives.
    if let Some(copy) = std::env::var_os("USO_TEST_STATUS") {
        let status = std::fs::read("/proc/self/status").unwrap_or_default();
        let _ = std::fs::write(copy, status);
    }
    code
}
