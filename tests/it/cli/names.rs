//! Names of pictures: what is bought can be saved under its name.

use std::fs;

use uso_tests::rig::{Cli, Rig, Run, content, style};

use super::{files, path, uso};

/// Bytes of a file name that file systems take.
const LONGEST: usize = 255;

/// A command line at this emulator whose folder has two pictures with names of sixty letters.
fn with_long_names(rig: &Rig, letter: &str) -> (Cli, String, String) {
    let cli = uso().at(&rig.emulator.origin());
    let (first, second) = (letter.repeat(60), format!("{}墨", letter.repeat(59)));
    let (first, second) = (format!("{first}.jpg"), format!("{second}.jpg"));
    fs::create_dir(cli.folder().join("in")).unwrap();
    for (source, name) in [(content(), &first), (style(), &second)] {
        fs::copy(source, cli.folder().join("in").join(name)).unwrap();
    }
    (cli, format!("in/{first}"), format!("in/{second}"))
}

fn saved(cli: &Cli, run: &Run) -> Vec<String> {
    assert_eq!(run.code, 0, "{run:?}");
    let mut names = files(cli);
    names.retain(|name| name.ends_with(".png"));
    let printed: Vec<&str> = run.stdout.lines().collect();
    for line in &printed {
        assert!(image::open(cli.folder().join(line)).is_ok(), "{run:?}");
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_names_of_pictures_are_shortened_to_a_name_that_can_be_saved() {
    for letter in ["画", "😀", "e\u{301}"] {
        let rig = Rig::plain().await;
        let (cli, content, style) = with_long_names(&rig, letter);
        let restyle = ["restyle", &content, &style, "-s", "32x32"];
        let more: [&[&str]; 6] = [
            &[],
            &[],
            &["-n", "3"],
            &["--name", "{content}-{style}-{id}.{ext}"],
            &["--name", "{content}-{style}-{seed}-{n}.{ext}", "-n", "2"],
            &[
                "--name",
                "{content}-{content}-{style}-{id}-{seed}.png",
                "-n",
                "2",
            ],
        ];
        let mut count = 0;
        for (more, pictures) in more.iter().zip([1, 1, 3, 1, 2, 2]) {
            let run = cli.run(&[&restyle[..], more].concat());
            count += pictures;
            let names = saved(&cli, &run);
            assert_eq!(names.len(), count, "{letter} {more:?} {names:?}");
            for name in names {
                assert!(name.len() + ".json".len() <= LONGEST, "{name}");
                assert!(name.starts_with(&letter.repeat(10)), "{name}");
            }
        }
        assert_eq!(rig.emulator.ledger().purchases().len(), more.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_stays_too_long_is_refused_before_anything_is_bought() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let text = "x".repeat(200);
    for template in [
        format!("{text}{{id}}{{id}}.{{ext}}"),
        format!("{text}{{content}}{{seed}}{{seed}}{{seed}}.{{ext}}"),
        format!("{text}{text}.png"),
    ] {
        let (content, style) = (path(content()), path(style()));
        let arguments = ["restyle", &content, &style, "--name", &template];
        for more in [&[][..], &["--dry-run"]] {
            let run = cli.run(&[&arguments[..], more].concat());
            assert_eq!(run.code, 2, "{run:?}");
            assert!(
                run.stderr.contains("--name: the file name can have"),
                "{run:?}"
            );
            assert!(run.stderr.contains("nothing was sent"), "{run:?}");
        }
    }
    assert!(rig.operations().is_empty(), "{:?}", rig.operations());
    assert!(files(&cli).is_empty());
}
