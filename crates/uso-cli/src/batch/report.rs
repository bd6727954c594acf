//! Report of a batch: its rows with their pictures, failures by what to do, and money.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use uso::MicroDollars;
use uso_journal::{Cause, State};

use super::page::{self, PageData, PageGroup, PagePicture, PageRow};
use super::purchases::{Known, Purchases, newest};
use super::record::BatchRecord;
use super::row::Row;
use super::sidecar::shared_file_in;
use super::thumbnails::{Pictures, Thumbnails};
use crate::bounded_file::may_be_written;
use crate::failure::Failure;
use crate::given::local;
use crate::price::rounded;

/// Ids that a group names.
const SHOWN: usize = 12;

/// A row with what is known of its purchase.
struct Entry<'a> {
    row: &'a Row,
    id: String,
    known: Option<&'a Known>,
    price: Option<MicroDollars>,
}

/// Writes the report of a batch.
pub(crate) fn write(
    record: &BatchRecord,
    rows: &[Row],
    bought: &Purchases,
    file: &Path,
) -> Result<(), Failure> {
    let newest = newest(&record.name, bought);
    let entry = |row| Entry::of(row, None, &newest);
    let entries: Vec<Entry<'_>> = rows.iter().map(entry).collect();
    let money = money(record, bought);
    let groups = groups(record, &entries);
    let title = format!("Batch {}", record.name);
    write_page(title, money, groups, &entries, file)
}

/// Writes a contact sheet: the pairs of content and style, with the price of each row.
pub(crate) fn write_sheet<'a>(
    title: &str,
    rows: impl Iterator<Item = (&'a Row, Option<MicroDollars>)>,
    file: &Path,
) -> Result<(), Failure> {
    let none = HashMap::new();
    let entry = |(row, price)| Entry::of(row, price, &none);
    let entries: Vec<Entry<'_>> = rows.map(entry).collect();
    let sum = entries
        .iter()
        .filter_map(|entry| entry.price)
        .map(MicroDollars::get)
        .sum();
    let money = vec![("estimated".to_owned(), rounded(MicroDollars::new(sum)))];
    write_page(title.to_owned(), money, Vec::new(), &entries, file)
}

/// Bytes by which a page is known.
const BEGINNING: u64 = 1024;

fn write_page(
    title: String,
    money: Vec<(String, String)>,
    groups: Vec<PageGroup>,
    entries: &[Entry<'_>],
    file: &Path,
) -> Result<(), Failure> {
    let unwritable = |error: &dyn std::fmt::Display| {
        Failure::io(format!("{} cannot be written: {error}", file.display()))
            .with_hint("name another file with -o")
    };
    if !may_be_written(file, BEGINNING, page::is_page) {
        let message = format!("{} is there already, and is no report", file.display());
        return Err(Failure::usage(message).with_hint("name another file, or remove this one"));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let folder = format!("{stem}-thumbnails");
    let pages_folder = file.parent().unwrap_or(Path::new("."));
    let place = Place {
        page: pages_folder,
        thumbnails: Thumbnails::in_folder(&pages_folder.join(&folder), pictures(entries))
            .map_err(|error| unwritable(&error))?,
        folder,
    };
    let is_sheet = groups.is_empty() && entries.iter().all(|entry| entry.price.is_some());
    let made = humantime::format_rfc3339_seconds(SystemTime::now());
    let data = PageData {
        title,
        made: format!("{} rows, {made}", entries.len()),
        money,
        groups,
        rows: entries
            .iter()
            .map(|entry| place.row(entry, is_sheet))
            .collect(),
    };
    let html = page::html(&data).map_err(|error| unwritable(&error))?;
    let write = || {
        let mut made = shared_file_in(pages_folder)?;
        made.write_all(html.as_bytes())?;
        made.persist(file).map_err(std::io::Error::from)
    };
    write().map(|_| ()).map_err(|error| unwritable(&error))
}

/// Every local picture of the rows, once.
fn pictures<'a>(entries: &[Entry<'a>]) -> Pictures<'a> {
    let inputs = entries.iter().flat_map(Entry::references);
    let inputs = inputs.filter_map(local).map(|path| (path, None));
    let results = entries.iter().filter_map(|entry| entry.known);
    let results = results.flat_map(|known| &known.pictures);
    let results = results.map(|picture| (picture.path.clone(), Some(picture)));
    inputs.chain(results).collect()
}

impl<'a> Entry<'a> {
    fn of(row: &'a Row, price: Option<MicroDollars>, newest: &HashMap<&str, &'a Known>) -> Self {
        let id = row.id();
        Self {
            row,
            known: newest.get(id.as_str()).copied(),
            price,
            id,
        }
    }

    fn references(&self) -> impl Iterator<Item = &str> {
        let values = self.row.values.iter();
        let pictures = values.filter(|(column, _)| column == "content" || column == "style");
        pictures.map(|(_, value)| value.as_str())
    }

    /// The row's state in the words of the page.
    fn state(&self, is_sheet: bool) -> &'static str {
        let Some(known) = self.known else {
            return if is_sheet { "planned" } else { "waiting" };
        };
        match known.state {
            State::Done if !known.is_whole() => "missing",
            State::Done if known.pictures.iter().any(|picture| picture.flagged) => "flagged",
            State::Done => "done",
            State::Failed | State::Cancelled => "failed",
            State::Unknown | State::Sending => "unknown",
            State::Submitted => "unfinished",
            _ => "waiting",
        }
    }

    fn money(&self) -> Option<String> {
        if let Some(price) = self.price {
            return Some(format!("about {}", rounded(price)));
        }
        let cost = &self.known?.cost;
        match (cost.billed, cost.estimate.or(cost.reserved)) {
            (Some(billed), _) => Some(format!("{} billed", rounded(billed))),
            (None, Some(amount)) => Some(format!("{} reserved", rounded(amount))),
            (None, None) => None,
        }
    }
}

/// Where the page lies, and its small pictures.
struct Place<'a> {
    page: &'a Path,
    folder: String,
    thumbnails: Thumbnails,
}

impl Place<'_> {
    fn row(&self, entry: &Entry<'_>, is_sheet: bool) -> PageRow {
        let values = |column| {
            entry
                .row
                .values
                .iter()
                .filter(move |(name, _)| name == column)
        };
        let mut content = values("content").map(|(_, value)| self.reference(value));
        let known = entry.known;
        let results = known.into_iter().flat_map(|known| &known.pictures);
        PageRow {
            id: entry.id.clone(),
            state: entry.state(is_sheet),
            message: known.and_then(|known| known.message.clone()),
            prompt: entry.row.get("prompt").map(str::to_owned),
            seed: known
                .and_then(|known| known.seed)
                .map(|seed| seed.to_string()),
            money: entry.money(),
            request_id: known.and_then(|known| known.request_id.clone()),
            content: content.next().unwrap_or_else(|| self.reference("")),
            styles: values("style")
                .map(|(_, value)| self.reference(value))
                .collect(),
            results: results.map(|saved| self.picture(&saved.path)).collect(),
        }
    }

    /// A picture that goes in; those of other hosts are named and never loaded.
    fn reference(&self, reference: &str) -> PagePicture {
        match local(reference) {
            Some(path) => self.picture(&path),
            None => PagePicture {
                name: reference.chars().take(120).collect(),
                thumb: None,
                full: None,
            },
        }
    }

    fn picture(&self, path: &Path) -> PagePicture {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let thumb = self.thumbnails.of(path);
        PagePicture {
            name: name.into_owned(),
            thumb: thumb.map(|thumb| format!("{}/{thumb}", encoded(&self.folder))),
            full: self.url(path),
        }
    }

    /// A relative URL below the page's folder, so that the folder can be moved.
    fn url(&self, path: &Path) -> Option<String> {
        let url = url::Url::from_file_path(path).ok()?;
        let folder = std::path::absolute(self.page).ok()?;
        let folder = url::Url::from_directory_path(folder).ok()?;
        match url.as_str().strip_prefix(folder.as_str()) {
            Some(relative) => Some(format!("./{relative}")),
            None => Some(url.to_string()),
        }
    }
}

fn encoded(name: &str) -> String {
    let root = url::Url::parse("file:///").ok();
    let joined = root.and_then(|mut root| {
        root.path_segments_mut().ok()?.push(name);
        Some(root.path().trim_start_matches('/').to_owned())
    });
    joined.unwrap_or_default()
}

/// Money of the batch, by name.
fn money(record: &BatchRecord, bought: &Purchases) -> Vec<(String, String)> {
    let sum = |amount: &dyn Fn(&Known) -> Option<MicroDollars>| {
        let amounts = bought.values().filter_map(amount);
        rounded(MicroDollars::new(amounts.map(MicroDollars::get).sum()))
    };
    let open = |known: &Known, is_unknown: bool| {
        let reserved = known.still_reserved();
        reserved.filter(|_| (known.state == State::Unknown) == is_unknown)
    };
    let mut money = vec![
        ("estimated".to_owned(), sum(&|known| known.cost.estimate)),
        ("billed".to_owned(), sum(&|known| known.cost.billed)),
        ("reserved".to_owned(), sum(&|known| open(known, false))),
        ("unknown".to_owned(), sum(&|known| open(known, true))),
    ];
    let budget = record.budget.map(MicroDollars::new);
    money.extend(budget.map(|budget| ("budget".to_owned(), rounded(budget))));
    money
}

/// Rows that are not done, by the step that they need.
fn groups(record: &BatchRecord, entries: &[Entry<'_>]) -> Vec<PageGroup> {
    let name = &record.name;
    let mut by_step: BTreeMap<(&str, &str, String), Vec<&str>> = BTreeMap::new();
    for entry in entries {
        let state = entry.state(false);
        let cause = entry.known.and_then(|known| known.cause);
        let (title, advice, command) = match (state, cause) {
            ("done", _) => continue,
            ("flagged", _) => (
                "flagged by the safety checker",
                "The pictures are saved and billed. Look at them, and change the prompt or the pictures.",
                format!("uso batch run {} --accept-changes", record.source.display()),
            ),
            ("failed", Some(Cause::NotStarted)) => (
                "not started in time",
                "The service dropped the jobs before they began; they are free.",
                format!("uso batch retry {name} --only not_started"),
            ),
            ("failed", Some(Cause::NotBought)) => (
                "not bought",
                "The service refused them, and nothing was billed. Correct what the row says; the next run buys them.",
                format!("uso batch resume {name}"),
            ),
            ("failed", cause) => (
                "failed",
                "The service says that the jobs failed, or they were cancelled or written off. A retry is a new purchase.",
                match cause {
                    Some(cause) => format!("uso batch retry {name} --only {}", cause.as_str()),
                    None => format!("uso batch retry {name}"),
                },
            ),
            ("unknown", Some(Cause::NotListed)) => (
                "not at the service",
                "The response was lost, and the account's listing does not show them. Buying again risks paying twice if the listing is wrong.",
                format!("uso batch reconcile {name} --buy-again ID"),
            ),
            ("unknown", Some(Cause::Undecidable)) => (
                "cannot be decided",
                "The response was lost, and the account's listing does not tell whether they were bought. Look for them in fal's dashboard; those that are not there can be bought again, or left with --write-off ID.",
                format!("uso batch reconcile {name} --buy-again ID"),
            ),
            ("unknown", _) => (
                "may have been bought",
                "The response was lost. Their price stays reserved until the service is asked.",
                format!("uso batch reconcile {name}"),
            ),
            ("unfinished" | "missing", _) => (
                "bought and not on disk",
                "They are paid for. Collect them soon: the service keeps results for a limited time.",
                format!("uso batch resume {name}"),
            ),
            _ => (
                "not begun",
                "Nothing was sent for them.",
                format!("uso batch resume {name}"),
            ),
        };
        let rows = by_step.entry((title, advice, command)).or_default();
        rows.push(&entry.id);
    }
    let groups = by_step.into_iter().map(|((title, advice, command), ids)| {
        let shown: Vec<&str> = ids.iter().take(SHOWN).copied().collect();
        let more = match ids.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        PageGroup {
            title: format!("{} {title}", ids.len()),
            advice: advice.to_owned(),
            command,
            rows: format!("{}{more}", shown.join(", ")),
        }
    });
    groups.collect()
}
