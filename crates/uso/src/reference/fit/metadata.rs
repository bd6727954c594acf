//! Dropping metadata without touching a pixel.

use bytes::Bytes;
use img_parts::png::Png;
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::WebP;

use super::Format;
use super::jpeg::Jpeg;

/// Chunks of a PNG that change how the picture looks.
const PNG_CHUNKS: [&[u8; 4]; 12] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP",
    b"sBIT", b"bKGD",
];

/// The same of a WebP.
const WEBP_CHUNKS: [&[u8; 4]; 5] = [b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP"];

/// Whether the file has anything that is not needed to show the picture.
pub(super) fn is_in(bytes: &Bytes, format: Format) -> Result<bool, String> {
    Ok(match format {
        Format::Jpeg => Jpeg::walk(bytes)?.has_metadata(),
        Format::Png => {
            let png = Png::from_bytes(bytes.clone()).map_err(damaged)?;
            let mut chunks = png.chunks().iter();
            chunks.any(|chunk| !PNG_CHUNKS.contains(&&chunk.kind()))
        }
        Format::WebP => {
            let webp = WebP::from_bytes(bytes.clone()).map_err(damaged)?;
            let mut chunks = webp.chunks().iter();
            chunks.any(|chunk| !WEBP_CHUNKS.contains(&&chunk.id()))
        }
        // Comments and the like; it is written anew in any case, which drops them.
        Format::Gif => false,
    })
}

/// The file without it.
pub(super) fn dropped(bytes: &Bytes, format: Format) -> Result<Bytes, String> {
    Ok(match format {
        Format::Jpeg => Jpeg::walk(bytes)?.without_metadata().into(),
        Format::Png => {
            let mut png = Png::from_bytes(bytes.clone()).map_err(damaged)?;
            png.chunks_mut()
                .retain(|chunk| PNG_CHUNKS.contains(&&chunk.kind()));
            png.encoder().bytes()
        }
        Format::WebP => {
            let mut webp = WebP::from_bytes(bytes.clone()).map_err(damaged)?;
            webp.chunks_mut()
                .retain(|chunk| WEBP_CHUNKS.contains(&&chunk.id()));
            webp.chunks_mut().iter_mut().for_each(unflag);
            webp.encoder().bytes()
        }
        Format::Gif => bytes.clone(),
    })
}

fn damaged(error: img_parts::Error) -> String {
    format!("damaged: {error}")
}

/// Takes the flags for EXIF and XMP out of a WebP's header.
fn unflag(chunk: &mut RiffChunk) {
    const EXIF: u8 = 0x08;
    const XMP: u8 = 0x04;
    if let RiffContent::Data(header) = chunk.content()
        && chunk.id() == *b"VP8X"
    {
        let mut header = header.to_vec();
        if let Some(flags) = header.first_mut() {
            *flags &= !(EXIF | XMP);
        }
        *chunk = RiffChunk::new(*b"VP8X", RiffContent::Data(header.into()));
    }
}
