//! Where pictures go: nothing is overwritten, nothing is bought for a place that cannot take it.

use std::fs;
use std::process::Stdio;

use uso_tests::rig::{Cli, Rig, Run, content, skipped, style, until};

use super::{files, path, uso};

/// A small purchase with these words behind.
fn buy(cli: &Cli, more: &[&str]) -> Run {
    let (content, style) = (path(content()), path(style()));
    cli.run(&[&["restyle", &content, &style, "-s", "32x32"], more].concat())
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_is_never_written_under_whatever_name() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let folder = cli.folder();
    let original = fs::read(content()).unwrap();
    for name in ["photo.png", "photo-2.png", "ink.png"] {
        fs::copy(content(), folder.join(name)).unwrap();
    }
    fs::hard_link(folder.join("photo.png"), folder.join("hard.png")).unwrap();
    std::os::unix::fs::symlink("photo.png", folder.join("soft.png")).unwrap();
    let places = [
        "photo.png",
        "./photo.png",
        "hard.png",
        "soft.png",
        "ink.png",
    ];
    for place in places {
        for force in [&["--force"][..], &[]] {
            let arguments = [
                "restyle",
                "photo.png",
                "ink.png",
                "-s",
                "32x32",
                "-o",
                place,
            ];
            let run = cli.run(&[&arguments[..], force].concat());
            assert_eq!(run.code, 2, "{place} {run:?}");
            assert!(run.stderr.contains("nothing was sent"), "{run:?}");
            let dry = cli.run(&[&arguments[..], force, &["--dry-run"]].concat());
            assert_eq!(dry.code, 2, "the dry run has the same verdict: {dry:?}");
        }
    }
    // The second of several pictures would have the name of an input.
    let several = [
        "restyle",
        "photo-2.png",
        "ink.png",
        "-s",
        "32x32",
        "-n",
        "2",
        "-o",
    ];
    let run = cli.run(&[&several[..], &["photo.png", "--force"]].concat());
    assert!(
        run.code == 2 && run.stderr.contains("never written"),
        "{run:?}"
    );
    for name in ["photo.png", "photo-2.png", "ink.png"] {
        assert_eq!(fs::read(folder.join(name)).unwrap(), original, "{name}");
    }
    assert!(rig.operations().is_empty(), "nothing is sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_existing_file_is_refused_before_anything_is_bought() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let there = cli.folder().join("out.png");
    fs::write(&there, "a diary").unwrap();
    let run = buy(&cli, &["-o", "out.png"]);
    assert!(
        run.code == 2 && run.stderr.contains("out.png exists"),
        "{run:?}"
    );
    assert!(run.stderr.contains("--force"), "{run:?}");
    assert_eq!(buy(&cli, &["-o", "out.png", "--dry-run"]).code, 2);
    let mut permissions = fs::metadata(&there).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&there, permissions.clone()).unwrap();
    let run = buy(&cli, &["-o", "out.png", "--force"]);
    assert!(run.code == 2 && run.stderr.contains("read-only"), "{run:?}");
    assert_eq!(fs::read_to_string(&there).unwrap(), "a diary");
    assert!(rig.operations().is_empty(), "nothing is sent");
    #[expect(
        clippy::permissions_set_readonly_false,
        reason = "the folder is removed afterwards"
    )]
    permissions.set_readonly(false);
    fs::set_permissions(&there, permissions).unwrap();
    let run = buy(&cli, &["-o", "out.png", "--force"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "out.png\n"), "{run:?}");
    assert!(image::open(&there).is_ok());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_no_regular_file_is_refused_before_anything_is_bought() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let made = std::process::Command::new("mkfifo")
        .arg(cli.folder().join("pipe"))
        .status();
    assert!(made.unwrap().success());
    std::os::unix::fs::symlink("loop.png", cli.folder().join("loop.png")).unwrap();
    for (place, code, words) in [
        ("pipe", 2, "a named pipe"),
        ("/dev/null", 2, "-o -"),
        ("/dev/stdout", 2, "-o -"),
        ("/dev/fd/1", 2, "-o -"),
        ("loop.png", 2, "circle"),
        ("/sys/out.png", 1, "cannot be written"),
        ("nosuch/out.png", 2, "mkdir -p nosuch"),
    ] {
        for force in [&["--force"][..], &[]] {
            let run = buy(&cli, &[&["-o", place], force].concat());
            assert_eq!(run.code, code, "{place} {run:?}");
            assert!(run.stderr.contains(words), "{place} {run:?}");
            assert!(run.stderr.contains("nothing was sent"), "{place} {run:?}");
        }
    }
    let bought = rig.emulator.ledger().purchases().len();
    assert_eq!(
        (bought, rig.operations().len()),
        (0, 0),
        "{:?}",
        rig.operations()
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_stays_and_what_it_names_is_written() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let folder = cli.folder();
    fs::create_dir(folder.join("far")).unwrap();
    std::os::unix::fs::symlink("far/real.png", folder.join("link.png")).unwrap();
    let run = buy(&cli, &["-o", "link.png"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "far/real.png\n"),
        "{run:?}"
    );
    assert!(
        fs::symlink_metadata(folder.join("link.png"))
            .unwrap()
            .is_symlink()
    );
    assert!(image::open(folder.join("far/real.png")).is_ok());
    let again = buy(&cli, &["-o", "link.png"]);
    assert!(
        again.code == 2 && again.stderr.contains("exists"),
        "{again:?}"
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_output_takes_one_picture_and_its_loss_is_an_error() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let arguments = ["restyle", &content, &style, "-s", "32x32", "-o", "-"];
    let output = cli.command(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(image::load_from_memory(&output.stdout).is_ok());
    assert!(files(&cli).is_empty());
    for (more, words) in [
        (&["-n", "2"][..], "takes one picture"),
        (&["--json"], "both need standard output"),
        (&["--name", "{content}.{ext}"], "--name"),
    ] {
        let run = cli.run(&[&arguments[..], more].concat());
        let told = format!("{}{}", run.stderr, run.stdout);
        assert!(run.code == 2 && told.contains(words), "{run:?}");
    }
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let mut lost = cli.command(&arguments);
    let lost = lost.stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    let lost = Run::of(&lost.wait_with_output().unwrap());
    assert_eq!(lost.code, 1, "{lost:?}");
    assert!(lost.stderr.contains("uso result"), "{lost:?}");
    // It is kept, and written out without another purchase.
    assert_eq!(cli.run(&["result", "-o", "kept.png"]).code, 0);
    assert_eq!(files(&cli).len(), 1);
    assert_eq!(rig.emulator.ledger().purchases().len(), 2);
    for arguments in [
        &["estimate", &content, &style][..],
        &["restyle", &content, &style, "--detach"],
        &["--help"],
        &["--version"],
        &["completions", "bash"],
    ] {
        let mut command = cli.command(arguments);
        let run = command
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let run = Run::of(&run.wait_with_output().unwrap());
        assert_eq!(run.code, 1, "{arguments:?} {run:?}");
    }
    // What was bought is named all the same.
    for more in [&[][..], &["--json"], &["-n", "2", "--json"]] {
        let mut command =
            cli.command(&[&arguments[..5], &["-o", "named.png", "--force"], more].concat());
        let run = command
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let run = Run::of(&run.wait_with_output().unwrap());
        assert_eq!(run.code, 1, "{more:?} {run:?}");
        let ledger = rig.emulator.ledger();
        let id = &ledger.purchases().last().unwrap().request_id;
        for words in [id, "named", "standard output", &format!("uso result {id}")] {
            assert!(run.stderr.contains(words), "{words} {more:?} {run:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_with_one_place_one_buys() {
    let long = std::time::Duration::from_secs(3600);
    let rig = Rig::of(Rig::plain_builder().inference_time(long)).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    fs::write(cli.folder().join("old.png"), "old").unwrap();
    for (bought, place, force) in [(1, "new.png", None), (2, "old.png", Some("--force"))] {
        let arguments = ["restyle", &content, &style, "-o", place];
        let mut first = cli.command(&arguments);
        first
            .args(force)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut first = first.spawn().unwrap();
        let is_bought = || rig.emulator.ledger().purchases().len() >= bought;
        until("the purchase", is_bought).await;
        let mut second = cli.command(&arguments);
        let second = Run::of(&second.args(force).output().unwrap());
        assert_eq!(second.code, 2, "{second:?}");
        assert!(second.stderr.contains("nothing was sent"), "{second:?}");
        first.kill().unwrap();
        first.wait().unwrap();
        assert_eq!(rig.emulator.ledger().purchases().len(), bought);
    }
}

#[test]
fn names_come_from_the_pictures_or_from_a_template() {
    let cli = uso();
    let folder = cli.folder();
    fs::copy(content(), folder.join("photo.jpg")).unwrap();
    fs::copy(style(), folder.join("ink{n}.jpg")).unwrap();
    let make = |more: &[&str]| {
        let arguments = [
            "restyle",
            "photo.jpg",
            "ink{n}.jpg",
            "-s",
            "32x32",
            "--emulator",
            "-q",
        ];
        cli.run(&[&arguments[..], more].concat())
    };
    assert_eq!(make(&[]).stdout, "photo-ink{n}.png\n");
    assert_eq!(make(&[]).stdout, "photo-ink{n}-2.png\n");
    assert_eq!(
        make(&["-n", "2", "--format", "jpeg"]).stdout,
        "photo-ink{n}-1.jpg\nphoto-ink{n}-2.jpg\n"
    );
    let named = make(&[
        "-n",
        "2",
        "-o",
        "made/",
        "--name",
        "{number}-{style}-{seed}.{ext}",
        "--seed",
        "7",
    ]);
    assert_eq!(
        named.stdout, "made/1-ink{n}-7.png\nmade/2-ink{n}-7.png\n",
        "{named:?}"
    );
    let by_id = make(&["--name", "{{{id}}}.{ext}"]);
    let name = by_id.stdout.trim();
    assert!(
        name.starts_with('{') && name.ends_with("}.png") && name.len() == 42,
        "{by_id:?}"
    );
    let alone = cli.run(&[
        "generate",
        "photo.jpg",
        "-p",
        "x",
        "-s",
        "32x32",
        "--emulator",
        "-q",
    ]);
    assert_eq!(alone.stdout, "photo-uso.png\n");
    for (template, words) in [
        ("{prompt}.png", "{prompt}"),
        ("a/{number}.png", "a folder goes to -o"),
        ("{number", "without its }"),
        ("..", "not a file name"),
    ] {
        let run = make(&["--name", template]);
        assert!(run.code == 2 && run.stderr.contains(words), "{run:?}");
    }
    let run = make(&["--name", "{id}.png", "-o", "file.png"]);
    assert!(run.code == 2 && run.stderr.contains("file.png/"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detached_job_goes_to_the_place_that_its_purchase_named() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let detach = |place: &str| {
        buy(&cli, &["--detach", "-o", place])
            .stdout
            .trim()
            .to_owned()
    };
    let (first, second, third) = (
        detach("first.png"),
        detach("second.png"),
        detach("third.png"),
    );
    let taken = buy(&cli, &["-o", "first.png"]);
    assert!(taken.code == 2, "its name is taken: {taken:?}");
    let run = cli.run(&["result", "--wait", &first]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "first.png\n"),
        "{run:?}"
    );
    let run = cli.run(&["result", "--wait", &second, "-o", "other.png"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "other.png\n"),
        "{run:?}"
    );
    assert!(
        !cli.folder().join("second.png").exists(),
        "the name is given back"
    );
    let run = cli.run(&["resume", &third, "-o", "another.png"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "another.png\n"),
        "{run:?}"
    );
    assert_eq!(files(&cli), ["another.png", "first.png", "other.png"]);
    assert_eq!(rig.emulator.ledger().purchases().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collected_file_in_a_folder_is_named_by_its_format() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    for (format, end) in [("jpeg", ".jpg\n"), ("png", ".png\n")] {
        let run = buy(&cli, &["--detach", "--format", format]);
        let id = run.stdout.trim();
        // First from the service, and then from the file.
        for folder in ["first/", "second/"] {
            let run = cli.run(&["result", "--wait", id, "-o", folder]);
            assert!(run.code == 0 && run.stdout.ends_with(end), "{run:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_program_put_in_the_way_is_kept() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let id = buy(&cli, &["--detach", "-o", "out.png"])
        .stdout
        .trim()
        .to_owned();
    fs::write(cli.folder().join("out.png"), "a diary").unwrap();
    let run = cli.run(&["result", "--wait", &id]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "out-2.png\n"),
        "{run:?}"
    );
    assert!(run.stderr.contains("left as it is"), "{run:?}");
    assert_eq!(
        fs::read_to_string(cli.folder().join("out.png")).unwrap(),
        "a diary"
    );
    assert!(image::open(cli.folder().join("out-2.png")).is_ok());
}

#[cfg(unix)]
#[test]
fn any_file_name_works_and_none_acts_on_the_terminal() {
    use std::os::unix::ffi::OsStrExt as _;
    let cli = uso();
    let odd = std::ffi::OsStr::from_bytes(b"ph\xffto.jpg");
    fs::copy(content(), cli.folder().join(odd)).unwrap();
    fs::copy(style(), cli.folder().join("ink.jpg")).unwrap();
    let mut command = cli.command(&["restyle", "-s", "32x32", "--emulator"]);
    let run = Run::of(&command.arg(odd).args(["ink.jpg"]).output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    let mut command = cli.command(&[
        "restyle",
        "-s",
        "32x32",
        "--emulator",
        "ink.jpg",
        "ink.jpg",
        "-o",
    ]);
    let output = command
        .arg(std::ffi::OsStr::from_bytes(b"\xfe.png"))
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"\xfe.png\n", "{output:?}");

    let nasty = "a\u{1b}[2Jb\u{202e}.jpg";
    fs::copy(content(), cli.folder().join(nasty)).unwrap();
    for arguments in [
        &[
            "restyle",
            nasty,
            "ink.jpg",
            "-s",
            "32x32",
            "--emulator",
            "--no-fit",
        ][..],
        &["restyle", "ink.jpg", "ink.jpg", "-o", nasty],
        &["restyle", "missing\u{1b}[31m.jpg", "ink.jpg"],
        &["restyle", "ink.jpg", "--\u{1b}[31m"],
    ] {
        let run = cli.run(arguments);
        assert!(!run.stderr.contains(['\u{1b}', '\u{202e}']), "{run:?}");
        assert!(run.stderr.contains("\\u{1b}"), "{run:?}");
        let json = cli.run(&[arguments, &["--json"]].concat());
        assert!(!json.stdout.contains(['\u{1b}', '\u{202e}']), "{json:?}");
    }
}

#[tokio::test]
async fn a_picture_is_opened_with_the_viewer_of_the_system() {
    if !cfg!(target_os = "linux") {
        return skipped("--open", "Linux");
    }
    let cli = uso();
    let bin = cli.folder().join(".bin");
    fs::create_dir(&bin).unwrap();
    let viewer = bin.join("xdg-open");
    fs::write(&viewer, "#!/bin/sh\nprintf '%s' \"$1\" > \"$(dirname \"$0\")/opened.part\" && mv \"$(dirname \"$0\")/opened.part\" \"$(dirname \"$0\")/opened\"\n").unwrap();
    #[cfg(unix)]
    fs::set_permissions(&viewer, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let search = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let cli = cli.variable("PATH", &search);
    let run = buy(&cli, &["--emulator", "-o", "out.png", "--open"]);
    assert_eq!(run.code, 0, "{run:?}");
    let opened = cli.folder().join(".bin/opened");
    until("the viewer", || opened.exists()).await;
    let opened = fs::read_to_string(opened).unwrap();
    assert!(
        opened.starts_with('/') && opened.ends_with("/out.png"),
        "{opened}"
    );
}
