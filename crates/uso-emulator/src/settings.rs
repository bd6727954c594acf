//! Settings of an emulator.

use std::time::Duration;

use crate::picture::PictureMode;
use crate::queue::Retention;
use crate::webhook::policy::WebhookPolicy;

/// What can be set, after `speed` has been applied.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) inference_time: Duration,
    pub(crate) concurrency: usize,
    pub(crate) allow_anonymous: bool,
    pub(crate) allow_any_origin: bool,
    /// Keys that are known; empty for any key of the right form.
    pub(crate) keys: Vec<String>,
    pub(crate) cancellable: bool,
    pub(crate) picture: PictureMode,
    pub(crate) index_delay: Duration,
    pub(crate) retention: Retention,
    pub(crate) webhooks: WebhookPolicy,
}
