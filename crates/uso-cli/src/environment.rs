//! Environment variables.

use std::ffi::{OsStr, OsString};

/// The value of a variable. One that is not UTF-8 keeps a mark where it is not, so that it is
/// refused and not taken for a variable that is not set.
pub(crate) fn variable(name: impl AsRef<OsStr>) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(value.to_string_lossy().into_owned())
}

/// The value of a variable; an empty one counts as not set.
pub(crate) fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
