//! A request for storage, and the refusals that its handlers share.

use bytes::Bytes;
use http::HeaderMap;

use crate::server::address::Base;
use crate::server::respond::{Response, detail};

/// A request for storage, read and routed.
pub(crate) struct Call<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
    pub(crate) body: &'a Bytes,
    pub(crate) base: &'a Base,
}

pub(super) type Answer = Result<Response, Box<Response>>;

pub(super) fn refuse<T>(status: u16, text: &str) -> Result<T, Box<Response>> {
    Err(Box::new(detail(status, text)))
}

/// What the storage keeps of a file's name, behind its own random beginning.
pub(super) fn ending(file_name: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
        _ => '_',
    };
    let kept: String = file_name.chars().take(100).map(plain).collect();
    format!("_{kept}")
}
