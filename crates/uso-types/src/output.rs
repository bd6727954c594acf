//! Lossy decoding of the endpoint's result.

use serde_json::{Value, json};

use crate::generated::{Image, UsoOutput};
use crate::support::{Unreadable, from_value_lossy};

impl UsoOutput {
    /// Decodes a result, and leaves out what cannot be decoded: each picture stands alone, and no
    /// field beside the pictures hides them.
    ///
    /// A URL alone counts as a picture, and a picture alone as a list of one.
    ///
    /// A picture that is left out has no entry in `has_nsfw_concepts` either, so that the entries
    /// of both lists still belong together. An entry that is no truth value counts as `false`.
    ///
    /// ```
    /// use serde_json::json;
    /// # use uso_types::UsoOutput;
    ///
    /// let (output, left_out) = UsoOutput::from_value_lossy(json!({
    ///     "images": [{ "width": 8 }, { "url": "https://example.com/b.png", "width": 8.0 }],
    ///     "has_nsfw_concepts": [false, true],
    ///     "seed": -1,
    /// }))?;
    ///
    /// let images = output.images.unwrap_or_default();
    /// assert_eq!((images.len(), images[0].width), (1, Some(8)));
    /// assert_eq!((output.has_nsfw_concepts, output.seed), (Some(vec![true]), None));
    /// let left_out: Vec<&str> = left_out.iter().map(|part| part.path()).collect();
    /// assert_eq!(left_out, ["images[0]", "seed"]);
    /// # Ok::<(), uso_types::Unreadable>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the value is no object.
    pub fn from_value_lossy(mut value: Value) -> Result<(Self, Vec<Unreadable>), Unreadable> {
        Unreadable::unless_object(&value)?;
        let mut left_out = LeftOut::default();
        if let Some(images @ (Value::Object(_) | Value::String(_))) = value.get_mut("images") {
            *images = Value::Array(vec![images.take()]);
        }
        let images = take_list(&mut value, "images", &mut left_out);
        let flags = take_list(&mut value, "has_nsfw_concepts", &mut left_out);
        let mut flags = flags.map(|flags| flags.into_iter().map(Some).collect::<Vec<_>>());

        let has_images = images.is_some();
        let mut decoded: Vec<Image> = Vec::new();
        for (index, image) in images.into_iter().flatten().enumerate() {
            let image = match image {
                Value::String(url) if is_url(&url) => json!({ "url": url }),
                image => image,
            };
            match Unreadable::unless_object(&image).and_then(|()| from_value_lossy(image)) {
                Ok((image, parts)) => {
                    decoded.push(image);
                    for part in parts {
                        left_out.add(|| part.under("images", index));
                    }
                }
                Err(part) => {
                    left_out.add(|| part.under("images", index));
                    if let Some(flag) = flags.as_mut().and_then(|flags| flags.get_mut(index)) {
                        *flag = None;
                    }
                }
            }
        }
        let mut is_flagged = |(index, flag): (usize, Option<Value>)| {
            let flag = flag?;
            if !flag.is_boolean() {
                let part = Unreadable::new("", "not a truth value");
                left_out.add(|| part.under("has_nsfw_concepts", index));
            }
            Some(flag.as_bool().unwrap_or(false))
        };
        let flags = flags.map(|flags| {
            flags
                .into_iter()
                .enumerate()
                .filter_map(&mut is_flagged)
                .collect()
        });

        let (mut output, parts) = from_value_lossy::<Self>(value)?;
        for part in parts {
            left_out.add(|| part);
        }
        output.images = has_images.then_some(decoded);
        output.has_nsfw_concepts = flags;
        Ok((output, left_out.told()))
    }
}

/// Whether a text can only be the URL of a picture.
fn is_url(text: &str) -> bool {
    let mut schemes = ["https://", "http://", "data:image/"].iter();
    schemes.any(|scheme| text.starts_with(scheme))
}

/// Most parts that are told one by one: the service chooses their number.
const MOST_TOLD: usize = 64;

/// Parts that cannot be decoded, of which the first are told one by one.
#[derive(Default)]
struct LeftOut {
    told: Vec<Unreadable>,
    more: usize,
}

impl LeftOut {
    fn add(&mut self, part: impl FnOnce() -> Unreadable) {
        match self.told.len() < MOST_TOLD {
            true => self.told.push(part()),
            false => self.more += 1,
        }
    }

    fn told(mut self) -> Vec<Unreadable> {
        if self.more > 0 {
            let reason = format!("{} further parts cannot be read", self.more);
            self.told.push(Unreadable::new("", reason));
        }
        self.told
    }
}

/// Takes a list out of an object; `None` where it is absent, null or of another type.
fn take_list(object: &mut Value, name: &str, left_out: &mut LeftOut) -> Option<Vec<Value>> {
    match object.get_mut(name)?.take() {
        Value::Array(items) => Some(items),
        Value::Null => None,
        _ => {
            left_out.add(|| Unreadable::new(name, "not a list"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_parts_that_cannot_be_read_the_first_are_told_and_the_others_counted() {
        let mut images = vec![json!(1); 1_000];
        images.push(json!({ "url": "https://example.com/a.png" }));
        let result = json!({ "images": images, "has_nsfw_concepts": vec![7; 1_000] });
        let (output, left_out) = UsoOutput::from_value_lossy(result).unwrap();
        assert_eq!(output.images.unwrap().len(), 1);
        assert_eq!(left_out.len(), MOST_TOLD + 1);
        assert_eq!(left_out[0].path(), "images[0]");
        let last = left_out.last().unwrap().to_string();
        assert_eq!(last, "936 further parts cannot be read");
    }
}
