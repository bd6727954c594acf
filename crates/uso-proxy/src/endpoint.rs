//! Endpoints that pages may use, and their prices.

use uso_transport::{EndpointId, MicroDollars};

/// An endpoint that pages may use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) price: Pricing,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pricing {
    /// By the size and the number of the pictures of `fal-ai/uso`.
    OfUso,
    /// The same for each request.
    Each(MicroDollars),
}
