//! Purchases: made, found again, and turned into jobs and output.

use uso_transport::{
    EndpointId, Error, ErrorKind, Intent, Operation, Order, Response, Result, Ticket,
};
use uso_webhook::Notification;

use super::Client;
use crate::from_result::{FromResult as _, REPAIRED};
use crate::job::Job;
use crate::output::Output;
use crate::recovery::Recovery;
use crate::runtime;
use crate::unclaimed::Unclaimed;

impl Client {
    /// Buys an order, once: when it was bought, or may have been, a second call is refused.
    /// [`Order::again`] makes the order of another purchase.
    ///
    /// The order is sent again only when it provably did not leave, or when the service refused it
    /// with 429 before queueing it. When the response is lost, the purchase is looked for among
    /// the account's requests by its exact input, which includes the pinned seed, and adopted when
    /// it is found; see [`Config::reconcile_within`](crate::Config::reconcile_within).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the purchase continues in a task of its own, and
    /// [`Client::unclaimed`] returns what became of it. The intent of the order finds it too.
    ///
    /// # Errors
    ///
    /// As [`Client::submit`], without those of a wrong request. [`ErrorKind::OutcomeUnknown`] when
    /// the order was placed before, unless nothing was bought then.
    pub async fn place(&self, order: &Order) -> Result<Job> {
        Ok(self.job(self.buy(order).await?))
    }

    /// Intent of an order that is about to be placed, to be written down before: it finds the
    /// purchase if this process ends before the response. It is [`Order::intent`] with the time of
    /// the service's clock, if a response has told that, so that a later search need not trust this
    /// machine's.
    pub fn intent(&self, order: &Order) -> Intent {
        self.transport.intent(order)
    }

    pub(crate) async fn buy(&self, order: &Order) -> Result<Ticket> {
        runtime::check(Operation::Submit)?;
        self.unclaims.place(&self.transport, order).await
    }

    /// The purchases of [`Client::submit`], [`Client::place`] and [`Client::generate`] whose
    /// futures were dropped before they returned: by a timeout, a `select!`, or a server whose
    /// caller disconnected. Purchases that are still under way are waited for. Each purchase is
    /// returned once; purchases that the service refused are left out.
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client) -> uso::Result<()> {
    /// use std::time::Duration;
    /// use uso::purchase::Unclaimed;
    /// use uso::Request;
    ///
    /// let generate = client.generate(Request::restyle("photo.jpg", "ink.webp"));
    /// if tokio::time::timeout(Duration::from_secs(5), generate).await.is_err() {
    ///     for purchase in client.unclaimed().await {
    ///         match purchase {
    ///             Unclaimed::Bought(ticket) => println!("bought: {}", ticket.request_id()),
    ///             other => println!("{other:?}"),
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no purchase: the next call returns them.
    pub async fn unclaimed(&self) -> Vec<Unclaimed> {
        self.unclaims.take().await
    }

    /// Finds out what became of a purchase whose response was lost, in the account's list of
    /// requests. The intent may have been written down by another process.
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client, intent: uso::Intent) -> uso::Result<()> {
    /// use uso::purchase::Recovery;
    ///
    /// match client.recover(&intent).await? {
    ///     Recovery::Found(job) => println!("{:?}", job.wait().await?),
    ///     Recovery::NotYet { until } => println!("ask again, at the latest at {until:?}"),
    ///     Recovery::NotBought => println!("the account's listing shows that it was not bought"),
    ///     other => println!("a person has to decide: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Auth`] when the key may not read the list of requests, and those of any request
    /// when the list cannot be fetched.
    pub async fn recover(&self, intent: &Intent) -> Result<Recovery> {
        runtime::check(Operation::Find)?;
        let recovered = self.transport.recover(intent).await?;
        Ok(Recovery::of(recovered, |ticket| self.job(ticket)))
    }

    /// The job of a purchase whose submit response was lost, proved by the notification of its end:
    /// only this purchase knows the attempt id in the notification's path, so the notification shows
    /// that the submit was accepted, and under which request id. Nothing is sent. The intent may
    /// have been stored by another process.
    ///
    /// ```no_run
    /// # async fn example(client: uso::Client, notification: uso::webhook::Notification) -> uso::Result<()> {
    /// use uso::Request;
    ///
    /// let request = Request::restyle("photo.jpg", "ink.webp").webhook("https://example.org/hook");
    /// let prepared = client.prepare(request).await?;
    /// let job = match client.place(prepared.order()).await {
    ///     Ok(job) => job,
    ///     // ... the receiver got a notification meanwhile ...
    ///     Err(_) => client.adopt(prepared.order().intent(), &notification)?,
    /// };
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the path of the notification does not end in this purchase's attempt
    /// id, or the purchase was made without a webhook.
    pub fn adopt(&self, intent: &Intent, notification: &Notification) -> Result<Job> {
        let refuse = |why: &str| Error::new(Operation::Adopt, ErrorKind::Input, why);
        if !intent.has_webhook() {
            return Err(refuse(
                "the purchase was made without a webhook, so no notification can prove it",
            ));
        }
        let Some(attempt_id) = notification.attempt_id() else {
            return Err(
                refuse("the notification has no path, so its purchase is not known")
                    .with_hint("give the notification the path of the request that delivered it"),
            );
        };
        if !intent.recognises(attempt_id) {
            return Err(refuse("the notification is of another purchase"));
        }
        let ticket = intent.ticket(notification.request_id());
        Ok(self.job(ticket.map_err(|error| refuse(&error.to_string()))?))
    }

    /// The output that a notification carries, without a request to the service.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Failed`] when the request failed. [`ErrorKind::Malformed`] when the notification
    /// has no pictures: the error carries the ticket, and [`Client::job`] fetches the result by it.
    pub fn output_of(&self, notification: &Notification) -> Result<Output> {
        let ticket = Ticket::for_request(EndpointId::uso(), notification.request_id());
        let ticket = ticket
            .map_err(|error| Error::new(Operation::Adopt, ErrorKind::Input, error.to_string()))?;
        if let Err(why) = notification.output() {
            let kind = if why.is_worth_fetching() {
                ErrorKind::Malformed
            } else {
                ErrorKind::Failed
            };
            // The reason may quote a text of the service.
            let why = why.to_string().replace(char::is_control, " ");
            return Err(Error::new(Operation::Adopt, kind, why).with_ticket(&ticket));
        }
        let payload = notification.payload().map(ToString::to_string);
        let response = Response::announced(payload.unwrap_or_default());
        let output = Output::read(&self.transport, Some(&ticket), response)?;
        Ok(match notification.is_repaired() {
            true => output.with_warning(REPAIRED.to_owned()),
            false => output,
        })
    }

    /// The job of a ticket, which may come from this process, another one, or long ago.
    pub fn job(&self, ticket: Ticket) -> Job {
        Job::new(self.transport.clone(), ticket)
    }

    /// The job of a request id that was kept without its ticket.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] when the text cannot be a request id.
    pub fn job_by_id(&self, request_id: impl Into<String>) -> Result<Job> {
        let ticket = Ticket::for_request(EndpointId::uso(), request_id)
            .map_err(|error| Error::new(Operation::Prepare, ErrorKind::Input, error.to_string()))?;
        Ok(self.job(ticket))
    }
}
