//! Commands of code generation: read files, run the pure steps, write files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::codegen::{self, Document, Generated, Options, Support};
use crate::drift::{self, Severity};

/// The pinned schema, from the root of the repository.
pub const SCHEMA: &str = "schema/fal-ai-uso.openapi.json";
/// The generated file, from the root of the repository.
pub const GENERATED: &str = "crates/uso-types/src/generated.rs";
/// The command that writes it.
pub const COMMAND: &str = "cargo xtask codegen";

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder that cargo builds in.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Generates the pinned types in memory.
pub fn pinned() -> Result<Generated> {
    let bytes = fs::read(root().join(SCHEMA)).with_context(|| format!("cannot read {SCHEMA}"))?;
    let options = Options {
        support: Support::Sibling,
        schema_feature: true,
        command: COMMAND.to_owned(),
    };
    generate(SCHEMA, &bytes, &options)
}

/// Writes the pinned types, if they changed.
pub fn codegen() -> Result<()> {
    let code = pinned()?.code;
    let path = root().join(GENERATED);
    if fs::read_to_string(&path).is_ok_and(|current| current == code) {
        println!("{GENERATED} is up to date");
    } else {
        fs::write(&path, code).with_context(|| format!("cannot write {GENERATED}"))?;
        println!("{GENERATED} written");
    }
    Ok(())
}

/// Fails with a diff if the pinned types are stale.
pub fn check() -> Result<()> {
    let current = fs::read_to_string(root().join(GENERATED)).unwrap_or_default();
    compare(&current, &pinned()?.code)
}

/// Fails with a diff if the current file is not the fresh one; the error names the command.
pub fn compare(current: &str, fresh: &str) -> Result<()> {
    if current == fresh {
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(current, fresh);
    let mut diff = diff.unified_diff();
    let diff = diff.context_radius(3).header(GENERATED, "generated again");
    bail!("{GENERATED} is not up to date with {SCHEMA}:\n\n{diff}\nRun `{COMMAND}`.")
}

/// Generates the types of any document into a file that needs no other file: alone, or beside the
/// crate `uso`.
pub fn any_document(schema: &Path, out: &Path, support: Support) -> Result<()> {
    let bytes = fs::read(schema).with_context(|| format!("cannot read {}", schema.display()))?;
    let name = schema
        .file_name()
        .unwrap_or(schema.as_os_str())
        .to_string_lossy();
    let options = Options {
        support,
        schema_feature: false,
        command: match support {
            Support::Facade => format!("{COMMAND} --schema {name} --out FILE --for-uso"),
            _ => format!("{COMMAND} --schema {name} --out FILE"),
        },
    };
    let code = generate(&name, &bytes, &options)?.code;
    fs::write(out, code).with_context(|| format!("cannot write {}", out.display()))?;
    println!("{} written", out.display());
    Ok(())
}

/// Reports the changes of a newer document; the exit code states their weight for callers.
pub fn drift(old: &Path, new: &Path, json: bool) -> Result<u8> {
    let read = |path: &Path| -> Result<Document> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.display().to_string();
        Document::parse(&name, &bytes).with_context(|| format!("cannot use {name}"))
    };
    let drift = drift::drift(&read(old)?, &read(new)?)
        .map_err(|(name, fault)| anyhow::Error::new(fault).context(format!("cannot use {name}")))?;
    if json {
        println!("{:#}", drift.to_json());
    } else {
        print!("{drift}");
    }
    Ok(Severity::exit_code(drift.severity()))
}

fn generate(name: &str, bytes: &[u8], options: &Options) -> Result<Generated> {
    Document::parse(name, bytes)
        .and_then(|document| codegen::generate(&document, options))
        .with_context(|| format!("no types can be generated from {name}"))
}
