//! Making a local picture fit for the service: upright, not too large, free of metadata, in sRGB,
//! and proved to be decodable.
//!
//! Pixels are only changed when they must be: a picture that merely carries metadata loses it
//! without being compressed again, and one that is fit already goes as it is. Everything here is
//! pure, from bytes to bytes.

#[cfg(feature = "fit")]
mod colours;
#[cfg(feature = "fit")]
mod decode;
#[cfg(feature = "fit")]
mod encode;
#[cfg(feature = "fit")]
mod pixels;

use bytes::Bytes;

use super::change::Change;
#[cfg(feature = "fit")]
use super::container::Kind;
use super::container::{Container, Orientation};
use super::format::Format;

/// The longest side that the service takes, as a third party observed it.
const LONGEST_SIDE: u32 = 2048;

/// A picture that is fit to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    pub(crate) size: (u32, u32),
    pub(crate) changes: Vec<Change>,
}

/// What has to be done to a picture, known before a pixel is decoded.
pub(crate) struct Plan {
    container: Container,
    /// What changes the pixels.
    changes: Vec<Change>,
    #[cfg(feature = "fit")]
    profile: Option<moxcms::ColorProfile>,
}

impl Plan {
    /// Reads a file without decoding its pixels; `Err` continues the phrase "the picture is …".
    pub(crate) fn of(file: &Bytes) -> Result<Self, String> {
        let container = Container::read(file, Format::of(file)?)?;
        let upright = container.orientation.upright(container.size);
        let format = container.format();
        #[cfg(feature = "fit")]
        let profile = colours::other_than_srgb(&container);
        #[cfg(feature = "fit")]
        let is_converted = profile.is_some();
        // Whether a profile says anything else than sRGB is only known with the picture stack.
        #[cfg(not(feature = "fit"))]
        let is_converted = container.profile.is_some();
        let mut changes = Vec::new();
        if container.is_partial() || format == Format::Gif {
            changes.push(Change::FirstFrameTaken);
        }
        if container.orientation != Orientation::UPRIGHT {
            changes.push(Change::Turned);
        }
        if shrunk(upright) != upright {
            changes.push(Change::Shrunk { from: upright });
        }
        if is_converted {
            changes.push(Change::ColoursConverted);
        }
        if container.has_inks() {
            changes.push(Change::InksConverted);
        }
        if container.is_deep() {
            changes.push(Change::DepthReduced);
        }
        Ok(Self {
            container,
            changes,
            #[cfg(feature = "fit")]
            profile,
        })
    }

    /// Width and height of the picture when it is fit.
    pub(crate) fn size(&self) -> (u32, u32) {
        shrunk(self.container.orientation.upright(self.container.size))
    }

    /// Width and height of the picture as it is stored.
    pub(crate) fn stored_size(&self) -> (u32, u32) {
        self.container.size
    }

    /// The changes to the pixels, then those to the file alone.
    fn all_changes(&self) -> Vec<Change> {
        let mut changes = self.changes.clone();
        if self.container.is_animated && !changes.contains(&Change::FirstFrameTaken) {
            changes.insert(0, Change::FirstFrameTaken);
        }
        if self.container.has_excess {
            changes.push(Change::MetadataDropped);
        }
        changes
    }

    /// The file without metadata, for pictures whose pixels stay.
    fn unchanged(self) -> Fitted {
        Fitted {
            format: self.container.format(),
            size: self.size(),
            changes: self.all_changes(),
            bytes: self.container.clean,
        }
    }
}

#[cfg(not(feature = "fit"))]
impl Plan {
    /// Nothing is decoded.
    #[expect(
        clippy::unused_self,
        reason = "the same call as with the picture stack"
    )]
    pub(crate) fn memory(&self) -> u64 {
        0
    }

    /// Sends a picture whose pixels stay, and refuses any other; `Err` continues the phrase "the
    /// picture is …".
    pub(crate) fn perform(self) -> Result<Fitted, String> {
        if self.changes.is_empty() {
            return Ok(self.unchanged());
        }
        let changes: Vec<String> = self.changes.iter().map(Change::to_string).collect();
        Err(format!(
            "not fit to be sent: it would have to be changed ({}), and this program was built without the feature `fit` of the crate `uso`; enable that feature, change the picture first, or send it as it is",
            changes.join(", ")
        ))
    }
}

#[cfg(feature = "fit")]
impl Plan {
    /// Bytes that [`Plan::perform`] needs at the most, apart from the file.
    pub(crate) fn memory(&self) -> u64 {
        decode::memory(&self.container, self.stored_target())
    }

    /// The size when it is fit, in the orientation in which the picture is stored.
    fn stored_target(&self) -> (u32, u32) {
        shrunk(self.container.size)
    }

    /// Decodes the picture and makes it fit; `Err` continues the phrase "the picture is …".
    pub(crate) fn perform(self) -> Result<Fitted, String> {
        let target = self.stored_target();
        let mut pixels = decode::decode(&self.container, target, self.profile.as_ref())?;
        if self.changes.is_empty() {
            return Ok(self.unchanged());
        }
        let mut changes = self.all_changes();
        let (size, orientation) = (self.size(), self.container.orientation);
        // That of inks was applied by the decoder.
        let profile = self.profile.filter(|_| !self.container.has_inks());
        // Without loss, and with whatever transparency there is.
        let format = match self.container.kind {
            Kind::Jpeg(_) => Format::Jpeg,
            _ => Format::Png,
        };
        if format != self.container.format() {
            changes.push(Change::Rewritten(format.mime().to_owned()));
        }
        drop(self.container.clean);
        pixels.resize(target)?;
        let mut pixels = pixels.turned(orientation);
        if let Some(profile) = profile {
            colours::to_srgb(&mut pixels, &profile);
        }
        Ok(Fitted {
            bytes: encode::encode(&pixels, format)?.into(),
            format,
            size,
            changes,
        })
    }
}

/// At most the longest side, in the same shape.
fn shrunk((width, height): (u32, u32)) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= LONGEST_SIDE {
        return (width, height);
    }
    let side = |side: u32| {
        let scaled = u64::from(side) * u64::from(LONGEST_SIDE) + u64::from(longest) / 2;
        u32::try_from(scaled / u64::from(longest)).map_or(LONGEST_SIDE, |side| side.max(1))
    };
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_shape_and_their_limit() {
        for (from, to) in [
            ((4032, 3024), (2048, 1536)),
            ((3024, 4032), (1536, 2048)),
            ((2048, 2048), (2048, 2048)),
            ((2049, 1), (2048, 1)),
            ((65535, 1), (2048, 1)),
            ((5000, 4999), (2048, 2048)),
            ((100, 50), (100, 50)),
        ] {
            assert_eq!(shrunk(from), to, "{from:?}");
        }
    }
}
