//! Guarded body: goes out only while a condition holds, which is checked when the connection asks for
//! the first byte.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::order::Guard;

/// A body that is handed out only while its guard allows it.
///
/// Over HTTP/1 the head waits in the same buffer as the first bytes of the body, so that nothing
/// leaves. Over HTTP/2 the head may have left: the service then sees a POST without a body that is
/// reset, which is no request.
pub(crate) struct Guarded {
    /// What has not gone out yet.
    body: Option<Bytes>,
    guard: Guard,
}

/// Nothing of the body left, because the guard did not allow it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the permission to send had ended")]
pub(super) struct Withheld;

impl Guarded {
    pub(crate) fn new(bytes: Bytes, guard: Guard) -> Self {
        let body = Some(bytes);
        Self { body, guard }
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(body) = self.body.take() else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(match self.guard.allows() {
            true => Ok(Frame::data(body)),
            false => Err(io::Error::other(Withheld)),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.body.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

/// Whether a request failed because its guard did not allow it.
pub(super) fn is_withheld(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(found) = cause {
        let io = found.downcast_ref::<io::Error>();
        if io
            .and_then(io::Error::get_ref)
            .is_some_and(<dyn StdError + Send + Sync>::is::<Withheld>)
        {
            return true;
        }
        cause = found.source();
    }
    false
}
