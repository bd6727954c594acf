//! Content of a purchase: its request or its order.

use uso::purchase::{EndpointId, Order, Recipe};
use uso::{MicroDollars, Request};

use crate::error::Error;
use crate::money::{Quote, UnitPrice};

/// What a purchase asks for.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Request(Box<Request>),
    /// An order of any endpoint, whose price only the caller knows.
    Order(Order),
}

impl From<Request> for Asked {
    fn from(request: Request) -> Self {
        Self::Request(Box::new(request))
    }
}

impl Asked {
    pub(crate) fn endpoint(&self) -> EndpointId {
        match self {
            Self::Request(_) => EndpointId::uso(),
            Self::Order(order) => order.intent().endpoint().clone(),
        }
    }

    /// Nothing is sent; local pictures are read.
    pub(crate) async fn recipe(&self) -> Result<Recipe, Error> {
        let recipe = match self {
            Self::Request(request) => request.recipe().await,
            Self::Order(order) => Recipe::of_order(order),
        };
        recipe.map_err(Error::Request)
    }

    /// The price at this price of a unit, and at most the bound that the caller names.
    pub(crate) async fn quote(
        &self,
        unit: Option<UnitPrice>,
        bound: Option<MicroDollars>,
    ) -> Result<Quote, Error> {
        match self {
            Self::Request(request) => {
                let estimate = request.estimate().await.map_err(Error::Request)?;
                Ok(Quote::new(&estimate, unit))
            }
            Self::Order(_) => Ok(Quote {
                unit,
                estimate: None,
                bound,
            }),
        }
    }
}
