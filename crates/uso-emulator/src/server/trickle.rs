//! I/O stream that can be slowed down to ten bytes a second.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Between two bytes.
const PAUSE: Duration = Duration::from_millis(100);

/// Passes everything through, until told to write one byte at a time.
pub(crate) struct Trickle<S> {
    inner: S,
    slow: Arc<AtomicBool>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Trickle<S> {
    pub(crate) fn new(inner: S, slow: Arc<AtomicBool>) -> Self {
        Self {
            inner,
            slow,
            pause: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Trickle<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Trickle<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.slow.load(Ordering::Relaxed) {
            return Pin::new(&mut self.inner).poll_write(context, buffer);
        }
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(context));
        }
        self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
        let one = buffer.get(..1).unwrap_or_default();
        let written = Pin::new(&mut self.inner).poll_write(context, one);
        if written.is_ready() {
            // Under TLS a byte would wait in the buffer for company.
            let _ = Pin::new(&mut self.inner).poll_flush(context)?;
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.slow.load(Ordering::Relaxed) {
            return Pin::new(&mut self.inner).poll_write_vectored(context, buffers);
        }
        let first = buffers.iter().find(|buffer| !buffer.is_empty());
        self.poll_write(context, first.map_or(&[], |buffer| &**buffer))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
