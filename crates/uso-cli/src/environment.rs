//! Environment variables as text.

use std::ffi::OsStr;

/// The value of a variable. One that is not UTF-8 keeps a mark where it is not, so that it is
/// refused and not taken for a variable that is not set.
pub(crate) fn variable(name: impl AsRef<OsStr>) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(value.to_string_lossy().into_owned())
}
