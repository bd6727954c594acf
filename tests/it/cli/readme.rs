//! The commands of `README.md`, as they are written there.

use uso_tests::rig::{Cli, Run, file};

use super::{files, uso};

/// Runs the first command of the README with this end, with the README's pictures.
fn documented(cli: &Cli, end: &str) -> Run {
    let readme = std::fs::read_to_string(file("../README.md")).unwrap();
    let command = readme.lines().find(|line| line.ends_with(end)).unwrap();
    let words = command.strip_prefix("cargo run -- ").unwrap().split(' ');
    let words: Vec<String> = words
        .map(|word| match word.strip_prefix("tests/") {
            // Results are made in the folder of the test.
            Some("pictures/result.jpg") => "result.jpg".to_owned(),
            Some(name) => file(name).to_str().unwrap().to_owned(),
            None => word.to_owned(),
        })
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    cli.run(&words)
}

#[test]
fn the_first_command_makes_a_picture_each_time() {
    let cli = uso();
    for _ in 0..2 {
        let run = documented(&cli, "style.jpg --emulator");
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stderr.contains("emulated"), "{run:?}");
        let bytes = std::fs::read(cli.folder().join(run.stdout.trim())).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (1024, 1024));
    }
    assert_eq!(files(&cli).len(), 2);
}

#[test]
fn the_picture_is_what_its_command_makes() {
    let cli = uso();
    let run = documented(&cli, "result.jpg --force");
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stdout, "result.jpg\n");
    let made = image::open(cli.folder().join("result.jpg")).unwrap();
    let shown = image::open(file("pictures/result.jpg")).unwrap();
    let (made, shown) = (made.into_rgb8(), shown.into_rgb8());
    assert_eq!(made.dimensions(), shown.dimensions());
    let apart = made
        .iter()
        .zip(shown.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)));
    let mean = apart.sum::<u64>() / made.len() as u64;
    assert!(mean < 2, "{mean}");
}
