//! Piece of a source: the body of one request, and the count of what was sent.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::opened::{CHUNK, Changed, Opened};
use super::progress::Progress;
use crate::error::Error;
use crate::http::RequestBody;

/// Chunks of a piece that are read ahead.
const AHEAD: usize = 2;

/// A range of a source on its way: the body of one request.
pub(super) struct Piece {
    feed: Feed,
    length: u64,
    sent: u64,
    watched: Watched,
}

/// What stays of a piece when it has gone out.
#[derive(Clone)]
pub(super) struct Watched(Arc<Counted>);

/// What was counted of one piece. It is taken back unless the piece arrived.
struct Counted {
    sent: AtomicU64,
    /// Nothing more is counted: the request is over.
    is_over: AtomicBool,
    progress: Progress,
    fault: OnceLock<Changed>,
}

impl Watched {
    /// The request is over; what was counted stays if the piece arrived.
    pub(super) fn end(&self, arrived: bool) {
        self.0.is_over.store(true, Ordering::Relaxed);
        if arrived {
            self.0.sent.store(0, Ordering::Relaxed);
        } else {
            self.0.take_back();
        }
    }

    /// Bytes that were handed to the connection.
    pub(super) fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// A fault of the file itself, apart from those of the line.
    pub(super) fn fault(&self) -> Option<Error> {
        self.0.fault.get().map(Changed::to_error)
    }
}

impl Counted {
    fn count(&self, bytes: u64) {
        if !self.is_over.load(Ordering::Relaxed) {
            self.sent.fetch_add(bytes, Ordering::Relaxed);
            self.progress.change(|sent| sent.saturating_add(bytes));
        }
    }

    fn take_back(&self) {
        let bytes = self.sent.swap(0, Ordering::Relaxed);
        if bytes > 0 {
            self.progress.change(|sent| sent.saturating_sub(bytes));
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// Where its bytes come from.
pub(super) enum Feed {
    Bytes(Bytes),
    File {
        opened: Arc<Opened>,
        range: Range<u64>,
        /// Chunks from the thread that reads, which starts with the first look at the body.
        chunks: Option<mpsc::Receiver<Result<Bytes, Changed>>>,
    },
}

impl Piece {
    pub(super) fn new(feed: Feed, length: u64, progress: Progress) -> Self {
        Self {
            feed,
            length,
            sent: 0,
            watched: Watched(Arc::new(Counted {
                sent: AtomicU64::new(0),
                is_over: AtomicBool::new(false),
                progress,
                fault: OnceLock::new(),
            })),
        }
    }

    pub(super) fn watched(&self) -> Watched {
        self.watched.clone()
    }
}

impl From<Piece> for RequestBody {
    fn from(piece: Piece) -> Self {
        Self::stream(piece)
    }
}

impl Body for Piece {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = &mut *self;
        let next = match &mut piece.feed {
            Feed::Bytes(bytes) => {
                let chunk = bytes.split_to(bytes.len().min(CHUNK));
                (!chunk.is_empty()).then_some(Ok(chunk))
            }
            Feed::File {
                opened,
                range,
                chunks,
            } => {
                let chunks = chunks.get_or_insert_with(|| {
                    let (sender, receiver) = mpsc::channel(AHEAD);
                    let (opened, range) = (Arc::clone(opened), range.clone());
                    tokio::task::spawn_blocking(move || opened.feed(range, &sender));
                    receiver
                });
                ready!(chunks.poll_recv(context))
            }
        };
        Poll::Ready(match next {
            None => None,
            Some(Ok(chunk)) => {
                let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                piece.sent += length;
                piece.watched.0.count(length);
                Some(Ok(Frame::data(chunk)))
            }
            Some(Err(fault)) => {
                let error = io::Error::other("the file could not be read to its end");
                // Only the first fault of a piece is of interest.
                let _ = piece.watched.0.fault.set(fault);
                Some(Err(error))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length.saturating_sub(self.sent))
    }
}
