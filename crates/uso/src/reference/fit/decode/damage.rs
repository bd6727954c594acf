//! Damage as a decoder reports it.

use std::fmt::Display;

/// Continues the phrase "the picture is …".
pub(super) fn damaged(error: &dyn Display) -> String {
    format!("damaged: {error}")
}
