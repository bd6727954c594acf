//! Decoding of unions: fields whose value has one of several shapes.
//!
//! serde tries the shapes in order and, when none fits, reports only that. Here the kind of the
//! value selects the shape, and the error states the place, the expected shapes and the value.

use std::fmt::{self, Display};

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};
use serde_json::Value;

/// Shape of a union.
#[derive(Clone, Copy, Debug)]
pub struct Alternative<T> {
    /// The shape in words, like "an object with `width` and `height`".
    pub expected: &'static str,
    /// The kind of JSON value that has this shape.
    pub kind: Kind,
    /// The field names of an object with this shape; empty for other kinds.
    pub keys: &'static [&'static str],
    /// A field with only one possible value, which tells the shape from others.
    pub tag: Option<(&'static str, &'static str)>,
    /// Decodes a value of this shape.
    pub read: fn(&Value) -> Result<T, Mismatch>,
}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A text.
    String,
    /// A list.
    Array,
    /// Values by name.
    Object,
    /// Every kind.
    Any,
}

impl<T> Alternative<T> {
    fn takes(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (Kind::Object, Value::Object(_)) => self.tag.is_none_or(|(name, wanted)| {
                let tag = value.get(name).and_then(Value::as_str);
                tag.is_none_or(|text| text == wanted)
            }),
            (Kind::Any, _)
            | (Kind::Bool, Value::Bool(_))
            | (Kind::Number, Value::Number(_))
            | (Kind::String, Value::String(_))
            | (Kind::Array, Value::Array(_)) => true,
            _ => false,
        }
    }

    /// The number of field names that this shape does not have: the fewer, the better the fit.
    fn unknown_keys(&self, value: &Value) -> usize {
        let keys = value
            .as_object()
            .into_iter()
            .flat_map(|entries| entries.keys());
        keys.filter(|key| !self.keys.contains(&key.as_str()))
            .count()
    }
}

/// Decodes a union.
pub fn one_of<'de, D, T>(
    deserializer: D,
    alternatives: &'static [Alternative<T>],
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    let value = Value::deserialize(deserializer)?;
    let mut fitting: Vec<_> = alternatives
        .iter()
        .filter(|shape| shape.takes(&value))
        .collect();
    fitting.sort_by_key(|shape| shape.unknown_keys(&value));
    let mut failures = Vec::new();
    for shape in &fitting {
        match (shape.read)(&value) {
            Ok(decoded) => return Ok(decoded),
            Err(mismatch) => failures.push((shape, mismatch)),
        }
    }
    Err(match failures.as_slice() {
        [] => {
            let expected: Vec<_> = alternatives.iter().map(|shape| shape.expected).collect();
            D::Error::invalid_type(unexpected(&value), &expected.join(" or ").as_str())
        }
        [(_, only)] => D::Error::custom(only),
        several => {
            let reasons: Vec<_> = several
                .iter()
                .map(|(shape, mismatch)| format!("not {}: {mismatch}", shape.expected))
                .collect();
            D::Error::custom(reasons.join("; "))
        }
    })
}

/// Decodes a field, and names it in the error.
pub fn field<'de, D, T>(deserializer: D, name: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> Deserialize<'a>,
{
    let value = Value::deserialize(deserializer)?;
    read(&value).map_err(|mismatch| {
        let joint = match mismatch.path.as_str() {
            "" => ": ",
            path if path.starts_with('[') => "",
            _ => ".",
        };
        D::Error::custom(format_args!("{name}{joint}{mismatch}"))
    })
}

/// Decodes an untyped value.
pub fn read<T: for<'a> Deserialize<'a>>(value: &Value) -> Result<T, Mismatch> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().iter().next() {
            Some(_) => error.path().to_string(),
            None => String::new(),
        };
        let reason = error.into_inner();
        Mismatch { path, reason }
    })
}

/// The place in a value that could not be decoded, and the reason.
#[derive(Debug)]
pub struct Mismatch {
    path: String,
    reason: serde_json::Error,
}

impl Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        self.reason.fmt(formatter)
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Other("null"),
        Value::Bool(truth) => Unexpected::Bool(*truth),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Unexpected::Unsigned(number),
            (None, Some(number)) => Unexpected::Signed(number),
            (None, None) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Other("a list"),
        Value::Object(_) => Unexpected::Other("an object"),
    }
}
