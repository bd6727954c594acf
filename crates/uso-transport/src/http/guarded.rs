//! Guarded body: goes out only while a condition holds, which is checked when the connection asks for
//! the first byte.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::error::Error;
use crate::kind::{ErrorKind, Operation};
use crate::order::Guard;

/// Whether a guard withheld a body. Over HTTP/2 the error of a body reaches only its connection, so
/// that the sender asks here.
#[derive(Clone, Default)]
pub(crate) struct Withheld(Arc<AtomicBool>);

impl Withheld {
    pub(crate) fn happened(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The error of a purchase whose body was withheld.
    pub(crate) fn error(operation: Operation) -> Error {
        let message = format!("{operation} was not sent: the permission to send had ended");
        Error::new(operation, ErrorKind::Deadline, message)
    }
}

/// A body that is handed out only while its guard allows it.
///
/// Over HTTP/1 the head waits in the same buffer as the first bytes of the body, so that nothing
/// leaves. Over HTTP/2 the head may have left: the service then sees a POST without a body that is
/// reset, which is no request.
pub(crate) struct Guarded {
    /// What has not gone out yet.
    body: Option<Bytes>,
    guard: Guard,
    withheld: Withheld,
}

impl Guarded {
    pub(crate) fn new(bytes: Bytes, guard: Guard, withheld: Withheld) -> Self {
        Self {
            body: Some(bytes),
            guard,
            withheld,
        }
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
        if self.guard.allows() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        self.withheld.0.store(true, Ordering::Release);
        let why = io::Error::other("the permission to send had ended");
        Poll::Ready(Some(Err(why)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.body.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
