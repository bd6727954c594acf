//! Changes that are made to a local picture before it is sent.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A change that was made to a local picture before it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// Turned or mirrored as its orientation asks for.
    Turned,
    /// Made smaller, to at most 2048 pixels a side.
    Shrunk {
        /// Width and height before, already upright.
        from: (u32, u32),
    },
    /// Everything that is not needed to show the picture was dropped: EXIF with place and camera,
    /// XMP, IPTC, comments, thumbnails, and bytes behind the end of the picture.
    MetadataDropped,
    /// Colours converted from the picture's own profile to sRGB, which models take for granted.
    ColoursConverted,
    /// Inks (CMYK, a print format) converted to RGB, by their profile where the file has one.
    InksConverted,
    /// 16 bits a channel reduced to 8.
    DepthReduced,
    /// The first frame taken out of an animation.
    FirstFrameTaken,
    /// Written in another format, the MIME type of which this is.
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
