//! Decoding of alternatives: a value that may have one of several shapes.
//!
//! serde tries one shape after the other and, when none fits, says only that. Here the value is
//! read once, the shape is chosen by what came, and the error says where, what was expected and
//! what came instead.

use std::collections::btree_map;
use std::fmt::{self, Display};
use std::slice;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor, value::StrDeserializer,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::json::Json;

/// One shape that a value may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alternative<T> {
    /// The shape in words, like "an object with `width` and `height`".
    pub(crate) expected: &'static str,
    /// The kind of JSON value that this shape starts from.
    pub(crate) kind: Kind,
    /// The names that an object of this shape knows; empty for other kinds.
    pub(crate) keys: &'static [&'static str],
    /// A field that always has one value, by which the shape is told from others.
    pub(crate) tag: Option<(&'static str, &'static str)>,
    /// Reads the value.
    pub(crate) read: fn(&Json) -> Result<T, Mismatch>,
}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
    /// Whatever comes.
    Any,
}

impl<T> Alternative<T> {
    fn takes(&self, value: &Json) -> bool {
        match (self.kind, value) {
            (Kind::Object, Json::Object(_)) => {
                self.tag.is_none_or(|(name, wanted)| match value.get(name) {
                    Some(Json::String(text)) => text == wanted,
                    _ => true,
                })
            }
            (Kind::Any, _)
            | (Kind::Bool, Json::Bool(_))
            | (Kind::Number, Json::Unsigned(_) | Json::Signed(_) | Json::Float(_))
            | (Kind::String, Json::String(_))
            | (Kind::Array, Json::Array(_)) => true,
            _ => false,
        }
    }

    /// How many names of an object this shape does not know: the fewer, the better it fits.
    fn strangers(&self, value: &Json) -> usize {
        match value {
            Json::Object(entries) => entries
                .keys()
                .filter(|key| !self.keys.contains(&key.as_str()))
                .count(),
            _ => 0,
        }
    }
}

/// Reads a value that has one of several shapes.
pub(crate) fn one_of<'de, D, T>(
    deserializer: D,
    alternatives: &'static [Alternative<T>],
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    let value = Json::deserialize(deserializer)?;
    let mut fitting: Vec<_> = alternatives
        .iter()
        .filter(|shape| shape.takes(&value))
        .collect();
    fitting.sort_by_key(|shape| shape.strangers(&value));
    let mut failures = Vec::new();
    for shape in &fitting {
        match (shape.read)(&value) {
            Ok(read) => return Ok(read),
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

/// Reads a field and names it if that fails.
pub(crate) fn field<'de, D, T>(deserializer: D, name: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> Deserialize<'a>,
{
    let value = Json::deserialize(deserializer)?;
    read(&value).map_err(|mismatch| D::Error::custom(mismatch.under(name)))
}

/// Reads a typed value out of an untyped one.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(value: &Json) -> Result<T, Mismatch> {
    T::deserialize(Untyped(value))
}

/// Why a value does not have the shape that it should have, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    path: String,
    reason: String,
}

impl Mismatch {
    fn under(mut self, segment: impl Display) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{segment}{joint}{}", self.path);
        self
    }
}

impl Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Mismatch {}

impl Error for Mismatch {
    fn custom<T: Display>(reason: T) -> Self {
        Self {
            path: String::new(),
            reason: reason.to_string(),
        }
    }
}

fn unexpected(value: &Json) -> Unexpected<'_> {
    match value {
        Json::Null => Unexpected::Other("null"),
        Json::Bool(truth) => Unexpected::Bool(*truth),
        Json::Unsigned(number) => Unexpected::Unsigned(*number),
        Json::Signed(number) => Unexpected::Signed(*number),
        Json::Float(number) => Unexpected::Float(*number),
        Json::String(text) => Unexpected::Str(text),
        Json::Array(_) => Unexpected::Other("a list"),
        Json::Object(_) => Unexpected::Other("an object"),
    }
}

/// Reads an untyped value and knows, on failure, where in it.
struct Untyped<'de>(&'de Json);

impl<'de> Deserializer<'de> for Untyped<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(truth) => visitor.visit_bool(*truth),
            Json::Unsigned(number) => visitor.visit_u64(*number),
            Json::Signed(number) => visitor.visit_i64(*number),
            Json::Float(number) => visitor.visit_f64(*number),
            Json::String(text) => visitor.visit_borrowed_str(text),
            Json::Array(items) => visitor.visit_seq(Items {
                items: items.iter(),
                index: 0,
            }),
            Json::Object(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                next: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Json::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Json::String(text) => visitor.visit_enum(Variant(text)),
            other => Err(Mismatch::invalid_type(unexpected(other), &"a text")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de> {
    items: slice::Iter<'de, Json>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Mismatch;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Mismatch> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Untyped(item))
            .map(Some)
            .map_err(|error| error.under(format_args!("[{index}]")))
    }
}

struct Entries<'de> {
    entries: btree_map::Iter<'de, String, Json>,
    next: Option<(&'de str, &'de Json)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Mismatch;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Mismatch> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.next = Some((key, value));
        let key: StrDeserializer<'_, Mismatch> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let Some((key, value)) = self.next.take() else {
            return Err(Mismatch::custom("a value without a name"));
        };
        seed.deserialize(Untyped(value))
            .map_err(|error| error.under(key))
    }
}

/// A plain enum value: its name and nothing more.
struct Variant<'de>(&'de str);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Mismatch;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Mismatch> {
        let name: StrDeserializer<'_, Mismatch> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Mismatch;

    fn unit_variant(self) -> Result<(), Mismatch> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Mismatch> {
        Err(Mismatch::custom("a plain value was expected"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Mismatch> {
        Err(Mismatch::custom("a plain value was expected"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Mismatch> {
        Err(Mismatch::custom("a plain value was expected"))
    }
}
