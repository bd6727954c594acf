//! Purchases whose outcome is not recorded yet, and who owns their requests meanwhile.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uso_transport::{Operation, Ticket};

use crate::caller::Caller;
use crate::purchase::Purchase;

/// Purchases whose outcome is known and could not be recorded yet.
#[derive(Default)]
pub(crate) struct Unrecorded(Mutex<Vec<Purchase>>);

impl Unrecorded {
    pub(crate) fn add(&self, purchase: &Purchase) {
        self.list().push(purchase.clone());
    }

    pub(crate) fn remove(&self, purchase: &Purchase) {
        self.list().retain(|other| other.id != purchase.id);
    }

    /// Whether this caller bought this request with one of these purchases.
    pub(crate) fn owns(&self, caller: &Caller, ticket: &Ticket) -> bool {
        self.list().iter().any(|purchase| {
            purchase.operation == Operation::Submit
                && purchase.caller == *caller
                && purchase.endpoint.app() == ticket.endpoint().app()
                && purchase.request_id.as_deref() == Some(ticket.request_id())
        })
    }

    fn list(&self) -> MutexGuard<'_, Vec<Purchase>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
