//! Outcome of a check, with its remedy.

use serde_json::{Value, json};

use crate::failure::Failure;

/// Outcome of one check.
#[derive(Clone)]
pub(super) struct Finding {
    name: &'static str,
    pub(super) is_good: bool,
    text: String,
    remedy: Option<String>,
}

impl Finding {
    pub(super) fn good(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            is_good: true,
            text: text.into(),
            remedy: None,
        }
    }

    pub(super) fn bad(
        name: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name,
            is_good: false,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub(super) fn of(name: &'static str, failure: &Failure) -> Self {
        Self {
            name,
            is_good: false,
            text: failure.chain(),
            remedy: failure.next_step(),
        }
    }

    pub(super) fn line(&self) -> String {
        let mark = if self.is_good { "ok" } else { "!!" };
        let remedy = self
            .remedy
            .as_ref()
            .map(|remedy| format!("\n   {:9} remedy: {remedy}", ""));
        format!(
            "{mark} {:9} {}{}",
            self.name,
            self.text,
            remedy.unwrap_or_default()
        )
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "check": self.name, "ok": self.is_good, "message": self.text, "remedy": self.remedy })
    }
}
