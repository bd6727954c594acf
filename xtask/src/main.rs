//! The project's own tasks: `cargo xtask`.

use std::path::Path;
use std::process::ExitCode;

use xtask::{ci, commands};

const USAGE: &str = "\
The project's own tasks.

Usage: cargo xtask <TASK>

  codegen                            write the types of the pinned schema
  codegen --check                    fail with a diff if they are not up to date
  codegen --schema FILE --out FILE   write the types of any fal document, as a file that stands alone
  ci                                 check everything: format, clippy, tests, docs, generated code
  ci --no-skips                      the same, where a test that misses a tool fails
  bench [ARGUMENT...]                measure what the README says of speed
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["codegen"] => commands::codegen(),
        ["codegen", "--check"] => commands::check(),
        ["codegen", "--schema", schema, "--out", out]
        | ["codegen", "--out", out, "--schema", schema] => {
            commands::any_document(Path::new(schema), Path::new(out))
        }
        ["ci"] => ci::run(false),
        ["ci", "--no-skips"] => ci::run(true),
        ["bench", arguments @ ..] => ci::bench(arguments),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
