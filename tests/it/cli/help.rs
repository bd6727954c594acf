//! Help: wrapped, complete, with examples, the same for every command.

use uso_tests::rig::Cli;

use super::uso;

/// Every command with its nested ones, as the help lists them.
fn commands(cli: &Cli) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    collect(cli, Vec::new(), &mut commands);
    assert!(commands.len() >= 40, "{commands:?}");
    commands
}

fn collect(cli: &Cli, command: Vec<String>, commands: &mut Vec<Vec<String>>) {
    let text = help(cli, &command, "120");
    commands.push(command.clone());
    let listed = text.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for name in names.filter(|name| !name.is_empty() && *name != "help") {
        let nested = [&command[..], &[name.to_owned()]].concat();
        collect(cli, nested, commands);
    }
}

fn help(cli: &Cli, command: &[impl AsRef<str>], columns: &str) -> String {
    let command: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
    let mut run = cli.command(&[&command[..], &["--help"]].concat());
    let output = run.env("COLUMNS", columns).output().unwrap();
    assert!(output.status.success(), "{command:?} {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_every_command_fits_and_is_as_it_was_reviewed() {
    let cli = uso();
    let commands = commands(&cli);
    for columns in ["40", "80", "120"] {
        let mut all = String::new();
        for command in &commands {
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
    for command in commands(&cli) {
        let text = help(&cli, &command, "120");
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
    let root = help(&cli, &[""; 0], "120");
    for variable in [
        "FAL_KEY",
        "USO_BASE_URL",
        "USO_JOURNAL",
        "USO_STATE_DIR",
        "NO_PROXY",
    ] {
        assert!(root.contains(variable), "{variable}");
    }
}

#[test]
fn an_option_or_argument_that_is_always_refused_is_not_shown() {
    let cli = uso();
    let refuse = [
        "completions",
        "resume",
        "batch new",
        "batch status",
        "batch resume",
        "batch retry",
        "batch reconcile",
        "batch report",
        "batch work",
        "batch collect",
        "batch cancel",
        "webhook verify",
        "webhook listen",
        "journal migrate",
    ];
    for command in refuse {
        let words: Vec<&str> = command.split(' ').collect();
        let text = help(&cli, &words, "120");
        assert!(!text.contains("  --emulator"), "{command}: {text}");
    }
    assert!(help(&cli, &["batch", "run"], "120").contains("--emulator"));
    assert!(!help(&cli, &["batch", "new"], "120").contains("Connection:"));
    let usage = |command: &str| {
        let text = help(&cli, &[command], "120");
        text.split("Usage:")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    assert!(!usage("generate").contains("STYLE"));
    assert!(usage("restyle").contains("[STYLE]"));
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
