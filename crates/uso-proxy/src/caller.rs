//! Name of a caller.

use std::fmt;
use std::sync::Arc;

/// Name that the check of callers gives to the caller of a request, such as an account's id.
///
/// Limits are counted and request ids are kept for each caller. The name stands in the records of
/// purchases, so it must not be a secret.
///
/// ```
/// use uso_proxy::Caller;
/// assert_eq!(Caller::new("account-7").as_str(), "account-7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller(Arc<str>);

impl Caller {
    /// The caller of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
