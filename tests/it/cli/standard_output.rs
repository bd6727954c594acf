//! `-o -`: one picture, and never the loss of a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use uso::endpoint::Endpoint;
use uso::purchase::Order;
use uso_emulator::{Billing, Emulator, EmulatorBuilder};
use uso_journal::{Journal, Purchase, State, Target};
use uso_tests::rig::{Cli, Rig, Run, content, file, style};

use super::{files, path, uso};

/// A small purchase that is left to itself; its request id.
fn detach(cli: &Cli, more: &[&str]) -> String {
    let (content, style) = (path(content()), path(style()));
    let arguments = ["restyle", &content, &style, "-s", "32x32", "--detach"];
    let run = cli.run(&[&arguments[..], more].concat());
    assert_eq!(run.code, 0, "{run:?}");
    run.stdout.trim().to_owned()
}

/// The bytes of standard output, and the run.
fn piped(cli: &Cli, arguments: &[&str]) -> (Vec<u8>, Run) {
    let output = cli.command(arguments).output().unwrap();
    (output.stdout.clone(), Run::of(&output))
}

/// Whether both commands that collect refuse to write this job, with these words.
fn assert_refused(cli: &Cli, id: &str, words: &str) {
    for arguments in [
        &["result", "--wait", id, "-o", "-"][..],
        &["resume", id, "-o", "-"],
    ] {
        let run = cli.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains(words), "{run:?}");
        assert!(run.stderr.contains("-o FOLDER/"), "{run:?}");
    }
}

fn builder() -> EmulatorBuilder {
    let document = fs::read_to_string(file("fixtures/endpoints/flux-schnell.json")).unwrap();
    Rig::plain_builder().endpoint(&document).unwrap()
}

fn order(rig: &Rig, seed: u64) -> Order {
    let flux = Endpoint::<Value, Value>::new(&rig.client, "fal-ai/flux/schnell").unwrap();
    flux.order(&json!({ "prompt": "a cat", "seed": seed }))
        .unwrap()
}

/// The journal of the command line, as a program opens it.
fn program(cli: &Cli) -> Journal {
    Journal::open(cli.folder().join(".state/journal.db")).unwrap()
}

fn only_file(purchase: &Purchase) -> PathBuf {
    assert_eq!(purchase.pictures.len(), 1);
    purchase.pictures[0].path.clone()
}

fn read(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_pictures_are_refused_before_anything_is_fetched() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let id = detach(&cli, &["-n", "4"]);
    let reserved = files(&cli);
    let before = rig.operations().len();
    assert_refused(&cli, &id, "this job has 4 files; nothing was fetched");
    assert_eq!(rig.operations().len(), before, "{:?}", rig.operations());
    assert_eq!(files(&cli), reserved, "the names still wait");
    let run = cli.run(&["result", "--wait", &id, "-o", "all/"]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 4), "{run:?}");
    assert_refused(&cli, &id, "this job has 4 files; nothing was fetched");
    for saved in run.stdout.lines() {
        assert!(image::open(cli.folder().join(saved)).is_ok(), "{saved}");
    }
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_that_only_the_result_counts_are_kept_and_none_is_written() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let id = detach(&cli, &["-n", "2"]);
    // This journal knows nothing of the purchase.
    let other = uso().at(&rig.emulator.origin());
    let run = other.run(&["result", "--wait", &id, "-o", "-"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    let kept = read(&other.folder().join(".state/stdout"));
    assert_eq!(kept.len(), 2, "{run:?}");
    for kept in &kept {
        assert!(image::open(kept).is_ok());
        assert!(run.stderr.contains(kept.to_str().unwrap()), "{run:?}");
    }
    assert_refused(&other, &id, "nothing was fetched");
    let run = other.run(&["result", &id, "-o", "both/"]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 2), "{run:?}");
    assert_eq!(read(&other.folder().join(".state/stdout")).len(), 2);
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_another_endpoint_stay_where_their_buyer_expects_them() {
    let rig = Rig::of(builder()).await;
    let cli = uso().at(&rig.emulator.origin());
    let journal = program(&cli);
    let buy = |key, seed| journal.purchase_order(&rig.client, key, order(&rig, seed));
    let done = buy("done", 1).await.unwrap();
    fs::create_dir(cli.folder().join("made")).unwrap();
    assert_refused(
        &cli,
        done.request_id().unwrap(),
        "this job has 2 files; nothing was fetched",
    );
    for file in &done.pictures {
        assert!(file.is_on_disk(), "{file:?}");
    }
    // The way out that the refusal names.
    for name in ["made/a.png", "made/"] {
        let copied = cli.run(&["result", done.request_id().unwrap(), "-o", name]);
        assert_eq!(copied.code, 0, "{copied:?}");
        let copied: Vec<&str> = copied.stdout.lines().collect();
        for (copy, file) in copied.iter().zip(&done.pictures) {
            let copy = cli.folder().join(copy);
            assert_eq!(copy.extension(), file.path.extension());
            assert_eq!(fs::read(copy).unwrap(), fs::read(&file.path).unwrap());
        }
    }
    assert_eq!(read(&cli.folder().join("made")).len(), 4);
    let target = Target::files([cli.folder().join("cat.png")]);
    let bought = buy("bought", 2).target(target).detach(true).await.unwrap();
    assert_eq!(bought.state, State::Submitted);
    let id = bought.request_id().unwrap();
    let run = cli.run(&["result", "--wait", id, "-o", "-"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    for name in ["cat.png", "cat-2.json"] {
        assert!(cli.folder().join(name).is_file(), "{run:?}");
        assert!(run.stderr.contains(name), "{run:?}");
    }
    assert_eq!(rig.emulator.ledger().purchases().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_picture_of_a_program_is_written_and_stays() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let journal = program(&cli);
    let request = |prompt: &str| {
        let size = uso::ImageSize {
            width: Some(48),
            height: Some(32),
        };
        uso::Request::subject(content(), prompt).size(uso::types::ImageSizeChoice::from(size))
    };
    let done = journal.purchase(&rig.client, "done", request("a cat"));
    let done = done.await.unwrap();
    let saved = only_file(&done);
    assert_eq!(saved.parent().unwrap().file_name().unwrap(), "pictures");
    let bought = journal.purchase(&rig.client, "bought", request("a dog"));
    let bought = bought.detach(true).await.unwrap();
    for purchase in [&done, &bought] {
        let id = purchase.id.to_string();
        let (written, run) = piped(&cli, &["result", "--wait", &id, "-o", "-"]);
        assert_eq!(run.code, 0, "{run:?}");
        let now = journal.get(&rig.client, purchase.id).await.unwrap();
        assert_eq!(now.state, State::Done);
        assert_eq!(fs::read(only_file(&now)).unwrap(), written);
        assert_eq!(only_file(&now).parent(), saved.parent());
    }
    assert_eq!(rig.emulator.ledger().purchases().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_for_standard_output_alone_is_removed_and_the_job_stays_collectable() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let id = detach(&cli, &[]);
    for _ in 0..2 {
        let (written, run) = piped(&cli, &["result", "--wait", &id, "-o", "-"]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(image::load_from_memory(&written).is_ok());
        assert!(read(&cli.folder().join(".state/stdout")).is_empty());
    }
    assert!(files(&cli).is_empty(), "the name is given back");
    let run = cli.run(&["result", &id, "-o", "later.png"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(image::open(cli.folder().join("later.png")).is_ok());
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_an_earlier_command_could_not_write_is_kept_by_later_ones() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let id = detach(&cli, &[]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let mut command = cli.command(&["result", "--wait", &id, "-o", "-"]);
    let lost = Run::of(&command.stdout(full.unwrap()).output().unwrap());
    assert_eq!(lost.code, 1, "{lost:?}");
    let kept = read(&cli.folder().join(".state/stdout"));
    assert_eq!(kept.len(), 1);
    // The service has it no longer: the file is all that is left of the picture.
    rig.emulator.forget_files();
    for _ in 0..2 {
        let (written, run) = piped(&cli, &["result", &id, "-o", "-"]);
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(fs::read(&kept[0]).unwrap(), written);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_and_a_picture_never_share_standard_output() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let id = detach(&cli, &[]);
    for arguments in [
        &["result", "--wait", &id, "-o", "-", "--json"][..],
        &["resume", &id, "-o", "-", "--json"],
    ] {
        let run = cli.run(arguments);
        assert_eq!(run.code, 2, "{run:?}");
        let told = run.json().to_string();
        assert!(told.contains("both need standard output"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_another_endpoint_that_was_given_up_is_cancelled_at_its_endpoint() {
    let hour = Duration::from_secs(3600);
    let rig = Rig::of(builder().inference_time(hour).concurrency(1)).await;
    let cli = uso().at(&rig.emulator.origin());
    let journal = program(&cli);
    let buy = |key, seed| journal.purchase_order(&rig.client, key, order(&rig, seed));
    buy("running", 1).detach(true).await.unwrap();
    let queued = buy("queued", 2).detach(true).await.unwrap();
    let id = queued.request_id().unwrap();
    let run = cli.run(&["cancel", "--write-off", id]);
    assert_eq!(run.code, 0, "{run:?}");
    let billing = |emulator: &Emulator| emulator.ledger().find(id).unwrap().billing;
    assert_eq!(billing(&rig.emulator), Billing::Pending);
    let run = cli.run(&["cancel", id]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("removed from the queue"), "{run:?}");
    let ended = billing(&rig.emulator);
    assert!(matches!(ended, Billing::Free { .. }), "{ended:?}");
}
