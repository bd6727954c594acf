//! State that all requests of a proxy share.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderMap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uso_transport::Transport;

use crate::caller::Caller;
use crate::settings::Settings;
use crate::traffic::Traffic;
use crate::unrecorded::Unrecorded;

pub(crate) type Check = Box<dyn Fn(HeaderMap) -> BoxFuture<'static, Option<Caller>> + Send + Sync>;

pub(crate) struct Shared {
    pub(crate) transport: Transport,
    pub(crate) settings: Settings,
    pub(crate) check: Check,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) unrecorded: Unrecorded,
    /// Requests that are being checked, and purchases until they are recorded: the close waits for
    /// them.
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
    pub(crate) given_up: CancellationToken,
}
