//! The check for a Tokio runtime, so that a call without one is an error and not a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Handle;
use uso_transport::{Error, ErrorKind, Operation, Result};

/// Checks that the calling thread is inside a Tokio runtime whose clock is enabled.
pub(crate) fn check(operation: Operation) -> Result<()> {
    let missing = |message: &str| {
        Error::new(operation, ErrorKind::Config, message).with_hint(
            "call it from a function under #[tokio::main], or with block_on of a runtime that was built with enable_all()",
        )
    };
    if Handle::try_current().is_err() {
        return Err(missing("there is no Tokio runtime"));
    }
    // Tokio offers no question for it: a timer can only be tried.
    let timer = || drop(tokio::time::sleep(Duration::ZERO));
    catch_unwind(AssertUnwindSafe(timer))
        .map_err(|_| missing("the Tokio runtime was built without time"))
}
