//! Records of purchases in memory: one table behind one lock.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uso_transport::{Operation, Ticket, Verdict};

use crate::caller::Caller;
use crate::purchase::Purchase;
use crate::records::{
    Guard, NOT_REPEATED_FOR, NotBegun, PurchaseLimits, Recording, Records, RecordsError,
};
use crate::spending::Spending;

/// Wait that is advised while an equal purchase is being sent: a submit takes a second or two.
const UNDER_WAY_FOR: Duration = Duration::from_secs(5);

/// The most lost responses and unknown purchases that are remembered; the oldest make room.
const REMEMBERED: usize = 10_000;

/// Accounts before idle ones are looked for.
const FEW_ACCOUNTS: usize = 1024;

/// Records of purchases in memory, until the process ends.
///
/// A request that is forgotten cannot be collected through the proxy, and was paid for. So no
/// request is forgotten to make room: when the table is full, nothing is bought. Each caller has a
/// share of the room, so that none can stop the others by filling it.
#[derive(Debug)]
pub struct MemoryRecords(Mutex<Table>);

impl Default for MemoryRecords {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryRecords {
    /// An empty table.
    pub fn new() -> Self {
        Self(Mutex::new(Table::new(Instant::now())))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table, Instant) -> T) -> T {
        let now = Instant::now();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget(now);
        work(&mut table, now)
    }
}

impl Records for MemoryRecords {
    fn begin<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<Option<Guard>, NotBegun>> {
        let begun = self.with(|table, now| table.begin(purchase, limits, now));
        Box::pin(ready(begun.map(|()| None)))
    }

    fn end<'a>(
        &'a self,
        purchase: &'a Purchase,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        self.with(|table, now| table.end(purchase, limits, now));
        Box::pin(ready(Ok(())))
    }

    fn received<'a>(&'a self, purchase: &'a Purchase) -> Recording<'a, ()> {
        self.with(|table, _| table.received(purchase));
        Box::pin(ready(()))
    }

    fn owns<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
    ) -> Recording<'a, Result<bool, RecordsError>> {
        Box::pin(ready(Ok(self.with(|table, _| table.owns(caller, ticket)))))
    }

    fn adopt<'a>(
        &'a self,
        caller: &'a Caller,
        ticket: &'a Ticket,
        limits: &'a PurchaseLimits,
    ) -> Recording<'a, Result<(), RecordsError>> {
        let (app, id) = (ticket.endpoint().app(), ticket.request_id());
        self.with(|table, now| table.bind(caller, app, id, limits, now));
        Box::pin(ready(Ok(())))
    }

    fn unknown(&self) -> Recording<'_, Result<Vec<Purchase>, RecordsError>> {
        let unknown = self.with(|table, _| table.unknown.iter().cloned().collect());
        Box::pin(ready(Ok(unknown)))
    }
}

#[derive(Debug)]
struct Table {
    started: Instant,
    accounts: HashMap<Caller, Account>,
    tidy_at: usize,
    /// Purchases that must not be repeated, by their digests.
    recent: HashMap<[u8; 32], Recent>,
    /// Those of them whose outcome is known, in the order in which they are forgotten.
    recent_until: VecDeque<(Instant, [u8; 32], String)>,
    /// Owners by request id.
    owners: HashMap<String, Owner>,
    owners_until: VecDeque<(Instant, String)>,
    /// Places of submits that are being sent.
    reserved: usize,
    unknown: VecDeque<Purchase>,
}

#[derive(Debug, Default)]
struct Account {
    spending: Spending,
    /// Kept requests, and submits that are being sent.
    places: usize,
}

#[derive(Debug)]
struct Recent {
    /// Id of the purchase.
    id: String,
    request_id: Option<String>,
    /// The hour that the money was reserved in.
    hour: u64,
    /// `None` while the outcome is open.
    until: Option<Instant>,
}

#[derive(Debug)]
struct Owner {
    caller: Caller,
    app: String,
}

impl Table {
    fn new(started: Instant) -> Self {
        Self {
            started,
            accounts: HashMap::new(),
            tidy_at: FEW_ACCOUNTS,
            recent: HashMap::new(),
            recent_until: VecDeque::new(),
            owners: HashMap::new(),
            owners_until: VecDeque::new(),
            reserved: 0,
            unknown: VecDeque::new(),
        }
    }

    fn begin(
        &mut self,
        purchase: &Purchase,
        limits: &PurchaseLimits,
        now: Instant,
    ) -> Result<(), NotBegun> {
        if let Some(recent) = self.recent.get(&purchase.digest) {
            let wait = |until: Instant| until.saturating_duration_since(now);
            return Err(NotBegun::Repeated {
                request_id: recent.request_id.clone(),
                is_under_way: recent.until.is_none(),
                wait: recent.until.map_or(UNDER_WAY_FOR, wait),
            });
        }
        let elapsed = now.saturating_duration_since(self.started);
        let is_kept = purchase.operation == Operation::Submit;
        let is_full = self.owners.len() + self.reserved >= limits.requests_kept;
        self.tidy(elapsed);
        let account = self.accounts.entry(purchase.caller.clone()).or_default();
        if is_kept && account.places >= limits.requests_kept_each {
            return Err(NotBegun::CallerIsFull);
        }
        if is_kept && is_full {
            return Err(NotBegun::Full);
        }
        let hour = account
            .spending
            .reserve(purchase.reserved, limits.spending_per_day, elapsed)?;
        if is_kept {
            account.places += 1;
            self.reserved += 1;
        }
        let recent = Recent {
            id: purchase.id.clone(),
            request_id: None,
            hour,
            until: None,
        };
        self.recent.insert(purchase.digest, recent);
        Ok(())
    }

    fn end(&mut self, purchase: &Purchase, limits: &PurchaseLimits, now: Instant) {
        let recent = self.recent.get_mut(&purchase.digest);
        let Some(recent) = recent.filter(|recent| recent.id == purchase.id) else {
            return;
        };
        let until = now + NOT_REPEATED_FOR;
        recent.until = Some(until);
        recent.request_id.clone_from(&purchase.request_id);
        let hour = recent.hour;
        let is_kept = purchase.operation == Operation::Submit;
        if is_kept {
            self.reserved -= 1;
            self.give_back_place(&purchase.caller);
        }
        if purchase.outcome == Some(Verdict::NotBought) {
            let elapsed = now.saturating_duration_since(self.started);
            if let Some(account) = self.accounts.get_mut(&purchase.caller) {
                account.spending.give_back(purchase.reserved, hour, elapsed);
            }
            self.recent.remove(&purchase.digest);
            return;
        }
        self.recent_until
            .push_back((until, purchase.digest, purchase.id.clone()));
        if self.recent_until.len() > REMEMBERED {
            self.forget_oldest();
        }
        if let Some(id) = purchase.request_id.as_deref().filter(|_| is_kept) {
            self.bind(&purchase.caller, purchase.endpoint.app(), id, limits, now);
        }
        let is_unknown = purchase.outcome != Some(Verdict::Bought);
        if is_unknown || is_kept && purchase.request_id.is_none() {
            self.unknown.push_back(purchase.clone());
            if self.unknown.len() > REMEMBERED {
                self.unknown.pop_front();
            }
        }
    }

    fn received(&mut self, purchase: &Purchase) {
        let recent = self.recent.get(&purchase.digest);
        if recent.is_some_and(|recent| recent.id == purchase.id && recent.until.is_some()) {
            self.recent.remove(&purchase.digest);
        }
    }

    fn owns(&self, caller: &Caller, ticket: &Ticket) -> bool {
        let owner = self.owners.get(ticket.request_id());
        owner.is_some_and(|owner| owner.caller == *caller && owner.app == ticket.endpoint().app())
    }

    /// Makes the caller the owner of a request; the first owner stays.
    fn bind(
        &mut self,
        caller: &Caller,
        app: &str,
        request_id: &str,
        limits: &PurchaseLimits,
        now: Instant,
    ) {
        if self.owners.contains_key(request_id) {
            return;
        }
        let owner = Owner {
            caller: caller.clone(),
            app: app.to_owned(),
        };
        self.owners.insert(request_id.to_owned(), owner);
        self.owners_until
            .push_back((now + limits.requests_kept_for, request_id.to_owned()));
        self.accounts.entry(caller.clone()).or_default().places += 1;
    }

    fn give_back_place(&mut self, caller: &Caller) {
        if let Some(account) = self.accounts.get_mut(caller) {
            account.places = account.places.saturating_sub(1);
        }
    }

    /// Forgets what has had its time.
    fn forget(&mut self, now: Instant) {
        let first = |queue: &VecDeque<(Instant, [u8; 32], String)>| queue.front().map(|f| f.0);
        while first(&self.recent_until).is_some_and(|until| until <= now) {
            self.forget_oldest();
        }
        while let Some((until, _)) = self.owners_until.front()
            && *until <= now
        {
            let id = self.owners_until.pop_front().map(|(_, id)| id);
            let owner = id.and_then(|id| self.owners.remove(&id));
            if let Some(owner) = owner {
                self.give_back_place(&owner.caller);
            }
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, digest, id)) = self.recent_until.pop_front()
            && self
                .recent
                .get(&digest)
                .is_some_and(|recent| recent.id == id)
        {
            self.recent.remove(&digest);
        }
    }

    /// Forgets the accounts that are as good as new, each time there are twice as many.
    fn tidy(&mut self, elapsed: Duration) {
        if self.accounts.len() < self.tidy_at {
            return;
        }
        self.accounts
            .retain(|_, account| account.places > 0 || !account.spending.is_empty(elapsed));
        self.tidy_at = FEW_ACCOUNTS.max(self.accounts.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use uso_transport::{EndpointId, MicroDollars};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn purchase(caller: &str, body: &str) -> Purchase {
        Purchase::new(
            Caller::new(caller),
            EndpointId::uso(),
            Operation::Submit,
            MicroDollars::new(1),
            MicroDollars::new(1),
            body.as_bytes(),
        )
    }

    fn ended(mut purchase: Purchase, outcome: Verdict, id: Option<&str>) -> Purchase {
        purchase.outcome = Some(outcome);
        purchase.request_id = id.map(str::to_owned);
        purchase
    }

    fn limits(kept: usize, each: usize) -> PurchaseLimits {
        PurchaseLimits {
            requests_kept: kept,
            requests_kept_each: each,
            requests_kept_for: MINUTE,
            ..PurchaseLimits::default()
        }
    }

    fn table() -> (Table, Instant) {
        let now = Instant::now();
        (Table::new(now), now)
    }

    fn buys(table: &mut Table, caller: &str, id: &str, limits: &PurchaseLimits, now: Instant) {
        let bought = purchase(caller, id);
        table.begin(&bought, limits, now).unwrap();
        table.end(&ended(bought, Verdict::Bought, Some(id)), limits, now);
    }

    fn owns(table: &Table, caller: &str, id: &str) -> bool {
        let ticket = Ticket::for_request(EndpointId::uso(), id).unwrap();
        table.owns(&Caller::new(caller), &ticket)
    }

    #[test]
    fn a_request_belongs_to_its_first_owner_for_its_time() {
        let ((mut table, now), limits) = (table(), limits(10, 10));
        buys(&mut table, "a", "r-1", &limits, now);
        table.bind(&Caller::new("b"), "fal-ai/uso", "r-1", &limits, now);
        assert!(owns(&table, "a", "r-1"));
        assert!(!owns(&table, "b", "r-1"));
        assert!(!owns(&table, "a", "r-2"));
        let other: EndpointId = "fal-ai/other".parse().unwrap();
        let other = Ticket::for_request(other, "r-1").unwrap();
        assert!(!table.owns(&Caller::new("a"), &other));
        table.forget(now + MINUTE);
        assert!(!owns(&table, "a", "r-1"));
        assert_eq!((table.owners.len(), table.reserved), (0, 0));
        assert!(table.accounts.values().all(|account| account.places == 0));
    }

    #[test]
    fn no_request_is_forgotten_to_make_room() {
        let ((mut table, now), limits) = (table(), limits(2, 2));
        let first = purchase("a", "1");
        table.begin(&first, &limits, now).unwrap();
        buys(&mut table, "b", "r-2", &limits, now);
        let third = purchase("c", "3");
        let full = table.begin(&third, &limits, now);
        assert_eq!(full, Err(NotBegun::Full), "open purchases count as well");
        table.end(&ended(first, Verdict::NotBought, None), &limits, now);
        assert_eq!(table.begin(&third, &limits, now), Ok(()));
        assert!(owns(&table, "b", "r-2"));
    }

    #[test]
    fn one_caller_cannot_fill_the_room_of_the_others() {
        let ((mut table, now), limits) = (table(), limits(10, 2));
        buys(&mut table, "a", "r-1", &limits, now);
        buys(&mut table, "a", "r-2", &limits, now);
        let third = purchase("a", "3");
        assert_eq!(
            table.begin(&third, &limits, now),
            Err(NotBegun::CallerIsFull)
        );
        buys(&mut table, "b", "r-3", &limits, now);
        table.forget(now + MINUTE);
        assert_eq!(table.begin(&third, &limits, now + MINUTE), Ok(()));
    }

    #[test]
    fn an_equal_purchase_waits_for_the_outcome_and_then_for_its_time() {
        let ((mut table, now), limits) = (table(), limits(10, 10));
        let (first, again) = (purchase("a", "{}"), purchase("a", "{}"));
        table.begin(&first, &limits, now).unwrap();
        let late = now + NOT_REPEATED_FOR * 10;
        table.forget(late);
        let refused = table.begin(&again, &limits, late);
        let is_open = |refused| matches!(refused, Err(NotBegun::Repeated { is_under_way, .. }) if is_under_way);
        assert!(is_open(refused), "however long it takes");
        for other in [purchase("b", "{}"), purchase("a", "{ }")] {
            assert_eq!(table.begin(&other, &limits, now), Ok(()));
        }
        table.end(&ended(first, Verdict::Unknown, Some("r-1")), &limits, late);
        let repeated = NotBegun::Repeated {
            request_id: Some("r-1".to_owned()),
            is_under_way: false,
            wait: NOT_REPEATED_FOR,
        };
        assert_eq!(table.begin(&again, &limits, late), Err(repeated));
        table.forget(late + NOT_REPEATED_FOR);
        assert_eq!(table.begin(&again, &limits, late), Ok(()));
    }

    #[test]
    fn a_received_response_and_a_refusal_let_an_equal_purchase_begin() {
        let ((mut table, now), limits) = (table(), limits(10, 10));
        for outcome in [Verdict::Bought, Verdict::NotBought] {
            let first = purchase("a", "{}");
            table.begin(&first, &limits, now).unwrap();
            table.received(&first);
            assert!(table.begin(&purchase("a", "{}"), &limits, now).is_err());
            let first = ended(first, outcome, Some("r-1"));
            table.end(&first, &limits, now);
            table.received(&first);
        }
        let last = purchase("a", "{}");
        assert_eq!(table.begin(&last, &limits, now), Ok(()));
        // The first one's time is over; that of the last one is not.
        table.forget(now + NOT_REPEATED_FOR);
        assert!(table.begin(&purchase("a", "{}"), &limits, now).is_err());
        table.end(&ended(last, Verdict::Unknown, None), &limits, now);
        table.received(&purchase("a", "{}"));
        let again = table.begin(&purchase("a", "{}"), &limits, now);
        assert!(again.is_err(), "another response was received");
    }

    #[test]
    fn what_may_have_been_bought_and_cannot_be_collected_is_listed() {
        let ((mut table, now), limits) = (table(), limits(10, 10));
        let outcomes = [
            (Verdict::Bought, Some("r-1")),
            (Verdict::Bought, None),
            (Verdict::Unknown, Some("r-2")),
            (Verdict::NotBought, None),
        ];
        for (body, (outcome, id)) in ["0", "1", "2", "3"].into_iter().zip(outcomes) {
            let sent = purchase("a", body);
            table.begin(&sent, &limits, now).unwrap();
            table.end(&ended(sent, outcome, id), &limits, now);
        }
        let ids: Vec<_> = table
            .unknown
            .iter()
            .map(|p| p.request_id.as_deref())
            .collect();
        assert_eq!(ids, [None, Some("r-2")]);
    }

    #[test]
    fn memory_is_bounded_and_an_open_purchase_is_never_forgotten() {
        let ((mut table, now), limits) = (table(), PurchaseLimits::default());
        let open = purchase("b", "{}");
        table.begin(&open, &limits, now).unwrap();
        for index in 0..REMEMBERED + 50 {
            let lost = purchase("a", &index.to_string());
            table.begin(&lost, &limits, now).unwrap();
            table.end(&ended(lost, Verdict::Unknown, None), &limits, now);
        }
        assert!(table.begin(&purchase("b", "{}"), &limits, now).is_err());
        table.end(&ended(open, Verdict::Unknown, None), &limits, now);
        assert_eq!(
            (table.recent.len(), table.unknown.len()),
            (REMEMBERED, REMEMBERED)
        );
    }

    #[test]
    fn idle_accounts_are_forgotten() {
        let ((mut table, start), limits) = (table(), limits(usize::MAX, 1));
        for index in 0..5000 {
            let now = start + MINUTE * index;
            table.forget(now);
            let index = index.to_string();
            buys(&mut table, &index, &index, &limits, now);
        }
        let accounts = table.accounts.len();
        assert!(accounts < 3 * FEW_ACCOUNTS, "{accounts}");
    }
}
