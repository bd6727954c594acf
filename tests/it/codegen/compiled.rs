//! Generated code that runs: all files under test in one crate, asked through one program.
//!
//! The program reads cases from its input and answers what became of each, so that a test can put
//! any value to any type without compiling anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::{env, fs};

use serde_json::{Value, json};
use xtask::codegen::model::Kind;
use xtask::codegen::{Document, Fault, Model, Options, Support, generate, read};

/// A schema document and what the generator made of it.
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The document itself.
    pub(crate) document: Value,
    pub(crate) outcome: Result<Made, Fault>,
}

pub(crate) struct Made {
    pub(crate) model: Model,
    pub(crate) code: String,
    pub(crate) outline: String,
}

/// The fixtures of the project, by name.
pub(crate) static FIXTURES: LazyLock<BTreeMap<String, Entry>> =
    LazyLock::new(|| entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/codegen")));

/// The documents of other endpoints, if they are there.
pub(crate) static CORPUS: LazyLock<BTreeMap<String, Entry>> =
    LazyLock::new(|| entries(&corpus_path()));

/// Where the documents of other endpoints are looked for.
pub(crate) fn corpus_path() -> PathBuf {
    env::var_os("USO_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/schema/corpus"),
        PathBuf::from,
    )
}

/// The pinned schema as it is, as a file that stands alone, and edited by hand.
pub(crate) static PINNED: LazyLock<BTreeMap<String, Entry>> = LazyLock::new(|| {
    let bytes = fs::read(xtask::commands::root().join(xtask::commands::SCHEMA)).unwrap();
    let mut edited: Value = serde_json::from_slice(&bytes).unwrap();
    let input = edited
        .pointer_mut("/components/schemas/UsoInput/properties")
        .unwrap();
    input["num_images"]["maximum"] = json!(6);
    input["output_format"]["enum"]
        .as_array_mut()
        .unwrap()
        .push(json!("webp"));
    input["prompt"]["description"] = json!(r#"Say "cheese" and a \ more."#);
    input["mood"] = json!({ "type": "string", "title": "Prompt" });
    let alone = Options {
        support: Support::Embedded,
        ..options()
    };
    [
        entry("pinned", &bytes, &options()),
        entry("pinned-alone", &bytes, &alone),
        entry("pinned-edited", edited.to_string().as_bytes(), &options()),
    ]
    .into_iter()
    .map(|entry| (entry.name.clone(), entry))
    .collect()
});

fn entries(folder: &Path) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    for file in fs::read_dir(folder).into_iter().flatten() {
        let path = file.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".json") {
            entries.insert(
                name.to_owned(),
                entry(name, &fs::read(&path).unwrap(), &options()),
            );
        }
    }
    entries
}

pub(crate) fn options() -> Options {
    Options {
        support: Support::Sibling,
        schema_feature: false,
        command: "cargo xtask codegen".to_owned(),
    }
}

/// Runs the generator on a document.
pub(crate) fn entry(name: &str, bytes: &[u8], options: &Options) -> Entry {
    let outcome = Document::parse(&format!("{name}.json"), bytes).and_then(|document| {
        let generated = generate(&document, options)?;
        let model = read(&document)?;
        Ok(Made {
            model,
            code: generated.code,
            outline: generated.outline,
        })
    });
    let document = serde_json::from_slice(bytes).unwrap_or_default();
    Entry {
        name: name.to_owned(),
        document,
        outcome,
    }
}

/// A value put to a type.
pub(crate) struct Case {
    pub(crate) document: String,
    pub(crate) type_name: String,
    pub(crate) value: Value,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It was refused, with this message.
    Refused(String),
    /// It was read; this is what it is when written again, and what its check found.
    Read {
        again: Value,
        violations: Vec<String>,
    },
}

impl Answer {
    #[track_caller]
    pub(crate) fn again(self) -> Value {
        match self {
            Self::Read { again, .. } => again,
            Self::Refused(message) => panic!("refused: {message}"),
        }
    }

    #[track_caller]
    pub(crate) fn refusal(self) -> String {
        match self {
            Self::Read { again, .. } => panic!("read as {again}"),
            Self::Refused(message) => message,
        }
    }

    #[track_caller]
    pub(crate) fn violations(self) -> Vec<String> {
        match self {
            Self::Read { violations, .. } => violations,
            Self::Refused(message) => panic!("refused: {message}"),
        }
    }
}

/// Puts one value to a type of a fixture.
pub(crate) fn ask(document: &str, type_name: &str, value: Value) -> Answer {
    let case = Case {
        document: document.to_owned(),
        type_name: type_name.to_owned(),
        value,
    };
    ask_all(&[case]).remove(0)
}

/// Puts values to types.
pub(crate) fn ask_all(cases: &[Case]) -> Vec<Answer> {
    let mut input = String::new();
    for Case {
        document,
        type_name,
        value,
    } in cases
    {
        let case = json!({ "type": format!("{}::{type_name}", module(document)), "value": value });
        writeln!(input, "{case}").unwrap();
    }
    let mut program = Command::new(
        PROGRAM
            .as_ref()
            .unwrap_or_else(|complaint| panic!("{complaint}")),
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .expect("the compiled program starts");
    let mut pipe = program.stdin.take().unwrap();
    let writer = std::thread::spawn(move || pipe.write_all(input.as_bytes()));
    let output = program.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers: Vec<Answer> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let answer: Value = serde_json::from_str(line).unwrap();
            if let Some(message) = answer.get("refused").and_then(Value::as_str) {
                return Answer::Refused(message.to_owned());
            }
            let violations = answer["violations"].as_array().unwrap();
            Answer::Read {
                again: answer["again"].clone(),
                violations: violations
                    .iter()
                    .map(|v| v.as_str().unwrap().to_owned())
                    .collect(),
            }
        })
        .collect();
    assert_eq!(answers.len(), cases.len(), "the program answers every case");
    answers
}

/// The program, compiled once: it fails here if any generated file does not compile cleanly.
static PROGRAM: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = folder.join("src");
    fs::create_dir_all(source.join("support")).unwrap();
    for file in [
        "support.rs",
        "support/check.rs",
        "support/decode.rs",
        "support/lossy.rs",
    ] {
        let text = fs::read_to_string(root.join("crates/uso-types/src").join(file)).unwrap();
        write(&source.join(file), &text);
    }
    let mut modules = String::new();
    let mut arms = String::new();
    for entry in PINNED
        .values()
        .chain(FIXTURES.values())
        .chain(CORPUS.values())
    {
        let Ok(made) = &entry.outcome else { continue };
        let module = module(&entry.name);
        write(&source.join(format!("{module}.rs")), &made.code);
        writeln!(modules, "pub mod {module};").unwrap();
        for (name, definition) in made.model.ordered() {
            let checks = made.code.contains(&format!("impl Check for {name} "))
                && matches!(definition.kind(), Kind::Object);
            let check = if checks {
                format!("checked(value, {module}::{name}::validate)")
            } else {
                format!("unchecked::<{module}::{name}>(value)")
            };
            writeln!(arms, "        \"{module}::{name}\" => {check},").unwrap();
        }
    }
    write(
        &source.join("main.rs"),
        &MAIN
            .replace("// MODULES", &modules)
            .replace("// ARMS", &arms),
    );
    write(&folder.join("Cargo.toml"), MANIFEST);
    if !folder.join("Cargo.lock").exists() {
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    }
    let output = Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet", "--target-dir"])
        .arg(folder.join("target"))
        .current_dir(&folder)
        .env("RUSTFLAGS", "-D warnings")
        .output()
        .expect("cargo starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "generated code does not compile:
{complaint}"
        ));
    }
    Ok(folder.join("target/debug/generated"))
});

/// Writes on change only, so that nothing is compiled twice.
fn write(path: &Path, text: &str) {
    if !fs::read_to_string(path).is_ok_and(|current| current == text) {
        fs::write(path, text).unwrap();
    }
}

fn module(document: &str) -> String {
    let name: String = document
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!("doc_{name}").to_lowercase()
}

const MANIFEST: &str = r#"[package]
name = "generated"
version = "0.0.0"
edition = "2024"

[dependencies]
serde = { version = "1", features = ["derive"] }
serde_json = "1"
serde_path_to_error = "0.1"

[profile.dev]
debug = false
incremental = false

[workspace]
"#;

const MAIN: &str = r#"//! Puts values to generated types.
#![allow(dead_code)]

pub mod support;
// MODULES
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

fn main() {
    for line in std::io::stdin().lines() {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        println!("{}", answer(case["type"].as_str().unwrap(), case["value"].to_string()));
    }
}

fn unchecked<T: DeserializeOwned + Serialize>(text: String) -> Value {
    checked::<T, String>(text, |_| Ok(()))
}

fn checked<T: DeserializeOwned + Serialize, E: ToString>(
    text: String,
    check: impl Fn(&T) -> Result<(), E>,
) -> Value {
    match serde_json::from_str::<T>(&text) {
        Err(error) => json!({ "refused": error.to_string() }),
        Ok(value) => {
            let violations: Vec<String> = match check(&value) {
                Ok(()) => Vec::new(),
                Err(found) => found.to_string().split("; ").map(str::to_owned).collect(),
            };
            json!({ "again": value, "violations": violations })
        }
    }
}

fn answer(name: &str, value: String) -> Value {
    match name {
// ARMS
        _ => json!({ "refused": "no such type" }),
    }
}
"#;

/// Says that there are no documents of other endpoints; fails if a folder of them was named. The
/// project cannot hold them, so their absence alone is no failure.
pub(crate) fn without_corpus() {
    let folder = corpus_path();
    assert!(
        env::var_os("USO_CORPUS").is_none(),
        "no documents in {}",
        folder.display()
    );
    // Written past the harness, which keeps the output of tests that pass.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: no documents of other endpoints in {}",
        folder.display()
    );
}
