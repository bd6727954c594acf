//! Preview of a saved picture: a small JPEG inside a tool result.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::ContentBlock;
use uso_journal::SavedPicture;
use uso_studio::small_jpeg;

/// Longest side in pixels.
const SIDE: u32 = 512;

/// Quality of the JPEG.
const QUALITY: u8 = 75;

/// The preview, or a line with the reason why there is none. Only the content that was saved is
/// shown: whatever took the file's place may be private.
pub(crate) async fn of(picture: &SavedPicture) -> ContentBlock {
    let shown = picture.path.display().to_string();
    let picture = picture.clone();
    let made = tokio::task::spawn_blocking(move || {
        let small = |bytes| small_jpeg(Cursor::new(bytes), SIDE, QUALITY);
        picture
            .read()
            .and_then(small)
            .map_err(|error| error.to_string())
    });
    let made = made.await;
    match made.unwrap_or_else(|_| Err("the picture could not be decoded".to_owned())) {
        Ok(jpeg) => ContentBlock::image(STANDARD.encode(jpeg), "image/jpeg"),
        Err(why) => ContentBlock::text(format!("no preview of {shown}: {why}")),
    }
}
