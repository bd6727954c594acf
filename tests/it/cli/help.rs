//! Help: wrapped, complete, with examples, the same for every command.

use uso_tests::rig::Cli;

use super::uso;

const COMMANDS: [&[&str]; 34] = [
    &[],
    &["generate"],
    &["restyle"],
    &["estimate"],
    &["list"],
    &["status"],
    &["watch"],
    &["result"],
    &["cancel"],
    &["resume"],
    &["batch"],
    &["batch", "new"],
    &["batch", "run"],
    &["batch", "status"],
    &["batch", "resume"],
    &["batch", "retry"],
    &["batch", "reconcile"],
    &["batch", "report"],
    &["batch", "cancel"],
    &["rerun"],
    &["upload"],
    &["webhook"],
    &["webhook", "verify"],
    &["webhook", "listen"],
    &["mcp"],
    &["skill"],
    &["proxy"],
    &["emulator"],
    &["login"],
    &["logout"],
    &["doctor"],
    &["completions"],
    &["man"],
    &["help"],
];

fn help(cli: &Cli, command: &[&str], columns: &str) -> String {
    let mut run = cli.command(&[command, &["--help"]].concat());
    let output = run.env("COLUMNS", columns).output().unwrap();
    assert!(output.status.success(), "{command:?} {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_every_command_fits_and_is_as_it_was_reviewed() {
    let cli = uso();
    for columns in ["40", "80", "120"] {
        let mut all = String::new();
        for command in COMMANDS.iter().filter(|command| **command != ["help"]) {
            let text = help(&cli, command, columns);
            let width: usize = columns.parse().unwrap();
            for line in text.lines() {
                assert!(
                    line.chars().count() <= width,
                    "{command:?} {columns}: {line}"
                );
            }
            all += &format!("$ uso {} --help\n\n{text}\n", command.join(" "));
        }
        insta::assert_snapshot!(format!("cli-help-{columns}"), all);
    }
}

#[test]
fn every_command_has_two_examples_and_every_limit_of_the_schema() {
    let cli = uso();
    for command in COMMANDS
        .iter()
        .filter(|command| !command.is_empty() && **command != ["help"] && **command != ["webhook"])
    {
        let text = help(&cli, command, "120");
        let examples = text.split("Examples:\n").nth(1);
        let examples = examples.unwrap_or_else(|| panic!("{command:?} has no examples"));
        let count = examples
            .lines()
            .filter(|line| line.contains("uso "))
            .count();
        assert!(count >= 2, "{command:?} {examples}");
    }
    let text = help(&cli, &["restyle"], "120");
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
    let input = uso::UsoInput::NUM_INFERENCE_STEPS_DEFAULT;
    for expected in [
        format!(
            "{} to {}",
            uso::UsoInput::NUM_IMAGES_MIN,
            uso::UsoInput::NUM_IMAGES_MAX
        ),
        format!("[default: {input}]"),
        "1.0 to 10.0 [default: 4.0]".to_owned(),
        "1 to 14142".to_owned(),
        "[env: USO_MAX_COST]".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}");
    }
    let root = help(&cli, &[], "120");
    for variable in [
        "FAL_KEY",
        "USO_BASE_URL",
        "USO_JOURNAL",
        "USO_STATE_DIR",
        "NO_PROXY",
    ] {
        assert!(root.contains(variable), "{variable}");
    }
    // An option that means nothing is not shown.
    assert!(!help(&cli, &["completions"], "120").contains("--emulator"));
    assert!(!help(&cli, &["resume"], "120").contains("--emulator"));
}

#[test]
fn manual_pages_come_from_the_same_definitions() {
    let cli = uso();
    let run = cli.run(&["man", "pages"]);
    assert_eq!(run.code, 0, "{run:?}");
    let page = |name: &str| std::fs::read_to_string(cli.folder().join("pages").join(name)).unwrap();
    for name in ["uso.1", "uso-restyle.1", "uso-emulator.1"] {
        assert!(page(name).starts_with(".ie"), "{name}");
    }
    assert!(page("uso-restyle.1").contains("max\\-cost"));
    let pages = std::fs::read_dir(cli.folder().join("pages")).unwrap();
    let mut pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    assert!(
        pages.all(|page| !page.contains("help")),
        "help is no command to read about"
    );
    let refused = cli.run(&["man", "/proc/nosuch"]);
    assert!(
        refused.code == 1 && refused.stderr.contains("/proc/nosuch"),
        "{refused:?}"
    );
}
