//! What must be there before a purchase is sent.

use std::time::Instant;

use http::StatusCode;
use uso_transport::{Forward, MicroDollars, Operation};

use super::Shared;
use crate::caller::Caller;
use crate::flights::Flight;
use crate::limits::{OverLimit, SetAside};
use crate::owners::{Full, Room};
use crate::price::Price;
use crate::purchase::Order;
use crate::refusal::Refusal;
use crate::repeats::Sameness;
use crate::settings::Endpoint;

impl Shared {
    /// A purchase for which there is money, and room to remember it by.
    pub(super) fn order(
        &self,
        caller: Caller,
        flight: Flight,
        endpoint: &Endpoint,
        price: Price,
        sameness: Sameness,
        forward: Forward,
    ) -> Result<Order, Refusal> {
        let now = Instant::now();
        let under_way = self.repeats.begin(sameness, now);
        let under_way =
            under_way.map_err(|suspect| Refusal::repeated(forward.operation, &suspect))?;
        let (room, set_aside) = match self.cover(&caller, forward.operation, price, now) {
            Ok(covered) => covered,
            Err(refusal) => {
                under_way.settle();
                return Err(refusal);
            }
        };
        Ok(Order {
            caller,
            endpoint: endpoint.id.clone(),
            estimate: price.estimate,
            set_aside,
            room,
            under_way,
            flight,
            forward,
        })
    }

    fn cover(
        &self,
        caller: &Caller,
        operation: Operation,
        price: Price,
        now: Instant,
    ) -> Result<(Option<Room>, SetAside), Refusal> {
        let room = match operation {
            Operation::Submit => Some(self.owners.reserve(caller, now)),
            _ => None,
        };
        let room = room.transpose().map_err(|full| {
            // Room comes about when an old one has had its time.
            let wait = self.settings.requests_kept_for / 24;
            match full {
                Full::Caller => {
                    let share = self.settings.requests_kept_each;
                    let why = format!("{share} requests of one caller are remembered, which is all; nothing was sent");
                    Refusal::too_much(why, wait)
                }
                Full::Everybody => {
                    Refusal::busy("no more requests can be remembered; nothing was sent", wait)
                }
            }
        })?;
        let set_aside = self.limits.set_aside(caller, price.counted, now);
        let set_aside = set_aside.map_err(|over| self.too_dear(price.counted, &over))?;
        Ok((room, set_aside))
    }

    fn too_dear(&self, counted: MicroDollars, over: &OverLimit) -> Refusal {
        let limit = self.limits.spending_per_day();
        match over {
            OverLimit::Until(wait) => Refusal::too_much(
                format!(
                    "this counts {counted}, and would take its caller over {limit} in 24 hours; nothing was sent"
                ),
                *wait,
            ),
            OverLimit::Always => Refusal::new(
                StatusCode::FORBIDDEN,
                format!(
                    "this counts {counted}, and a caller may spend {limit} in 24 hours; nothing was sent"
                ),
            ),
        }
    }
}
