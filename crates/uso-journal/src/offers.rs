//! Rows that are offered to every worker of the journal, and the work on them.

use std::path::PathBuf;

use uso::{Client, MicroDollars};

use crate::batch::Batch;
use crate::batch_row::BatchRow;
use crate::error::Error;
use crate::journal::Journal;
use crate::money::UnitPrice;
use crate::purchase::{LocalId, Purchase};
use crate::row::Step;
use crate::sendable::Sendable;
use crate::source::Source;
use crate::store::{Claimed, Offer};

impl Journal {
    /// Offers a row of a batch to every worker that shares the journal, without buying it: its
    /// pictures are uploaded here, so that no worker needs them, and the row is `pending`; also a row
    /// that the service refused before. A row that is bought already, or may be, is returned as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] and [`Error::Conflict`]; nothing is bought.
    pub async fn offer(
        &self,
        client: &Client,
        batch: &str,
        row: impl Into<BatchRow>,
        price: Option<UnitPrice>,
    ) -> Result<Purchase, Error> {
        let row = row.into();
        let mut buy = self
            .purchase(client, row.key, row.request.clone())
            .price(price);
        buy = buy.batch(batch, None);
        buy.target = row.target;
        let claim = buy.claim().await?;
        // A row that is offered, or that no worker may buy any more, needs no upload.
        if let Some(known) = self.shared.by_key(claim.realm, &claim.key).await?
            && known.purchase.fingerprint == claim.recipe.fingerprint().as_str()
            && (known.sendable.is_some() || known.purchase.state.may_be_bought())
            && !known.purchase.is_not_bought()
        {
            return Ok(known.purchase);
        }
        self.shared.share_uploads(client, claim.realm).await?;
        let (request, pictures) = client.portable(row.request).await.map_err(Error::Request)?;
        let record = self.shared.record_uploads(client, claim.realm, &pictures);
        record.await?;
        let sendable = Sendable {
            request,
            quote: claim.quote,
        };
        match self.shared.store.offer(claim.clone(), sendable).await? {
            Claimed::Mine(row) | Claimed::Busy(row) | Claimed::Ended(row) => Ok(row.purchase),
            Claimed::Conflict(row) => Err(crate::buy::conflict(&row, &claim)),
        }
    }

    /// Takes an offered row back that no worker has begun: it leaves its batch, and is bought only if
    /// it is offered again.
    ///
    /// # Errors
    ///
    /// [`Error::NotAllowed`] when it is not pending, and [`Error::Busy`] while a worker has it.
    pub async fn take_back(&self, client: &Client, id: LocalId) -> Result<Purchase, Error> {
        self.step(client, id, Step::TakeBack).await
    }

    /// Caps what a batch may spend, for all workers that take its offered rows.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn set_batch_cap(
        &self,
        client: &Client,
        batch: &str,
        cap: Option<MicroDollars>,
    ) -> Result<(), Error> {
        let realm = self.shared.realm(client).await?;
        let batch = batch.to_owned();
        self.shared.store.set_batch_cap(realm, batch, cap).await
    }

    /// Buys and collects the offered rows of a batch, beside any number of other workers, and ends
    /// when every row has an outcome. Rows of a worker that is gone are taken over: what may have
    /// been sent becomes `unknown` and is not sent again.
    ///
    /// The pictures go into this folder of this machine, with the names that the rows have.
    ///
    /// # Errors
    ///
    /// When the journal cannot be used.
    pub async fn work(
        &self,
        client: &Client,
        batch: &str,
        folder: impl Into<PathBuf>,
    ) -> Result<Batch, Error> {
        let folder = folder.into();
        let source = Source::Offered(Offer {
            realm: self.shared.realm(client).await?,
            batch: batch.to_owned(),
            folder: std::path::absolute(&folder).unwrap_or(folder),
            given_up: Vec::new(),
        });
        Ok(Batch::new(self.shared.clone(), client.clone(), source))
    }
}
