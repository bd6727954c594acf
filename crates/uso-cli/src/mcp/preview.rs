//! Preview of a saved picture: a small JPEG inside of a tool result.

use std::io::Cursor;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use rmcp::model::ContentBlock;

/// Longest side in pixels.
const SIDE: u32 = 512;

/// Quality of the JPEG.
const QUALITY: u8 = 75;

/// The preview, or a line that says why there is none: the pictures are on disk all the same.
pub(crate) async fn of(path: &Path) -> ContentBlock {
    let path = path.to_owned();
    let shown = path.display().to_string();
    let made = tokio::task::spawn_blocking(move || small(&path)).await;
    let made = made.unwrap_or_else(|_| Err("it could not be decoded".to_owned()));
    match made {
        Ok(jpeg) => ContentBlock::image(STANDARD.encode(jpeg), "image/jpeg"),
        Err(why) => ContentBlock::text(format!("no preview of {shown}: {why}")),
    }
}

fn small(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let picture = image::load_from_memory(&bytes).map_err(|error| error.to_string())?;
    let picture = match picture.width().max(picture.height()) > SIDE {
        true => picture.thumbnail(SIDE, SIDE),
        false => picture,
    };
    let mut jpeg = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    let written = picture.to_rgb8().write_with_encoder(encoder);
    written.map_err(|error| error.to_string())?;
    Ok(jpeg.into_inner())
}
