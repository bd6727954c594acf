//! Source of a batch's purchases: rows that its caller gives, or rows of the journal that are offered
//! to every worker.

use std::collections::VecDeque;

use uso::Request;

use crate::asked::Asked;
use crate::batch_row::BatchRow;
use crate::error::{BudgetStop, Error};
use crate::purchase::LocalId;
use crate::row::{Row, Step};
use crate::shared::Shared;
use crate::store::Offer;

/// Rows that one claim takes up at the most. More of them save little, and hold the budget of the
/// account for longer.
const CLAIM: usize = 16;

/// Source of a batch's purchases.
pub(crate) enum Source {
    Given {
        rows: Box<dyn Iterator<Item = BatchRow> + Send>,
        /// Rows that begin again.
        again: VecDeque<BatchRow>,
    },
    Offered(Offer),
}

/// A purchase that begins.
pub(crate) enum Wanted {
    Given(Box<BatchRow>),
    /// A row that this worker holds already.
    Held(Box<Row>),
}

/// The answer of a source.
pub(crate) enum Next {
    Wanted(Vec<Wanted>),
    /// Other workers have rows, which may become free.
    Later,
    End,
    Stop(BudgetStop),
}

impl Wanted {
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Given(row) => &row.key,
            Self::Held(row) => &row.purchase.key,
        }
    }
}

impl Source {
    pub(crate) fn given(rows: Box<dyn Iterator<Item = BatchRow> + Send>) -> Self {
        let (rows, again) = (Box::new(rows.fuse()), VecDeque::new());
        Self::Given { rows, again }
    }

    /// The next purchases, so many at the most. Each of them has to begin: this worker holds the rows.
    pub(crate) async fn next(&mut self, most: usize, shared: &Shared) -> Result<Next, Error> {
        let offer = match self {
            Self::Given { rows, again } => {
                // Last, as what holds one row up may be no matter of the others: an upload, for one.
                let next = rows.next().or_else(|| again.pop_front());
                let next = next.map(|row| vec![Wanted::Given(Box::new(row))]);
                return Ok(next.map_or(Next::End, Next::Wanted));
            }
            Self::Offered(offer) => offer,
        };
        let most = most.min(CLAIM);
        let mut next = shared.store.next(offer.clone(), most).await;
        if let Err(Error::Budget(_)) = next {
            // A process that has ended may hold what is missing.
            shared.release_gone().await?;
            next = shared.store.next(offer.clone(), most).await;
        }
        match next {
            Ok(rows) if rows.is_empty() => {
                shared.release_gone().await?;
                shared.release_abandoned(offer).await?;
                let is_open = shared.store.is_open(offer.clone()).await?;
                Ok(if is_open { Next::Later } else { Next::End })
            }
            Ok(rows) => {
                let held = |row| Wanted::Held(Box::new(row));
                Ok(Next::Wanted(rows.into_iter().map(held).collect()))
            }
            Err(Error::Budget(stop)) => Ok(Next::Stop(stop)),
            Err(error) => Err(error),
        }
    }

    /// Lets a purchase begin again of which nothing was bought.
    pub(crate) async fn again(&mut self, wanted: Begun, shared: &Shared) {
        match (self, wanted) {
            (Self::Given { again, .. }, Begun::Given(row)) => again.push_back(*row),
            // Any worker may take the row up again; one that is pending already refuses the step.
            (_, Begun::Held { id, attempt, .. }) => shared.try_again(id, attempt).await,
            (Self::Offered(_), Begun::Given(_)) => {}
        }
    }

    /// Leaves a row to later runs.
    pub(crate) fn give_up(&mut self, id: LocalId) {
        if let Self::Offered(offer) = self {
            offer.given_up.push(id.0);
        }
    }
}

/// Releases the rows of purchases that do not begin.
pub(crate) async fn put_back(wanted: Vec<Wanted>, shared: &Shared) {
    for wanted in wanted {
        if let Wanted::Held(row) = wanted {
            let (id, fence) = (row.purchase.id, Some(row.fence));
            let _ = shared.store.apply(id, fence, Step::Bury).await;
        }
    }
}

/// A purchase that has begun.
pub(crate) enum Begun {
    Given(Box<BatchRow>),
    Held {
        id: LocalId,
        key: String,
        attempt: u32,
    },
}

impl Begun {
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Given(row) => &row.key,
            Self::Held { key, .. } => key,
        }
    }
}

/// What an offered row asks for.
pub(crate) fn asked(row: &Row) -> Option<Asked> {
    let sendable = row.sendable.as_ref()?;
    Some(Request::from(sendable.request.clone()).into())
}
