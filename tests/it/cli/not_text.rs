//! Arguments and variables that are not UTF-8.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use uso_tests::rig::{Rig, Run, content, style};

use super::{path, uso};

#[test]
fn a_wrong_command_line_with_bytes_that_are_no_text_is_an_error_like_any_other() {
    let cases: [(&[&[u8]], &str); 5] = [
        (
            &[b"restyle", b"ph\xffto.jpg", b"ink.webp", b"--setps", b"3"],
            "--setps: there is no such option here",
        ),
        (
            &[b"generate", b"a.jpg", b"-p", b"\xff"],
            "is not UTF-8 text",
        ),
        (&[b"ba\xfftch", b"run"], "ba"),
        (&[b"batch", b"ru\xffn"], "ru"),
        (&[b"list", b"--l\xffst"], "--l"),
    ];
    for (arguments, words) in cases {
        let arguments = || arguments.iter().map(|bytes| OsStr::from_bytes(bytes));
        let cli = uso();
        let run = Run::of(&cli.command(&[]).args(arguments()).output().unwrap());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.stderr.contains(words), "{run:?}");
        assert!(!run.stderr.contains("panicked"), "{run:?}");
        let mut command = cli.command(&[]);
        let run = Run::of(&command.args(arguments()).arg("--json").output().unwrap());
        assert_eq!(run.code, 2, "{run:?}");
        let error = &run.json()["error"];
        assert_eq!(error["kind"], "usage", "{run:?}");
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{run:?}"
        );
        assert_eq!(run.stderr, "", "{run:?}");
    }
}

/// A variable that cannot be read would otherwise count as not set: the request would go to fal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_that_is_no_text_is_refused_and_not_left_out() {
    let rig = Rig::plain().await;
    let (content, style) = (path(content()), path(style()));
    for (name, value, code, words) in [
        ("USO_BASE_URL", &b"http://h\xffst"[..], 1, "the base URL"),
        ("FAL_RUN_HOST", b"f\xffl.run", 1, "the run host"),
        ("FAL_KEY", b"id:s\xffcret", 4, "printable ASCII"),
    ] {
        let cli = uso().at(&rig.emulator.origin());
        let mut command = cli.command(&["restyle", &content, &style]);
        if name == "FAL_RUN_HOST" {
            command.env_remove("USO_BASE_URL");
        }
        let output = command.env(name, OsStr::from_bytes(value)).output();
        let run = Run::of(&output.unwrap());
        assert_eq!(run.code, code, "{name} {run:?}");
        assert!(run.stderr.contains(words), "{name} {run:?}");
        assert!(!run.stderr.contains("cret"), "{run:?}");
    }
    assert!(rig.operations().is_empty());
}
