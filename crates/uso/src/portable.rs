//! A request without local pictures, so that another machine can buy it.

use std::fmt;

use serde::{Deserialize, Serialize};
use uso_types::UsoInput;

use crate::request::{Request, Terms};

/// A request whose pictures are at the service. As JSON it can be stored and bought on another
/// machine: it becomes a [`Request`] again, with the same seed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Portable {
    input: UsoInput,
    #[serde(flatten)]
    terms: Terms,
}

impl fmt::Debug for Portable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Prompts are private to the caller, and URLs of uploads are credentials.
        f.debug_struct("Portable")
            .field("seed", &self.input.seed)
            .finish_non_exhaustive()
    }
}

impl Portable {
    pub(crate) fn new(request: &Request, input: UsoInput) -> Self {
        Self {
            input,
            terms: request.terms.clone(),
        }
    }
}

impl From<Portable> for Request {
    fn from(portable: Portable) -> Self {
        let mut request = Self::raw(portable.input);
        request.terms = portable.terms;
        request
    }
}
