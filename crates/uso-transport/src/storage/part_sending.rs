//! Sending of parts, some at a time.

use std::ops::Range;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::description::Description;
use super::parts::Parts;
use super::piece::Piece;
use super::uploader::Uploader;
use super::way::Way;
use crate::error::{Error, Result};
use crate::kind::{ErrorKind, Operation};

/// Parts on their way at a time: enough to fill a line, few enough to share it.
const AT_ONCE: usize = 6;

/// Sends every part that has not arrived. What arrives is kept, whatever becomes of the others.
pub(super) async fn send_parts(
    uploader: &Uploader,
    way: &Way,
    description: &Arc<Description>,
    parts: &mut Parts,
    piece: impl Fn(Range<u64>) -> Piece + Clone + Send + Sync + 'static,
) -> Result<()> {
    let mut missing = parts.missing().into_iter();
    let mut sending = JoinSet::new();
    let mut failed = None;
    loop {
        while failed.is_none()
            && sending.len() < AT_ONCE
            && let Some(number) = missing.next()
        {
            let (uploader, way) = (uploader.clone(), way.clone());
            let (description, piece) = (Arc::clone(description), piece.clone());
            let range = parts.range(number);
            sending.spawn(async move {
                let piece = || piece(range.clone());
                let sent = uploader.send_part(&way, &description, number, piece);
                (number, sent.await)
            });
        }
        match sending.join_next().await {
            None => break,
            Some(Ok((number, Ok(tag)))) => parts.arrived(number, tag),
            // The others are let through to their end, so that they need not be sent again.
            Some(Ok((_, Err(error)))) => failed = failed.or(Some(error)),
            Some(Err(error)) => {
                let message = "the runtime ended while a part was sent";
                let given_up =
                    Error::new(Operation::Upload, ErrorKind::Io, message).with_source(error);
                failed = failed.or(Some(given_up));
            }
        }
    }
    failed.map_or(Ok(()), Err)
}
