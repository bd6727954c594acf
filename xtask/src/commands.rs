//! The edge: reads files, runs the pure steps, writes files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::codegen::{self, Document, Generated, Options, Support};

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

/// Fails with a diff if the pinned types are not what their schema gives.
pub fn check() -> Result<()> {
    let fresh = pinned()?.code;
    let current = fs::read_to_string(root().join(GENERATED)).unwrap_or_default();
    match difference(&current, &fresh) {
        None => Ok(()),
        Some(diff) => bail!("{GENERATED} is not what {SCHEMA} gives:\n\n{diff}\nRun `{COMMAND}`."),
    }
}

/// The unified diff from what is there to what should be there.
pub fn difference(current: &str, fresh: &str) -> Option<String> {
    (current != fresh).then(|| {
        similar::TextDiff::from_lines(current, fresh)
            .unified_diff()
            .context_radius(3)
            .header(GENERATED, "generated anew")
            .to_string()
    })
}

/// Generates the types of any document into a file that stands alone.
pub fn any_document(schema: &Path, out: &Path) -> Result<()> {
    let bytes = fs::read(schema).with_context(|| format!("cannot read {}", schema.display()))?;
    let name = schema
        .file_name()
        .unwrap_or(schema.as_os_str())
        .to_string_lossy();
    let options = Options {
        support: Support::Embedded,
        schema_feature: false,
        command: format!("{COMMAND} --schema {name} --out FILE"),
    };
    let code = generate(&name, &bytes, &options)?.code;
    fs::write(out, code).with_context(|| format!("cannot write {}", out.display()))?;
    println!("{} written", out.display());
    Ok(())
}

fn generate(name: &str, bytes: &[u8], options: &Options) -> Result<Generated> {
    Document::parse(name, bytes)
        .and_then(|document| codegen::generate(&document, options))
        .with_context(|| format!("no types can be made from {name}"))
}
