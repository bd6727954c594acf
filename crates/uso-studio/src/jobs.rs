//! Lists of jobs: history with search, and changes as they happen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use url::form_urlencoded;
use uso::MicroDollars;
use uso_journal::{LocalId, Purchase, State as JobState};

use crate::access::hexadecimal;
use crate::following::watch;
use crate::job_view::view;
use crate::json;
use crate::refusal::Refusal;
use crate::shared::{KEY_PREFIX, Shared};

/// Jobs of a page of the list.
const PAGE: usize = 60;

/// Rows that one search reads at the most; the page asks for more.
const SEARCHED: usize = 5_000;
const CHUNK: u32 = 500;

/// Rows that are looked at for changes: those in work, the newest, and those that the page names.
const IN_WORK: u32 = 100;
const NEWEST: u32 = 100;
const NAMED: usize = 50;

/// Changes are told again for this long, since a row's time is set before the row is seen.
const OVERLAP: Duration = Duration::from_secs(3);

/// How long a request for changes waits for one.
const WAIT: Duration = Duration::from_secs(20);

/// Changes by other processes are looked for this often.
const LOOK: Duration = Duration::from_millis(700);

fn parameters(query: Option<&str>) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.into_owned().collect()
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = parameters.iter().filter(|(key, _)| key == name);
    found.next().map(|(_, value)| value.as_str())
}

/// `GET /api/jobs?before=ID&q=TEXT&state=NAME`: a page of the list, newest first.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let parameters = parameters(query.as_deref());
    let words: Vec<String> = value(&parameters, "q")
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_lowercase)
        .collect();
    let before = value(&parameters, "before")
        .map(str::parse::<LocalId>)
        .transpose();
    let before = before.map_err(|error| Refusal::bad(error.to_string()))?;
    let mut jobs = shared.journal.jobs(&shared.client).limit(CHUNK);
    if let Some(before) = before {
        jobs = jobs.before(before);
    }
    if let Some(name) = value(&parameters, "state").filter(|name| !name.is_empty()) {
        let state = JobState::from_name(name);
        jobs = jobs.states([state.ok_or_else(|| Refusal::bad("there is no state of this name"))?]);
    }
    let (mut found, mut read) = (Vec::new(), 0);
    let mut next = None;
    'reading: while read < SEARCHED {
        let rows = jobs.next_page().await?;
        next = rows.last().map(|row| row.id);
        let is_last = rows.len() < CHUNK as usize;
        for row in &rows {
            read += 1;
            if matches(row, &words) {
                found.push(view(&shared, row));
            }
            if found.len() == PAGE {
                next = Some(row.id);
                break 'reading;
            }
        }
        if is_last {
            next = None;
            break;
        }
    }
    Ok(json::ok(&json!({ "jobs": found, "next": next })))
}

/// Whether every word stands in what a person may remember of the job.
fn matches(row: &Purchase, words: &[String]) -> bool {
    if words.is_empty() {
        return true;
    }
    let input = row.input.as_ref().and_then(|recipe| recipe.get("input"));
    let field = |name: &str| input.and_then(|input| input.get(name));
    let text = |name: &str| {
        let text = field(name).and_then(Value::as_str);
        text.unwrap_or_default().to_lowercase()
    };
    let seed = row.seed.or_else(|| field("seed")?.as_u64());
    let mut texts = vec![text("prompt"), text("negative_prompt")];
    // The key of a press of the button is random, and the name of its batch too.
    if !row.key.starts_with(KEY_PREFIX) {
        texts.extend(row.batch.as_deref().map(str::to_lowercase));
        texts.push(row.key.to_lowercase());
    }
    let names = [
        row.id.to_string(),
        row.state.to_string(),
        row.request_id().unwrap_or_default().to_lowercase(),
        seed.map(|seed| seed.to_string()).unwrap_or_default(),
    ];
    words
        .iter()
        .all(|word| names.contains(word) || texts.iter().any(|text| text.contains(word)))
}

/// `GET /api/jobs/ID`: the job that the page shows. One of another process is watched from now on, so
/// that its queue position and log lines are shown too.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let job = shared.job(&id).await?;
    watch(&shared, &job);
    Ok(json::ok(&view(&shared, &job)))
}

/// `GET /api/changes?tag=TAG&since=MS&ids=ID,ID`: the jobs in work, those that changed since a time,
/// and those with these ids, once they differ from those of the tag.
pub(crate) async fn changes(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let parameters = parameters(query.as_deref());
    let known = value(&parameters, "tag").unwrap_or_default();
    let since = value(&parameters, "since").and_then(|since| since.parse().ok());
    let since = UNIX_EPOCH + Duration::from_millis(since.unwrap_or_default());
    let named = value(&parameters, "ids").unwrap_or_default().split(',');
    let named: Vec<LocalId> = named.take(NAMED).flat_map(str::parse).collect();
    let deadline = Instant::now() + WAIT;
    let mut closed = shared.closed.subscribe();
    let mut live = shared.live.changes();
    loop {
        live.mark_unchanged();
        let rows = changed(&shared, since, &named).await?;
        let jobs: Vec<Value> = rows.values().map(|row| view(&shared, row)).collect();
        let committed = shared.committed().await?;
        let told = json!([jobs, committed.get(), shared.session]);
        let digest = digest(&SHA256, told.to_string().as_bytes());
        let tag: String = hexadecimal(digest.as_ref()).chars().take(16).collect();
        let is_closed = *closed.borrow_and_update();
        if tag != known || is_closed || Instant::now() >= deadline {
            return Ok(json::ok(&json!({
                "tag": tag,
                "jobs": jobs,
                "budget": budget(shared.settings.budget, committed),
            })));
        }
        tokio::select! {
            _ = live.changed() => {}
            _ = closed.changed() => {}
            () = sleep_until((Instant::now() + LOOK).min(deadline)) => {}
        }
    }
}

async fn changed(
    shared: &Shared,
    since: SystemTime,
    named: &[LocalId],
) -> Result<BTreeMap<LocalId, Purchase>, Refusal> {
    let (journal, client) = (&shared.journal, &shared.client);
    let in_work = [JobState::Reserved, JobState::Sending, JobState::Submitted];
    let in_work = journal
        .jobs(client)
        .states(in_work)
        .limit(IN_WORK)
        .read()
        .await?;
    let newest = journal.jobs(client).limit(NEWEST).read().await?;
    let recent = newest
        .into_iter()
        .filter(|row| row.changed_at + OVERLAP >= since);
    let mut rows: BTreeMap<LocalId, Purchase> =
        recent.chain(in_work).map(|row| (row.id, row)).collect();
    for id in named {
        if !rows.contains_key(id)
            && let Ok(row) = journal.get(client, *id).await
        {
            rows.insert(*id, row);
        }
    }
    Ok(rows)
}

/// The session's budget, in micro-dollars.
pub(crate) fn budget(cap: MicroDollars, committed: MicroDollars) -> Value {
    json!({ "cap": cap.get(), "committed": committed.get() })
}
