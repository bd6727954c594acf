//! Thumbnails of results: small JPEGs for the history, made when they are first asked for.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Cursor};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;
use uso_journal::SavedPicture;

use crate::small_jpeg::small_jpeg;

/// Long side in pixels: the width of a card of the history on a dense screen.
const SIDE: u32 = 400;

/// Quality of the JPEG.
const QUALITY: u8 = 78;

/// Pictures that are decoded at a time.
const AT_A_TIME: usize = 2;

/// Bytes of thumbnails that are kept: those of several hundred results.
const KEPT: usize = 16 << 20;

/// Thumbnails by the digest of their picture, the oldest dropped first.
pub(crate) struct Thumbnails {
    kept: Mutex<Kept>,
    decoders: Semaphore,
}

#[derive(Default)]
struct Kept {
    pictures: HashMap<String, Bytes>,
    order: VecDeque<String>,
    bytes: usize,
}

impl Default for Thumbnails {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            decoders: Semaphore::new(AT_A_TIME),
        }
    }
}

impl Thumbnails {
    /// The thumbnail of a saved picture; `None` when the picture cannot be read or decoded.
    pub(crate) async fn of(&self, picture: &SavedPicture) -> Option<Bytes> {
        let digest = picture.sha256.as_str();
        if let Some(known) = self.known(digest) {
            return Some(known);
        }
        let _turn = self.decoders.acquire().await.ok()?;
        // Another request may have made it meanwhile.
        if let Some(known) = self.known(digest) {
            return Some(known);
        }
        let picture = picture.clone();
        let made = tokio::task::spawn_blocking(move || make(&picture)).await;
        let made = made.ok()?.ok()?;
        self.keep(digest, made.clone());
        Some(made)
    }

    fn known(&self, digest: &str) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pictures.get(digest).cloned()
    }

    fn keep(&self, digest: &str, picture: Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += picture.len();
        kept.order.push_back(digest.to_owned());
        kept.pictures.insert(digest.to_owned(), picture);
        while kept.bytes > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            let freed = kept.pictures.remove(&oldest);
            kept.bytes -= freed.map_or(0, |picture| picture.len());
        }
    }
}

fn make(picture: &SavedPicture) -> io::Result<Bytes> {
    let bytes = Cursor::new(picture.read()?);
    small_jpeg(bytes, SIDE, QUALITY).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_thumbnails_make_room() {
        let thumbnails = Thumbnails::default();
        for number in 0..5 {
            thumbnails.keep(&number.to_string(), Bytes::from(vec![0; KEPT / 4]));
        }
        let known: Vec<bool> = (0..5)
            .map(|number| thumbnails.known(&number.to_string()).is_some())
            .collect();
        assert_eq!(known, [false, true, true, true, true]);
    }
}
