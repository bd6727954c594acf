//! Making a local picture fit for the service: upright, not too large, without what is nobody's
//! business, in plain colours.
//!
//! Pixels are only touched when they must be: a picture that merely carries metadata loses it
//! without being compressed again, and one that is fit already goes as it is. Everything here is
//! pure, from bytes to bytes, and bounded in memory.

mod jpeg;
mod metadata;
mod pixels;

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::pixels::Picture;

/// The longest side that the service takes, as a third party observed it.
pub(crate) const LONGEST_SIDE: u32 = 2048;

/// A decoder that panics has met something that is no picture.
pub(crate) const UNDECODABLE: &str = "damaged: it cannot be decoded";

/// What was changed about a picture before it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// It was turned or mirrored as its EXIF orientation asked for.
    Turned,
    /// It was made smaller, from this width and height in pixels, to at most 2048 a side.
    Shrunk {
        /// Width and height before, already upright.
        from: (u32, u32),
    },
    /// Metadata was dropped: EXIF with place and camera, XMP, IPTC, comments.
    MetadataDropped,
    /// Its colours were converted from its own profile to sRGB, which models take for granted.
    ColoursConverted,
    /// Its inks (CMYK, a print format) were converted to RGB without their profile.
    InksConverted,
    /// 16 bits a channel became 8.
    DepthReduced,
    /// Of an animation, the first frame was taken.
    FirstFrameTaken,
    /// It was written in another format, the MIME type of which this is.
    Rewritten(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turned => f.write_str("turned upright"),
            Self::Shrunk {
                from: (width, height),
            } => write!(f, "shrunk from {width}x{height}"),
            Self::MetadataDropped => f.write_str("metadata dropped"),
            Self::ColoursConverted => f.write_str("colours converted to sRGB"),
            Self::InksConverted => f.write_str("converted from CMYK"),
            Self::DepthReduced => f.write_str("16 bits a channel reduced to 8"),
            Self::FirstFrameTaken => f.write_str("the first frame taken"),
            Self::Rewritten(format) => write!(f, "rewritten as {format}"),
        }
    }
}

/// A picture that is fit to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    pub(crate) size: (u32, u32),
    pub(crate) changes: Vec<Change>,
}

/// A format that the service is known to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
}

impl Format {
    /// Tells it by the first bytes; `Err` continues the phrase "it is …".
    pub(crate) fn of(head: &[u8]) -> Result<Self, String> {
        const FORMATS: &str = "use JPEG, PNG, WebP or GIF";
        let Some(kind) = infer::get(head) else {
            return Err(match head.is_empty() {
                true => "empty".to_owned(),
                false => format!("not a picture; {FORMATS}"),
            });
        };
        match kind.mime_type() {
            "image/jpeg" => Ok(Self::Jpeg),
            "image/png" => Ok(Self::Png),
            "image/webp" => Ok(Self::WebP),
            "image/gif" => Ok(Self::Gif),
            "image/heif" | "image/heic" => Err(format!(
                "a HEIC picture, the way iPhones keep photos, which is not read here; export it as JPEG, or {FORMATS}"
            )),
            "image/avif" => Err(format!(
                "an AVIF picture, which is not read here; convert it first, or {FORMATS}"
            )),
            other => Err(format!("of type {other}; {FORMATS}")),
        }
    }

    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// What a file of it is called when its own name is nobody's business.
    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Jpeg => "picture.jpg",
            Self::Png => "picture.png",
            Self::WebP => "picture.webp",
            Self::Gif => "picture.gif",
        }
    }
}

/// The size that a picture will have, told by its header alone; `Err` continues "it is …".
pub(crate) fn size(bytes: &Bytes, fit: bool) -> Result<(u32, u32), String> {
    let format = Format::of(bytes)?;
    if fit {
        return Ok(Picture::open(bytes, format)?.fitted_size());
    }
    let size = imagesize::blob_size(bytes);
    size.ok()
        .and_then(|size| {
            Some((
                u32::try_from(size.width).ok()?,
                u32::try_from(size.height).ok()?,
            ))
        })
        .ok_or_else(|| "damaged: its size cannot be read".to_owned())
}

/// Makes a picture fit; `Err` continues the phrase "it is …".
pub(crate) fn fit(bytes: Bytes) -> Result<Fitted, String> {
    let format = Format::of(&bytes)?;
    let picture = Picture::open(&bytes, format)?;
    let size = picture.fitted_size();
    let mut changes = picture.changes();
    let pixels_stay = changes.is_empty();
    let has_metadata = metadata::is_in(&bytes, format)?;
    if has_metadata {
        changes.push(Change::MetadataDropped);
    }
    if pixels_stay {
        drop(picture);
        let bytes = match has_metadata {
            true => metadata::dropped(&bytes, format)?,
            false => bytes,
        };
        return Ok(Fitted {
            bytes,
            format,
            size,
            changes,
        });
    }
    let new_format = match format {
        Format::Jpeg => Format::Jpeg,
        // Without loss, and with whatever transparency there is.
        _ => Format::Png,
    };
    if new_format != format {
        changes.push(Change::Rewritten(new_format.mime().to_owned()));
    }
    let bytes = picture.render(new_format)?;
    Ok(Fitted {
        bytes: bytes.into(),
        format: new_format,
        size,
        changes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_not_read_say_what_to_do() {
        let heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic";
        let why = Format::of(heic).unwrap_err();
        assert!(
            why.contains("HEIC") && why.contains("export it as JPEG"),
            "{why}"
        );
        let avif = b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf";
        let why = Format::of(avif).unwrap_err();
        assert!(why.contains("AVIF") && why.contains("convert"), "{why}");
        assert!(
            Format::of(b"%PDF-1.7 ")
                .unwrap_err()
                .contains("application/pdf")
        );
        assert!(Format::of(b"").unwrap_err().contains("empty"));
    }
}
