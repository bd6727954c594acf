//! PNG, decoded row by row to 8 bits a channel.

use std::cell::Cell;
use std::io::Cursor;

use png::{BitDepth, DecodeOptions, Decoder, DecodingError, Transformations};

use super::super::pixels::{Pixels, index};
use super::damage::damaged;
use crate::reference::container::Png;

pub(super) fn decode(file: &Png, clean: &[u8]) -> Result<Pixels, String> {
    let pixels = rows(file, clean).map_err(|error| match error {
        DecodingError::LimitsExceeded => "too large to be decoded here; shrink it first".to_owned(),
        other => damaged(&other),
    })?;
    pixels.whole()
}

fn rows(file: &Png, clean: &[u8]) -> Result<Pixels, DecodingError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_adler32(false);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(clean), options);
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let (colour, depth) = reader.output_color_type();
    let is_deep = depth == BitDepth::Sixteen;
    let channels = colour.samples();
    let mut bytes = Vec::new();
    if file.is_interlaced {
        let length = reader
            .output_buffer_size()
            .ok_or(DecodingError::LimitsExceeded)?;
        bytes.resize(length, 0);
        reader.next_frame(&mut bytes)?;
        if is_deep {
            make_shallow(&mut bytes);
        }
    } else {
        bytes.reserve_exact(index(file.size.0) * index(file.size.1) * channels);
        while let Some(row) = reader.next_row()? {
            match is_deep {
                true => bytes.extend(row.data().as_chunks().0.iter().copied().map(shallow)),
                false => bytes.extend_from_slice(row.data()),
            }
        }
    }
    reader.finish()?;
    Ok(Pixels::new(file.size, channels, bytes))
}

/// 16 bits, rounded to 8.
fn shallow(deep: [u8; 2]) -> u8 {
    let rounded = (u32::from(u16::from_be_bytes(deep)) + 128) / 257;
    u8::try_from(rounded).unwrap_or(u8::MAX)
}

/// Rounds 16 bits a channel to 8, in the same memory.
fn make_shallow(bytes: &mut Vec<u8>) {
    let cells = Cell::from_mut(bytes.as_mut_slice()).as_slice_of_cells();
    for ([high, low], to) in cells.as_chunks().0.iter().zip(cells) {
        to.set(shallow([high.get(), low.get()]));
    }
    bytes.truncate(bytes.len() / 2);
    bytes.shrink_to_fit();
}
