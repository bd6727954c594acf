//! The bounds check: walks a value, remembers where it is, collects what lies outside its bounds.

use std::fmt::{self, Display};
use std::ops::{Bound, RangeBounds};

/// A value that lies outside what the service accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    path: String,
    value: String,
    limit: String,
}

impl Violation {
    /// Path of the value, like `num_images`, `image_size.width` or `loras[2].scale`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value as a person reads it, like `9` or `5001 characters`.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Limit of the value, like `between 1 and 4` or `at most 5000 characters`.
    pub fn limit(&self) -> &str {
        &self.limit
    }
}

impl Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} is {}, but must be {}",
            self.path, self.value, self.limit
        )
    }
}

/// Values outside of their bounds: at least one violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    first: Violation,
    others: Vec<Violation>,
}

impl Violations {
    /// The first violation in the order of the fields.
    pub fn first(&self) -> &Violation {
        &self.first
    }

    /// All violations in the order of the fields.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(formatter)?;
        self.others
            .iter()
            .try_for_each(|violation| write!(formatter, "; {violation}"))
    }
}

impl std::error::Error for Violations {}

/// A text that names no value of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownValue {
    value: String,
    allowed: &'static [&'static str],
}

impl UnknownValue {
    /// Keeps the text and what would have been allowed in its place.
    pub fn new(value: &str, allowed: &'static [&'static str]) -> Self {
        Self {
            value: value.to_owned(),
            allowed,
        }
    }

    /// The text that was given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The texts that are allowed.
    pub fn allowed(&self) -> &'static [&'static str] {
        self.allowed
    }
}

impl Display for UnknownValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "unknown value `{}`, expected {}",
            self.value,
            one_of(self.allowed)
        )
    }
}

impl std::error::Error for UnknownValue {}

/// "one of `a`, `b`, `c`", or the only value by itself.
fn one_of(allowed: &[impl Display]) -> String {
    let quoted: Vec<_> = allowed.iter().map(|value| format!("`{value}`")).collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

/// A type that knows the bounds of its fields.
pub trait Check {
    /// Reports every value outside its bounds.
    fn check(&self, checker: Checker<'_>);
}

/// Runs the check over a whole value.
pub fn run(value: &impl Check) -> Result<(), Violations> {
    let mut found = Vec::new();
    value.check(Checker {
        path: Path::Root,
        found: &mut found,
    });
    let mut found = found.into_iter();
    match found.next() {
        None => Ok(()),
        Some(first) => Err(Violations {
            first,
            others: found.collect(),
        }),
    }
}

/// Knows the place of the value under check and collects the violations.
#[derive(Debug)]
pub struct Checker<'a> {
    path: Path<'a>,
    found: &'a mut Vec<Violation>,
}

/// A place, step by step: it becomes a text only when there is something to report.
#[derive(Clone, Copy, Debug)]
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => formatter.write_str(name),
            Self::Field(parent, name) => write!(formatter, "{parent}.{name}"),
            Self::Item(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

impl Checker<'_> {
    /// The checker of what stands under a name.
    pub fn at<'b>(&'b mut self, name: &'b str) -> Checker<'b> {
        Checker {
            path: Path::Field(&self.path, name),
            found: self.found,
        }
    }

    /// The checker of an item of a list.
    pub fn item(&mut self, index: usize) -> Checker<'_> {
        Checker {
            path: Path::Item(&self.path, index),
            found: self.found,
        }
    }

    /// Checks a number against its range.
    pub fn range<T: PartialOrd + Display>(&mut self, value: &T, range: impl RangeBounds<T>) {
        if !range.contains(value) {
            self.report(value, describe(&range));
        }
    }

    /// Refuses the two floats that JSON cannot carry: "not a number" and infinity.
    pub fn finite(&mut self, value: &f64) {
        if !value.is_finite() {
            self.report(value, "a finite number");
        }
    }

    /// Checks a number against its step.
    pub fn multiple_of(&mut self, value: f64, step: f64) {
        let steps = value / step;
        // Decimal steps such as 0.1 have no exact binary form.
        if (steps - steps.round()).abs() > 1e-9 * steps.abs().max(1.0) {
            self.report(value, format!("a multiple of {step}"));
        }
    }

    /// Checks how many characters, items or entries there are.
    pub fn count(&mut self, count: usize, unit: &str, range: impl RangeBounds<usize>) {
        if !range.contains(&count) {
            self.report(
                format!("{count} {unit}"),
                format!("{} {unit}", describe(&range)),
            );
        }
    }

    /// Reports a value that is not there.
    pub fn missing(&mut self) {
        self.report("missing", "given");
    }

    /// Reports a value that the enumeration does not list.
    pub fn unlisted(&mut self, value: impl Display, listed: &[impl Display]) {
        self.report(format!("`{value}`"), one_of(listed));
    }

    fn report(&mut self, value: impl Display, limit: impl Into<String>) {
        self.found.push(Violation {
            path: self.path.to_string(),
            value: value.to_string(),
            limit: limit.into(),
        });
    }
}

fn describe<T: PartialOrd + Display>(range: &impl RangeBounds<T>) -> String {
    let least = match range.start_bound() {
        Bound::Included(least) => Some(format!("at least {least}")),
        Bound::Excluded(least) => Some(format!("more than {least}")),
        Bound::Unbounded => None,
    };
    let most = match range.end_bound() {
        Bound::Included(most) => Some(format!("at most {most}")),
        Bound::Excluded(most) => Some(format!("less than {most}")),
        Bound::Unbounded => None,
    };
    match (range.start_bound(), range.end_bound(), least, most) {
        (Bound::Included(least), Bound::Included(most), ..) if least == most => {
            format!("exactly {least}")
        }
        (Bound::Included(least), Bound::Included(most), ..) => {
            format!("between {least} and {most}")
        }
        (.., Some(least), Some(most)) => format!("{least} and {most}"),
        (.., Some(bound), None) | (.., None, Some(bound)) => bound,
        (.., None, None) => "anything".to_owned(),
    }
}
