//! JPEG, decoded at full size or reduced.

use std::collections::VecDeque;
use std::io::{self, Read};

use jpeg_decoder::{ColorTransform, Decoder, Error};
use moxcms::ColorProfile;

use super::super::colours;
use super::super::pixels::Pixels;
use crate::reference::container::{Colours, Frame, Jpeg};

/// A picture is only decoded at a reduced scale that is this many tenths of the target: the
/// resizer's filter then hides how the decoder reduced.
const ABOVE_TARGET: u64 = 19;

/// Put behind the data of a scan: ones, which no code consists of. A decoder that runs beyond the
/// end of cut data would go on with zeros and paint the rest grey; here it meets these and fails.
/// A decoder that is done skips them.
const BEYOND_SCAN: [[u8; 2]; 32] = [[0xff, 0x00]; 32];

/// Eighths of the full size at which a frame is decoded.
fn scale(size: (u32, u32), target: (u32, u32)) -> u32 {
    let reaches = |eighths: u32, side: u32, target: u32| {
        u64::from(side) * u64::from(eighths) * 10 >= u64::from(target) * 8 * ABOVE_TARGET
    };
    let is_enough =
        |eighths: &u32| reaches(*eighths, size.0, target.0) && reaches(*eighths, size.1, target.1);
    [1, 2, 4].into_iter().find(is_enough).unwrap_or(8)
}

fn reduced(side: u32, eighths: u32) -> u32 {
    (side * eighths).div_ceil(8)
}

/// Bytes while decoding, the size of what is decoded, and its channels.
pub(super) fn memory(frame: &Frame, target: (u32, u32)) -> (u64, (u32, u32), u64) {
    let eighths = scale(frame.size, target);
    let size = (
        reduced(frame.size.0, eighths),
        reduced(frame.size.1, eighths),
    );
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let sampling =
        |(_, horizontal, vertical): &(u8, u8, u8)| u64::from(*horizontal) * u64::from(*vertical);
    let (horizontal, vertical) = frame.components.iter().fold((1, 1), |most, component| {
        (most.0.max(component.1), most.1.max(component.2))
    });
    let most = u64::from(horizontal) * u64::from(vertical);
    let samples: u64 = frame.components.iter().map(sampling).sum();
    let channels = u64::try_from(frame.components.len()).unwrap_or(4);
    let planes = area(size) * samples / most;
    let coefficients = match frame.is_progressive {
        true => 2 * area(frame.size) * samples / most,
        false => 0,
    };
    (
        coefficients + planes + channels * area(size),
        size,
        channels,
    )
}

/// Decodes a picture; inks become RGB by their profile.
pub(super) fn decode(
    file: &Jpeg,
    clean: &[u8],
    target: (u32, u32),
    profile: Option<&ColorProfile>,
) -> Result<Pixels, String> {
    let full = file.frame.size;
    let eighths = scale(full, target);
    let mut decoder = Decoder::new(spliced(clean, &file.scan_ends));
    decoder.set_color_transform(match file.colours {
        Colours::Grey => ColorTransform::Grayscale,
        Colours::Rgb => ColorTransform::RGB,
        Colours::YCbCr => ColorTransform::YCbCr,
        Colours::Inks { is_ycck: false } => ColorTransform::CMYK,
        Colours::Inks { is_ycck: true } => ColorTransform::YCCK,
    });
    if eighths < 8 {
        let side = |side: u32| u16::try_from(reduced(side, eighths)).unwrap_or(u16::MAX);
        decoder.scale(side(full.0), side(full.1)).map_err(refused)?;
    }
    let bytes = decoder.decode().map_err(refused)?;
    let size = decoder
        .info()
        .map_or(full, |info| (info.width.into(), info.height.into()));
    drop(decoder);
    let (channels, bytes) = match file.colours {
        Colours::Grey => (1, bytes),
        Colours::Inks { .. } => (3, colours::light(bytes, profile)),
        _ => (3, bytes),
    };
    let extent = |side: u32| f64::from(side) * f64::from(eighths) / 8.0;
    Ok(Pixels {
        extent: (extent(full.0), extent(full.1)),
        ..Pixels::new(size, channels, bytes).whole()?
    })
}

fn refused(error: Error) -> String {
    match error {
        Error::Unsupported(feature) => {
            format!("a JPEG of a rare kind ({feature:?}); export it again")
        }
        Error::Format(why) if why.contains("huffman code") => {
            "damaged: its pixels end early".to_owned()
        }
        Error::Io(_) => "damaged: its pixels end early".to_owned(),
        other => format!("damaged: {other}"),
    }
}

/// The file with ones behind the data of each scan.
fn spliced<'a>(clean: &'a [u8], scan_ends: &[usize]) -> Spliced<'a> {
    let mut parts = VecDeque::new();
    let mut from = 0;
    for end in scan_ends {
        parts.extend([
            clean.get(from..*end).unwrap_or_default(),
            BEYOND_SCAN.as_flattened(),
        ]);
        from = *end;
    }
    parts.push_back(clean.get(from..).unwrap_or_default());
    Spliced { part: &[], parts }
}

/// Slices that are read one after the other.
struct Spliced<'a> {
    part: &'a [u8],
    parts: VecDeque<&'a [u8]>,
}

impl Read for Spliced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.part.is_empty() {
                return self.part.read(buffer);
            }
            match self.parts.pop_front() {
                Some(next) => self.part = next,
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduced_scale_stays_well_above_the_target() {
        for (size, target, eighths) in [
            ((4032, 3024), (2048, 1536), 8),
            ((8064, 6048), (2048, 1536), 4),
            ((7780, 5836), (2048, 1536), 8),
            ((16320, 12240), (2048, 1536), 2),
            ((640, 480), (640, 480), 8),
        ] {
            assert_eq!(scale(size, target), eighths, "{size:?}");
        }
    }
}
