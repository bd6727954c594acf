//! GIF: the first frame.

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::super::pixels::{Pixels, index};
use super::damage::damaged;

pub(super) fn decode(file: &[u8], size: (u32, u32)) -> Result<Pixels, String> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.check_frame_consistency(true);
    let largest = index(size.0)
        .saturating_mul(index(size.1))
        .saturating_mul(4);
    options.set_memory_limit(
        match std::num::NonZeroU64::new(largest.try_into().unwrap_or(u64::MAX)) {
            Some(largest) => MemoryLimit::Bytes(largest),
            None => MemoryLimit::Unlimited,
        },
    );
    let mut decoder = options.read_info(file).map_err(|error| damaged(&error))?;
    let frame = decoder.read_next_frame().map_err(|error| damaged(&error))?;
    let frame = frame.ok_or("damaged: it has no frame")?;
    let place = (frame.left.into(), frame.top.into());
    let frame_size = (frame.width.into(), frame.height.into());
    let pixels = Pixels::new(frame_size, 4, frame.buffer.to_vec());
    Ok(match frame_size == size && place == (0, 0) {
        true => pixels,
        false => pixels.placed(size, place),
    })
}
