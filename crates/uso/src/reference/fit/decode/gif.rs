//! GIF: the first frame.

use gif::{ColorOutput, DecodeOptions};

use super::super::pixels::Pixels;
use super::damage::damaged;

pub(super) fn decode(file: &[u8], size: (u32, u32)) -> Result<Pixels, String> {
    let (place, pixels) = first_frame(file)?;
    Ok(match pixels.size == size && place == (0, 0) {
        true => pixels,
        false => pixels.placed(size, place),
    })
}

/// The first frame and its place, which is inside the picture.
fn first_frame(file: &[u8]) -> Result<((u32, u32), Pixels), String> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.check_frame_consistency(true);
    let mut decoder = options.read_info(file).map_err(|error| damaged(&error))?;
    let frame = decoder.next_frame_info().map_err(|error| damaged(&error))?;
    let frame = frame.ok_or("damaged: it has no frame")?;
    let place = (frame.left.into(), frame.top.into());
    let size = (frame.width.into(), frame.height.into());
    let mut bytes = vec![0; decoder.buffer_size()];
    let read = decoder.read_into_buffer(&mut bytes);
    read.map_err(|error| damaged(&error))?;
    Ok((place, Pixels::new(size, 4, bytes)))
}
