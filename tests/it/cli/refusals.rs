//! Refusals that keep files, and errors that name what is left to do.

use std::fs;

use uso_tests::rig::{Cli, Rig, Run, content, style};

use super::{files, path, uso};

fn assert_kept(cli: &Cli, file: &str, arguments: &[&str]) {
    let before = fs::read(cli.folder().join(file)).unwrap();
    let run = cli.run(arguments);
    assert_eq!(run.code, 2, "{arguments:?} {run:?}");
    assert!(run.stderr.contains("never written"), "{run:?}");
    assert!(fs::read(cli.folder().join(file)).unwrap() == before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_writes_over_what_a_job_was_made_of() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let folder = cli.folder();
    fs::copy(content(), folder.join("photo.png")).unwrap();
    fs::copy(style(), folder.join("ink.png")).unwrap();
    fs::write(folder.join("words.png"), "a storm").unwrap();
    let words = [
        "generate",
        "photo.png",
        "-p",
        "@words.png",
        "-s",
        "32x32",
        "--force",
        "-o",
        "words.png",
    ];
    assert_kept(&cli, "words.png", &words);
    let journal = ".state/journal.db";
    let buy = ["restyle", "photo.png", "ink.png", "-s", "32x32", "--detach"];
    assert!(rig.emulator.ledger().purchases().is_empty());
    let run = cli.run(&buy);
    assert_eq!(run.code, 0, "{run:?}");
    let id = run.stdout.trim();
    for round in ["bought", "saved"] {
        for place in ["photo.png", "ink.png", journal] {
            let result = ["result", "--wait", id, "-o", place, "--force"];
            let resume = ["resume", id, "-o", place, "--force"];
            let before = fs::read(folder.join(place)).unwrap();
            for arguments in [&result[..], &resume] {
                let run = cli.run(arguments);
                assert_eq!(run.code, 2, "{round} {arguments:?} {run:?}");
                assert!(run.stderr.contains("never written"), "{run:?}");
            }
            let now = fs::read(folder.join(place)).unwrap();
            assert!(place == journal || now == before, "{round} {place}");
        }
        // The journal still is one.
        assert_eq!(cli.run(&["result", "--wait", id]).code, 0);
    }
    let more = [&buy[..5], &["--force", "-o", journal]].concat();
    let run = cli.run(&more);
    assert!(
        run.code == 2 && run.stderr.contains("never written"),
        "{run:?}"
    );
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pruned_job_says_so_in_place_of_its_picture() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let run = cli.run(&["restyle", &content, &style, "-s", "32x32", "-o", "a.png"]);
    assert_eq!(run.code, 0, "{run:?}");
    let pruned = cli.run(&["prune", "--older-than", "1ms"]);
    assert_eq!(pruned.code, 0, "{pruned:?}");
    for arguments in [
        &["result", "j1"][..],
        &["result", "j1", "-o", "x.png"],
        &["result", "j1", "-o", "-"],
        &["resume", "j1", "-o", "x.png"],
    ] {
        let run = cli.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains("was pruned"), "{run:?}");
    }
    assert_eq!(files(&cli), ["a.png"]);
    let run = cli.run(&["cancel", "j1"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(
        run.stderr
            .contains("j1 is done and has no request id: there is nothing to cancel"),
        "{run:?}"
    );
    assert!(!run.stderr.contains("--write-off"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_not_bought_has_nothing_to_cancel() {
    let rig = Rig::of(Rig::plain_builder().key("known:key")).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let refused = cli.run(&["restyle", &content, &style, "-s", "32x32"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    let run = cli.run(&["cancel", "j1"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("j1 is failed ("), "{run:?}");
    assert!(run.stderr.contains("nothing to cancel"), "{run:?}");
}

#[cfg(unix)]
#[test]
fn a_file_without_an_end_is_refused() {
    let cli = uso();
    for (arguments, code) in [
        (&["rerun", "/dev/zero", "--emulator"][..], 3),
        (&["emulator", "--scenario", "/dev/zero"], 3),
        (&["emulator", "--endpoint", "/dev/zero"], 3),
    ] {
        let run = cli.run(arguments);
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains("it is longer than"), "{run:?}");
    }
}

#[test]
fn a_key_that_cannot_be_one_is_an_error_of_the_key() {
    let status = |variables: &[(&str, &str)]| {
        let cli = uso();
        let mut command = cli.command(&["status", "r-1"]);
        command.envs(variables.iter().copied());
        Run::of(&command.output().unwrap())
    };
    for (variables, words) in [
        (&[("FAL_KEY", "an-id:a secret")][..], "FAL_KEY: the API key"),
        (&[("FAL_KEY", "an-id:\na-secret")], "FAL_KEY: the API key"),
        (
            &[("FAL_KEY_ID", "an-id")],
            "FAL_KEY_ID is set, and FAL_KEY_SECRET is not",
        ),
        (
            &[("FAL_KEY_SECRET", "a-secret")],
            "FAL_KEY_SECRET is set, and FAL_KEY_ID is not",
        ),
        (
            &[("FAL_KEY_ID", "an-id"), ("FAL_KEY_SECRET", "a secret")],
            "FAL_KEY_SECRET: the API key",
        ),
    ] {
        let run = status(variables);
        assert_eq!(run.code, 4, "{variables:?} {run:?}");
        assert!(run.stderr.contains(words), "{run:?}");
        assert!(!run.stderr.contains("secret\n"), "{run:?}");
    }
}
