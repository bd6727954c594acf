//! Headers of requests.

use http::HeaderMap;
use http::header::AsHeaderName;

/// The only header of a name; two of them are none.
pub(crate) fn single(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}
