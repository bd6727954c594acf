//! A picture file as a container: what it holds, and the file without what it need not hold.
//!
//! Nothing is decoded here. Everything is read by walking from part to part, so that sizes,
//! orientations and metadata are known without the picture stack.

#![cfg_attr(
    not(feature = "fit"),
    allow(dead_code, unused_imports, reason = "only decoders use some parts")
)]

mod bytes;
mod jpeg;
mod orientation;
mod png;
mod webp;

use ::bytes::Bytes;

pub(crate) use self::jpeg::{Colours, Frame, Jpeg};
pub(crate) use self::orientation::Orientation;
pub(crate) use self::png::Png;
pub(crate) use self::webp::WebP;

use super::format::Format;

/// A picture file whose parts are known.
pub(crate) struct Container {
    pub(crate) kind: Kind,
    /// The file with what is needed to show the picture, and nothing else.
    pub(crate) clean: Bytes,
    /// Whether anything but frames of an animation was left out.
    pub(crate) has_excess: bool,
    /// Width and height as stored.
    pub(crate) size: (u32, u32),
    pub(crate) orientation: Orientation,
    pub(crate) profile: Option<Profile>,
    pub(crate) is_animated: bool,
}

/// What only one of the formats has.
pub(crate) enum Kind {
    Jpeg(Jpeg),
    Png(Png),
    WebP(WebP),
    Gif,
}

/// A colour profile as the file stores it.
pub(crate) enum Profile {
    Plain(Bytes),
    Deflated(Bytes),
}

/// The size that the first bytes of a file tell, as stored.
pub(crate) fn size(head: &[u8], format: Format) -> Option<(u32, u32)> {
    let size = match format {
        Format::Jpeg => jpeg::size(head),
        Format::Png => png::size(head),
        Format::WebP => webp::size(head),
        Format::Gif => gif_size(head),
    };
    size.filter(|(width, height)| *width > 0 && *height > 0)
}

fn gif_size(head: &[u8]) -> Option<(u32, u32)> {
    let side = |at| bytes::le16(head, at).map(u32::from);
    Some((side(6)?, side(8)?))
}

impl Container {
    /// Reads a file of this format; `Err` continues the phrase "the picture is …".
    pub(crate) fn read(file: &Bytes, format: Format) -> Result<Self, String> {
        let container = match format {
            Format::Jpeg => {
                let jpeg = jpeg::read(file)?;
                Self {
                    clean: jpeg.clean.clone(),
                    has_excess: jpeg.is_changed,
                    size: jpeg.frame.size,
                    orientation: jpeg.orientation,
                    profile: jpeg.profile.clone().map(Profile::Plain),
                    is_animated: false,
                    kind: Kind::Jpeg(jpeg),
                }
            }
            Format::Png => {
                let png = png::read(file)?;
                Self {
                    clean: png.clean.clone(),
                    has_excess: png.is_changed,
                    size: png.size,
                    orientation: png.orientation,
                    profile: png.profile.clone().map(Profile::Deflated),
                    is_animated: png.is_animated,
                    kind: Kind::Png(png),
                }
            }
            Format::WebP => {
                let webp = webp::read(file)?;
                Self {
                    clean: webp.clean.clone(),
                    has_excess: webp.is_changed,
                    size: webp.size,
                    orientation: webp.orientation,
                    profile: webp.profile.clone().map(Profile::Plain),
                    is_animated: webp.is_animated,
                    kind: Kind::WebP(webp),
                }
            }
            Format::Gif => Self {
                clean: file.clone(),
                has_excess: false,
                size: gif_size(file).ok_or("damaged: its header is cut")?,
                orientation: Orientation::UPRIGHT,
                profile: None,
                is_animated: true,
                kind: Kind::Gif,
            },
        };
        match container.size {
            (0, _) | (_, 0) => Err("damaged: it has no width or no height".to_owned()),
            _ => Ok(container),
        }
    }

    pub(crate) fn format(&self) -> Format {
        match self.kind {
            Kind::Jpeg(_) => Format::Jpeg,
            Kind::Png(_) => Format::Png,
            Kind::WebP(_) => Format::WebP,
            Kind::Gif => Format::Gif,
        }
    }

    /// Whether the picture is of inks, as printing houses give it.
    pub(crate) fn has_inks(&self) -> bool {
        matches!(&self.kind, Kind::Jpeg(jpeg) if matches!(jpeg.colours, Colours::Inks { .. }))
    }

    /// Whether there are 16 bits a channel.
    pub(crate) fn is_deep(&self) -> bool {
        matches!(&self.kind, Kind::Png(png) if png.bit_depth == 16)
    }

    /// Whether the first frame of an animation fills only a part of the picture.
    pub(crate) fn is_partial(&self) -> bool {
        matches!(&self.kind, Kind::WebP(webp) if webp.frame.is_some())
    }
}
