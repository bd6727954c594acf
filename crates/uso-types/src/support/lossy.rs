//! Lossy decoding of results: a part that cannot be decoded is left out and reported, and the rest
//! is kept.
//!
//! A result is paid for. A field of a wrong type in it must not hide the fields beside it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::de::DeserializeOwned;
use serde_json::{Number, Value};
use serde_path_to_error::Segment;

/// A part of a value that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    path: String,
    reason: String,
}

impl Unreadable {
    /// A value that is no object where the schema has one. serde decodes a list as well, by
    /// position.
    pub fn unless_object(value: &Value) -> Result<(), Self> {
        match value {
            Value::Object(_) => Ok(()),
            other => Err(Self::new("", misfit(other))),
        }
    }

    /// A part at this place, and the reason.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        let (path, reason) = (path.into(), reason.into());
        Self { path, reason }
    }

    /// The same part, seen from the object that has a list with the value in it.
    pub fn under(&self, list: &str, index: usize) -> Self {
        let joint = if self.path.is_empty() { "" } else { "." };
        let path = format!("{list}[{index}]{joint}{}", self.path);
        Self::new(path, self.reason.clone())
    }

    /// The place of the part, like `seed` or `images[1].width`; empty for the whole value.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The reason, like "-1 does not fit the schema". The reason quotes no text of the value, which
    /// may be a prompt or a whole picture.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Unreadable {}

/// The largest number of parts that are left out of one value: every part costs another attempt,
/// and the service chooses their number.
const MOST_PARTS: usize = 64;

/// Decodes a value, and leaves out what cannot be decoded.
///
/// A whole number that is written with a fraction, like `8.0`, counts as whole. A field of a wrong
/// type counts as absent. In a list of objects, an object without a required field is removed; any
/// other list with an unreadable item counts as absent.
///
/// # Errors
///
/// Returns the part that is at fault if nothing can be decoded without it, or if more than 64 parts
/// cannot be decoded.
pub fn from_value_lossy<T: DeserializeOwned>(
    mut value: Value,
) -> Result<(T, Vec<Unreadable>), Unreadable> {
    // Most values fit, and the place of what does not fit takes longer to keep than the value.
    if let Ok(decoded) = T::deserialize(&value) {
        return Ok((decoded, Vec::new()));
    }
    let mut left_out: Vec<Unreadable> = Vec::new();
    let mut removed: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(decoded) => return Ok((decoded, left_out)),
            Err(error) => error,
        };
        let steps: Vec<Step> = error.path().iter().map_while(Step::of).collect();
        if round(&mut value, &steps) {
            continue;
        }
        let reason = reason(part(&mut value, &steps).as_deref(), error.inner());
        let Some(mut path) = leave_out(&mut value, &steps) else {
            return Err(Unreadable::new(text(&steps), reason));
        };
        // Earlier items of the list may be gone: the report states the index in the original.
        if let Some(Step::Item(index)) = path.pop() {
            let gone = removed.entry(text(&path)).or_default();
            path.push(Step::Item(index + *gone));
            *gone += 1;
        } else {
            path.clone_from(&steps);
        }
        left_out.push(Unreadable::new(text(&path), reason));
        if left_out.len() > MOST_PARTS {
            return Err(left_out.swap_remove(0));
        }
    }
}

/// A step from a value to a part of it.
#[derive(Clone, Debug)]
enum Step {
    Field(String),
    Item(usize),
}

impl Step {
    fn of(segment: &Segment) -> Option<Self> {
        match segment {
            Segment::Map { key } => Some(Self::Field(key.clone())),
            Segment::Seq { index } => Some(Self::Item(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        }
    }

    fn follow<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        match self {
            Self::Field(name) => value.get_mut(name),
            Self::Item(index) => value.get_mut(*index),
        }
    }
}

fn text(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.extend([".", name]),
            Step::Item(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// The reason without any text of the value; serde's own message quotes whole texts.
fn reason(value: Option<&Value>, error: &serde_json::Error) -> String {
    let message = error.to_string();
    match value {
        Some(Value::Object(_)) if message.starts_with("missing field") => message,
        Some(value) => misfit(value),
        None => "a part does not fit the schema".to_owned(),
    }
}

fn misfit(value: &Value) -> String {
    let found = match value {
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        other => &other.to_string(),
    };
    format!("{found} does not fit the schema")
}

/// The part of a value to which the steps lead.
fn part<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    steps
        .iter()
        .try_fold(value, |value, step| step.follow(value))
}

/// Writes a whole number without its fraction; JSON has one kind of number, and some encoders
/// write `8.0`.
fn round(value: &mut Value, steps: &[Step]) -> bool {
    // Every whole number up to here has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let Some(Value::Number(number)) = part(value, steps) else {
        return false;
    };
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= EXACT => {
            *number = Number::from(float as i64);
            true
        }
        _ => false,
    }
}

/// Removes the smallest part around an unreadable one that can be absent; returns its place.
fn leave_out(value: &mut Value, steps: &[Step]) -> Option<Vec<Step>> {
    for depth in (1..=steps.len()).rev() {
        let (path, _) = steps.split_at_checked(depth)?;
        let (last, parents) = path.split_last()?;
        let removed = match (last, part(value, parents)) {
            (Step::Field(name), Some(Value::Object(entries))) => entries.remove(name).is_some(),
            (Step::Item(index), Some(Value::Array(items)))
                if *index < items.len() && items.iter().any(Value::is_object) =>
            {
                items.remove(*index);
                true
            }
            _ => false,
        };
        if removed {
            return Some(path.to_vec());
        }
    }
    None
}
