//! Lenient reading of JSON: a value of an unexpected type counts as absent.
//!
//! Values are read straight from the text, without a tree of everything between: a status may bring
//! thousands of log lines.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What is read of a JSON value, whose type may be any. A type whose method is not implemented is
/// passed over and leaves the default.
pub(crate) trait Lenient: Default {
    fn string(&mut self, _text: &str) {}

    /// Reads the value of a field; the last of a name counts.
    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        _name: &str,
        value: &mut A,
    ) -> Result<(), A::Error> {
        value.next_value::<IgnoredAny>().map(drop)
    }

    /// Reads an item of a list; `None` at its end.
    fn item<'de, A: SeqAccess<'de>>(&mut self, items: &mut A) -> Result<Option<()>, A::Error> {
        Ok(items.next_element::<IgnoredAny>()?.map(drop))
    }
}

/// A value that was read leniently.
pub(crate) struct Read<T>(pub(crate) T);

/// A string.
#[derive(Default)]
pub(crate) struct Text(Option<String>);

impl Lenient for Text {
    fn string(&mut self, text: &str) {
        self.0 = Some(text.to_owned());
    }
}

/// The value of a field, if it is a string.
pub(crate) fn text<'de, A: MapAccess<'de>>(value: &mut A) -> Result<Option<String>, A::Error> {
    let Read(Text(text)) = value.next_value()?;
    Ok(text)
}

/// The name of a field, which is rarely escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, T: Lenient> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData)).map(Self)
    }
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Lenient> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        let mut read = T::default();
        read.string(text);
        Ok(read)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        let mut read = T::default();
        while read.item(&mut items)?.is_some() {}
        Ok(read)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<T, A::Error> {
        let mut read = T::default();
        while let Some(Name(name)) = fields.next_key()? {
            read.field(&name, &mut fields)?;
        }
        Ok(read)
    }
}
