//! A token that stops purchases before they are sent.

use tokio::sync::watch;

/// Stops batches and purchases: no further purchase begins, one that was not sent yet is withdrawn
/// (a row of a batch is then left to its next run), and those that were sent continue to their end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// A token that is not pulled yet. Clones are the same token.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Stops everything that has this token.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) async fn stopped(&self) {
        // The sender is this token itself, so that the channel is open.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}
