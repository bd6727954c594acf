//! Knowledge about the bill for an attempt.

use serde::Serialize;

/// Knowledge about the bill for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Billed {
    /// Proved free: the service named zero billable units, or said that the job never started.
    Free,
    /// The service named billable units above zero.
    Something,
    /// The service named no billable units, or a text that is no decimal number.
    Unknown,
}

impl Billed {
    /// Reads `X-Fal-Billable-Units`: only a plain decimal number counts, such as `0`, `0.0` or
    /// `1.05`. Anything else proves nothing.
    pub(crate) fn read(units: Option<&str>) -> Self {
        let Some(units) = units.map(str::trim) else {
            return Self::Unknown;
        };
        let (whole, fraction) = units.split_once('.').unwrap_or((units, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            Self::Unknown
        } else if units.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            Self::Free
        } else {
            Self::Something
        }
    }
}
