//! The generator: one small schema for each trap, what comes out of it, and how that behaves.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

pub(crate) mod compiled;
mod drift;
mod lossy;
mod pinned;
mod properties;
mod traps;

use std::path::Path;

/// Compares with a snapshot whose name says what it guards.
#[track_caller]
pub(crate) fn snapshot(name: &str, guards: &str, content: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(guards);
    settings.bind(|| insta::assert_snapshot!(name, content));
}
