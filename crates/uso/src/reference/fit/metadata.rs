//! Dropping metadata without touching a pixel.

use bytes::Bytes;
use img_parts::jpeg::{Jpeg, markers};
use img_parts::png::Png;
use img_parts::riff::RiffContent;
use img_parts::webp::WebP;

use super::Format;

/// The file without what is not needed to show it, and whether that was anything.
pub(super) fn drop(bytes: &Bytes, format: Format) -> Result<(Bytes, bool), String> {
    let damaged = |error: img_parts::Error| format!("damaged: {error}");
    let kept = match format {
        Format::Jpeg => jpeg(Jpeg::from_bytes(bytes.clone()).map_err(damaged)?),
        Format::Png => png(Png::from_bytes(bytes.clone()).map_err(damaged)?),
        Format::WebP => webp(WebP::from_bytes(bytes.clone()).map_err(damaged)?),
        // A GIF is always written anew.
        Format::Gif => None,
    };
    Ok(match kept {
        // Only the same file is as long as the file: nothing is ever added.
        Some(kept) if kept.len() < bytes.len() => (kept, true),
        _ => (bytes.clone(), false),
    })
}

/// Everything that an application wrote goes, but for what decoders need: the JFIF header, the
/// colour profile and the note on the colour transform. Further pictures behind the end (previews,
/// gain maps) carry metadata of their own and go as well.
fn jpeg(mut jpeg: Jpeg) -> Option<Bytes> {
    jpeg.segments_mut().retain(|segment| {
        let contents = segment.contents();
        match segment.marker() {
            markers::APP0 => contents.starts_with(b"JFIF\0"),
            markers::APP2 => contents.starts_with(b"ICC_PROFILE\0"),
            markers::APP14 => contents.starts_with(b"Adobe"),
            markers::APP1 | markers::APP3..=markers::APP13 | markers::APP15 | markers::COM => false,
            _ => true,
        }
    });
    Some(jpeg.encoder().bytes())
}

/// Chunks that change how the picture looks.
const PNG_CHUNKS: [&[u8; 4]; 12] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP",
    b"sBIT", b"bKGD",
];

fn png(mut png: Png) -> Option<Bytes> {
    png.chunks_mut()
        .retain(|chunk| PNG_CHUNKS.contains(&&chunk.kind()));
    Some(png.encoder().bytes())
}

/// In the header's flags, the chunks of metadata.
const WEBP_EXIF: u8 = 0x08;
const WEBP_XMP: u8 = 0x04;

fn webp(mut webp: WebP) -> Option<Bytes> {
    const CHUNKS: [&[u8; 4]; 5] = [b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP"];
    webp.chunks_mut()
        .retain(|chunk| CHUNKS.contains(&&chunk.id()));
    for chunk in webp.chunks_mut() {
        let RiffContent::Data(header) = chunk.content() else {
            continue;
        };
        if chunk.id() == *b"VP8X" {
            let mut header = header.to_vec();
            if let Some(flags) = header.first_mut() {
                *flags &= !(WEBP_EXIF | WEBP_XMP);
            }
            let header = RiffContent::Data(header.into());
            *chunk = img_parts::riff::RiffChunk::new(*b"VP8X", header);
        }
    }
    Some(webp.encoder().bytes())
}
