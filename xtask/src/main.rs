//! Command line of the project's tasks: `cargo xtask`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use xtask::codegen::Support;
use xtask::{ci, code_map, commands, engines, package, release};

const USAGE: &str = "\
Tasks of the project.

Usage: cargo xtask <TASK>

  codegen                            write the types of the pinned schema
  codegen --check                    fail with a diff if they are not up to date
  codegen --schema FILE --out FILE   write the types of any fal document, as a file that needs no other
                   ... --for-uso     the same, as a file that uses the support in the crate `uso`
  drift [OLD] NEW [--json]           report the changes of a newer document; OLD is the pinned one
                                     exit code: 0 nothing, 3 documentation, 4 adds, 5 breaks callers
  map                                write the list of modules in crates/README.md
  package                            compile the tarball of every published crate outside of the workspace
  release VERSION                    write versions and changes of a release, and check its tarballs
  release VERSION --dry-run          the same in a copy, and show what would change
  engines                            run the examples of workflow engines and the kills of their programs (PostgreSQL)
  ci                                 check everything: format, generated code, clippy, tests, docs, engines, features, tarballs
  ci --no-skips                      the same, where a test that misses a tool fails
  advisories                         check the dependencies against security advisories (cargo-deny, network)
  bench [NAME] [ARGUMENT...]         run a benchmark: batch, command, fleet, jobs, journal, pictures, proxy, uploads
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["codegen"] => commands::codegen(),
        ["codegen", "--check"] => commands::check(),
        ["codegen", "--schema", schema, "--out", out]
        | ["codegen", "--out", out, "--schema", schema] => {
            commands::any_document(Path::new(schema), Path::new(out), Support::Embedded)
        }
        ["codegen", "--schema", schema, "--out", out, "--for-uso"]
        | ["codegen", "--schema", schema, "--for-uso", "--out", out] => {
            commands::any_document(Path::new(schema), Path::new(out), Support::Facade)
        }
        ["drift", rest @ ..] => match drift_arguments(rest) {
            Some((old, new, json)) => {
                return finish(commands::drift(&old, &new, json).map(ExitCode::from));
            }
            None => return usage(),
        },
        ["map"] => code_map::write(&commands::root()),
        ["package"] => package::run(&commands::root(), &commands::target()),
        ["release", version] => release::run(version, false),
        ["release", version, "--dry-run"] | ["release", "--dry-run", version] => {
            release::run(version, true)
        }
        ["engines"] => engines::run(&commands::root(), &commands::target(), false),
        ["ci"] => ci::run(false),
        ["ci", "--no-skips"] => ci::run(true),
        ["advisories"] => ci::advisories(),
        ["bench", arguments @ ..] => ci::bench(arguments),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => return usage(),
    };
    finish(outcome.map(|()| ExitCode::SUCCESS))
}

/// The older document (the pinned one by default), the newer one, and `--json`.
fn drift_arguments(arguments: &[&str]) -> Option<(PathBuf, PathBuf, bool)> {
    let json = arguments.contains(&"--json");
    let files: Vec<&str> = arguments
        .iter()
        .copied()
        .filter(|word| *word != "--json")
        .collect();
    match files.as_slice() {
        [new] => Some((
            commands::root().join(commands::SCHEMA),
            PathBuf::from(new),
            json,
        )),
        [old, new] => Some((PathBuf::from(old), PathBuf::from(new), json)),
        _ => None,
    }
    .filter(|_| files.iter().all(|word| !word.starts_with('-')))
}

fn usage() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}

fn finish(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
