//! Collecting: waiting for the end of a job, and saving its pictures.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, warn};
use uso::status::Cancellation;
use uso::{Error as ClientError, MicroDollars, Output};

use super::ending::{CancelAsked, Ending, billed, ending, may_have_ended};
use super::{Until, Work};
use crate::error::Error;
use crate::progress::Progress;
use crate::purchase::{Cause, Reason};
use crate::row::Step;
use crate::save::{Unsaved, save};
use crate::target::Target;

/// Pause before the service is asked a second time whether a job really failed.
const SECOND_LOOK: Duration = Duration::from_secs(2);

impl Work {
    /// Waits for the job and saves its pictures.
    pub(super) async fn collect(&mut self) -> Result<(), Error> {
        let Some(ticket) = self.row.purchase.ticket.clone() else {
            return self.pause(None).await;
        };
        let job = self.client.job(ticket);
        let mut had_ended = false;
        if self.row.purchase.cancel_asked {
            // Where it fails, the job goes on, and is watched.
            if let Ok(Cancellation::AlreadyCompleted) = job.cancel().await {
                debug!(id = %self.row.purchase.id, "it had ended before it was cancelled");
                had_ended = true;
                self.record(Step::DropCancel).await?;
            }
        }
        let listener = self.listener.clone();
        let tell = move |event: &uso::Event| listener.tell(&Progress::Job(event.clone()));
        let intent = self.row.purchase.intent.as_ref();
        let is_notified = self.by_notification && intent.is_some_and(uso::Intent::has_webhook);
        let longest = self.client.config().finish_limit();
        let waited = match self.until {
            Until::SavedIfEnded => job.collect().await,
            _ if is_notified && !self.shared.awaited.end_of(&job, longest).await => {
                job.collect().await
            }
            _ => job.wait_with(tell).await,
        };
        let first = match waited {
            Ok(output) => return self.save(&output).await,
            Err(error) => error,
        };
        if !may_have_ended(&first) {
            return Err(self.not_collected(first));
        }
        sleep(SECOND_LOOK).await;
        let second = match job.collect().await {
            Ok(output) => return self.save(&output).await,
            Err(error) => error,
        };
        // A cancel may have been asked for while the job was watched.
        if let Some(row) = self.shared.store.row(self.row.purchase.id).await? {
            self.row.purchase.cancel_asked = row.purchase.cancel_asked;
        }
        let asked = match self.row.purchase.cancel_asked {
            true => CancelAsked::Open,
            false if had_ended => CancelAsked::AfterTheEnd,
            false => CancelAsked::Never,
        };
        match ending(&first, &second, asked) {
            Some(Ending::Cancelled) => {
                let reason =
                    Reason::new(Cause::Cancelled, "the service says that it was cancelled");
                let billed = billed(&first, &second);
                self.record(Step::Cancel { reason, billed }).await
            }
            Some(Ending::Failed(cause)) => {
                let reason = Reason::of(cause, &second);
                let billed = billed(&first, &second);
                self.lost_upload = self.has_lost_upload(billed, [&first, &second]).await;
                self.listener.tell(&match self.lost_upload {
                    true => Progress::UploadLost,
                    false => Progress::Failed(Arc::new(second)),
                });
                self.record(Step::Fail { reason, billed }).await
            }
            None => Err(self.not_collected(second)),
        }
    }

    /// Whether the job failed for want of a picture that was uploaded earlier, and cost nothing. The
    /// upload is then forgotten.
    async fn has_lost_upload(
        &self,
        billed: Option<MicroDollars>,
        errors: [&ClientError; 2],
    ) -> bool {
        let Some(prepared) = &self.prepared else {
            return false;
        };
        if billed != Some(MicroDollars::new(0)) {
            return false;
        }
        for error in errors {
            if self.client.forget_gone(prepared, error).await {
                let forgotten = self.shared.forget_uploads(&self.client, self.row.realm);
                if let Err(error) = forgotten.await {
                    warn!(%error, "a lost upload could not be forgotten");
                }
                return true;
            }
        }
        false
    }

    fn not_collected(&self, error: ClientError) -> Error {
        Error::NotCollected {
            purchase: Box::new(self.row.purchase.clone()),
            message: error.to_string(),
            source: Some(Box::new(error)),
        }
    }

    async fn save(&mut self, output: &Output) -> Result<(), Error> {
        let target = match &self.row.purchase.target {
            Some(target) => target.clone(),
            None => Target::folder(self.shared.pictures_folder()),
        };
        for warning in output.warnings() {
            self.listener.tell(&Progress::Warning(warning.clone()));
        }
        let mut pictures = std::mem::take(&mut self.row.purchase.pictures);
        let saving = save(
            self.shared.store.as_ref(),
            &self.row,
            &target,
            output,
            &mut pictures,
            &self.listener,
        );
        let outcome = saving.await;
        self.row.purchase.pictures.clone_from(&pictures);
        match outcome {
            Ok(()) => {
                let unit = self.row.purchase.cost.unit_price;
                let billed = unit.and_then(|unit| output.cost_at(unit.megapixel()));
                let seed = output.seed();
                let finish = Step::Finish {
                    pictures,
                    seed,
                    billed,
                };
                self.record(finish).await
            }
            Err(Unsaved::Service(error)) => Err(self.not_collected(error)),
            Err(Unsaved::Journal(error)) => Err(error),
        }
    }
}
