//! A power cut forgets nothing that was bought.
//!
//! A preloaded library records each write to the journal and each sync. The disk after a power cut
//! is made from that: what was written before the last sync of a file is there, and of everything
//! later each write is kept or dropped at random.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use uso_emulator::{Emulator, EmulatorBuilder, Operation};
use uso_journal::{Journal, State};
use uso_tests::rig::{Rig, skipped, until};

use super::Desk;

const PROGRAM: &str = env!("CARGO_BIN_EXE_journal-under-test");
const SHIM: &str = include_str!("disk.c");

/// Disks that are made of each recording.
const DISKS: u64 = 40;

/// One entry of a recording.
enum Entry {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
    Sync,
}

type Recording = Vec<(String, Entry)>;

/// Builds the library; `None` where there is no C compiler.
fn shim(folder: &Path) -> Option<std::path::PathBuf> {
    let (source, library) = (folder.join("disk.c"), folder.join("disk.so"));
    fs::write(&source, SHIM).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .status();
    built
        .is_ok_and(|status| status.success())
        .then_some(library)
}

fn read(trace: &[u8]) -> Recording {
    let mut recording = Vec::new();
    let mut rest = trace;
    let mut take = |length: usize| {
        let (taken, left) = rest.split_at_checked(length)?;
        rest = left;
        Some(taken.to_vec())
    };
    let number = |bytes: Vec<u8>| {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(&bytes);
        usize::try_from(u64::from_ne_bytes(whole)).unwrap()
    };
    // The last entry may be cut by the kill.
    while let Some(kind) = take(1) {
        let Some(path) = take(4).and_then(|length| take(number(length))) else {
            break;
        };
        let Some(offset) = take(8) else { break };
        let Some(length) = take(4).map(number) else {
            break;
        };
        let name = String::from_utf8(path).unwrap();
        let name = name.rsplit('/').next().unwrap().to_owned();
        let entry = match kind[0] {
            b'w' => match take(length) {
                Some(data) => Entry::Write {
                    offset: number(offset),
                    data,
                },
                None => break,
            },
            b't' => Entry::Truncate(number(offset)),
            b's' => Entry::Sync,
            other => panic!("an entry of kind {other}"),
        };
        recording.push((name, entry));
    }
    recording
}

/// The files as a power cut leaves them. Without `heed_syncs`, nothing is sure to be on the disk, as
/// with `synchronous=OFF`.
fn disk(
    recording: &[(String, Entry)],
    heed_syncs: bool,
    random: &mut Dice,
) -> BTreeMap<String, Vec<u8>> {
    let mut last_sync: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, (name, entry)) in recording.iter().enumerate() {
        if heed_syncs && matches!(entry, Entry::Sync) {
            last_sync.insert(name, index);
        }
    }
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (index, (name, entry)) in recording.iter().enumerate() {
        let is_sure = last_sync
            .get(name.as_str())
            .is_some_and(|last| index < *last);
        if !is_sure && random.coin() {
            continue;
        }
        let file = files.entry(name.clone()).or_default();
        match entry {
            Entry::Write { offset, data } => {
                let end = offset + data.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*offset..end].copy_from_slice(data);
            }
            Entry::Truncate(length) => file.resize(*length, 0),
            Entry::Sync => {}
        }
    }
    files
}

/// Random numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn coin(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}

/// The ledger's purchases that a journal does not know of, and the jobs that were followed though the
/// journal does not know their ids.
async fn forgotten(desk: &Desk, files: &BTreeMap<String, Vec<u8>>) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let journal = Journal::open(folder.path()).map_err(|error| error.to_string())?;
    journal.check().await.map_err(|error| error.to_string())?;
    let jobs = journal.jobs(&desk.rig.client).read().await;
    let jobs = jobs.map_err(|error| error.to_string())?;
    // No process is alive after a power cut, so that the rows of the dead are released.
    assert!(jobs.iter().all(|job| job.state != State::Sending));
    let ids: BTreeSet<&str> = jobs.iter().filter_map(|job| job.request_id()).collect();
    let requests = desk.rig.emulator.requests();
    let is_followed = |purchase: &&uso_emulator::Purchase| {
        let id = purchase.request_id.as_str();
        let mut streams = requests
            .iter()
            .filter(|request| request.operation == Operation::Stream);
        !ids.contains(id) && streams.any(|request| request.path.contains(id))
    };
    let ledger = desk.rig.emulator.ledger();
    let followed = ledger.purchases().iter().filter(is_followed).count();
    let known: BTreeSet<&str> = jobs
        .iter()
        .filter(|job| job.state.may_be_bought())
        .map(|job| job.key.as_str())
        .collect();
    let bought = prompts(&desk.rig.emulator).into_iter();
    let forgotten = bought.filter(|key| !known.contains(key.as_str())).count();
    Ok(forgotten + followed)
}

/// The keys of everything that was bought: the program uses each as its prompt.
fn prompts(emulator: &Emulator) -> Vec<String> {
    let ledger = emulator.ledger();
    let purchases = ledger.purchases().iter();
    purchases.map(prompt_of).collect()
}

fn prompt_of(purchase: &uso_emulator::Purchase) -> String {
    purchase.input["prompt"].as_str().unwrap().to_owned()
}

fn builder() -> EmulatorBuilder {
    Rig::plain_builder()
}

/// A process that buys, and records what it does to the disk.
fn recorded(desk: &Desk, shim: &Path, keys: &[String]) -> Child {
    Command::new(PROGRAM)
        .arg(desk.path().join("cut/journal.db"))
        .arg(desk.rig.emulator.origin())
        .arg(desk.path().join("pictures"))
        .args(["-", "4"])
        .args(keys)
        .env("LD_PRELOAD", shim)
        .env("USO_TRACE", desk.path().join("trace"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn recording(desk: &Desk) -> Recording {
    read(&fs::read(desk.path().join("trace")).unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_picture_and_its_name_are_on_the_disk_before_the_purchase_is_done() {
    let tools = tempfile::tempdir().unwrap();
    let Some(shim) = shim(tools.path()) else {
        skipped("a_picture_and_its_name_are_on_the_disk", "a C compiler");
        return;
    };
    let desk = Desk::new(Rig::of(builder()).await).await;
    let mut child = recorded(&desk, &shim, &["key".to_owned()]);
    until("the end", || child.try_wait().unwrap().is_some()).await;
    let recording = recording(&desk);
    let last = |is: &dyn Fn(&str, &Entry) -> bool| {
        recording.iter().rposition(|(name, entry)| is(name, entry))
    };
    let file = last(&|name, entry| name.ends_with(".part") && matches!(entry, Entry::Sync));
    let folder = last(&|name, entry| name == "pictures" && matches!(entry, Entry::Sync));
    let done =
        last(&|name, entry| name == "journal.db-wal" && matches!(entry, Entry::Write { .. }));
    assert!(
        file.is_some() && file < folder && folder < done,
        "{file:?} {folder:?} {done:?}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_power_cut_forgets_nothing_that_was_bought_and_without_syncs_it_would() {
    let tools = tempfile::tempdir().unwrap();
    let Some(shim) = shim(tools.path()) else {
        skipped(
            "a_power_cut_forgets_nothing_that_was_bought",
            "a C compiler",
        );
        return;
    };
    let mut without_syncs = 0;
    for round in 1..=5_u64 {
        let desk = Desk::new(Rig::of(builder()).await).await;
        let keys: Vec<String> = (0..30).map(|key| format!("key-{key}")).collect();
        let mut child = recorded(&desk, &shim, &keys);
        let most = usize::try_from(round * 5).unwrap();
        until("that many purchases, or the end", || {
            desk.bought() >= most || child.try_wait().unwrap().is_some()
        })
        .await;
        child.kill().unwrap();
        child.wait().unwrap();
        let mut recording = recording(&desk);
        recording.retain(|(name, _)| name.starts_with("journal.db"));
        let syncs = recording
            .iter()
            .filter(|(_, entry)| matches!(entry, Entry::Sync));
        assert!(syncs.count() > 5, "the recording has the syncs");
        for seed in 1..=DISKS {
            let mut dice = Dice(round * 1000 + seed);
            let lost = forgotten(&desk, &disk(&recording, true, &mut dice)).await;
            assert_eq!(lost, Ok(0), "round {round}, disk {seed}");
        }
        for seed in 1..=3 {
            let mut dice = Dice(round * 1000 + seed);
            let lost = forgotten(&desk, &disk(&recording, false, &mut dice)).await;
            without_syncs += usize::from(lost != Ok(0));
        }
    }
    assert!(without_syncs > 0, "the test can fail");
}
