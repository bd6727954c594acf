//! Optional text of a knob.

/// Optional text of a knob: a string, or an `Option` of one.
///
/// The standard library has no conversion from `&str` to `Option<String>`, which this stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalText(pub(super) Option<String>);

impl From<&str> for OptionalText {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<String> for OptionalText {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<&String> for OptionalText {
    fn from(text: &String) -> Self {
        Self(Some(text.clone()))
    }
}

impl<S: Into<String>> From<Option<S>> for OptionalText {
    fn from(text: Option<S>) -> Self {
        Self(text.map(Into::into))
    }
}
