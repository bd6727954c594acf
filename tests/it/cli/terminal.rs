//! The command line in a terminal: what shows only there.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Rig, content, skipped, style};
use uso_tests::terminal::Terminal;

use super::{files, path, uso};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_the_loop_of_a_shell_and_leaves_no_line_of_progress() {
    let shell = std::path::Path::new("/bin/bash");
    if !shell.exists() {
        return skipped("the loop of a shell", "bash");
    }
    let rig = Rig::of(Rig::plain_builder().inference_time(Duration::from_secs(3600))).await;
    let cli = uso().at(&rig.emulator.origin());
    let one = cli.command(&["restyle", &path(content()), &path(style())]);
    let script = "for i in 1 2 3; do \"$@\"; done; echo the loop went on";
    let mut command = std::process::Command::new(shell);
    command.args(["-c", script, "bash"]).arg(one.get_program());
    command.args(one.get_args()).current_dir(cli.folder());
    command.envs(
        one.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let mut terminal = Terminal::start(&command, 100);
    terminal
        .until("running")
        .press("\x03")
        .until("press Ctrl-C again");
    let session = terminal.end();
    assert_eq!(session.status.signal(), Some(2), "{session:?}");
    assert!(session.screen.contains("detached"), "{session:?}");
    assert!(!session.screen.contains("the loop went on"), "{session:?}");
    assert!(!session.screen.contains("running"), "{session:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_above_the_limit_is_asked_about_and_bought_only_on_yes() {
    let rig = Rig::plain().await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let arguments = [
        "restyle",
        &content,
        &style,
        "-s",
        "64x64",
        "--ask-above",
        "0.0001",
    ];
    for (answer, bought) in [("\r", 0), ("n\r", 0), ("y\r", 1)] {
        let mut terminal = Terminal::start(&cli.command(&arguments), 100);
        terminal.until("Buy it? [y/N]").press(answer);
        let session = terminal.end();
        assert_eq!(
            session.status.code(),
            Some(if bought == 0 { 9 } else { 0 }),
            "{session:?}"
        );
        assert_eq!(
            rig.emulator.ledger().purchases().len(),
            bought,
            "{answer:?}"
        );
    }
    assert_eq!(files(&cli).len(), 1);
    // Without a terminal there is no question, and no purchase.
    let run = cli.run(&arguments);
    assert!(run.code == 9 && run.stderr.contains("--yes"), "{run:?}");
    assert_eq!(cli.run(&[&arguments[..], &["--yes"]].concat()).code, 0);
    let cheap = cli.run(&[
        "restyle",
        &content,
        &style,
        "-s",
        "64x64",
        "--ask-above",
        "1",
    ]);
    assert_eq!(cheap.code, 0, "{cheap:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_response_is_told_while_the_purchase_is_looked_for() {
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Listing, Fault::EmptyListing);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = uso().at(&rig.emulator.origin());
    let command = cli.command(&["restyle", &path(content()), &path(style())]);
    let mut terminal = Terminal::start(&command, 120);
    terminal.until("the response was lost; looking whether the purchase was accepted (0 of 120 s)");
    let session = terminal.end();
    assert_eq!(session.status.code(), Some(0), "{session:?}");
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    assert_eq!(files(&cli).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_down_costs_one_line_that_names_the_host() {
    let rig = Rig::of(Rig::plain_builder().inference_time(Duration::from_secs(3600))).await;
    let cli = uso().at(&rig.emulator.origin());
    let run = cli.run(&["restyle", &path(content()), &path(style()), "--detach"]);
    let id = run.stdout.trim().to_owned();
    rig.emulator.shutdown().await;
    let mut terminal = Terminal::start(&cli.command(&["watch", &id, "--timeout", "4s"]), 120);
    terminal.until("no connection to 127.0.0.1");
    let session = terminal.end();
    assert_eq!(session.status.code(), Some(7), "{session:?}");
    assert!(session.screen.contains("uso result"), "{session:?}");
    assert!(!session.screen.contains("trying again"), "{session:?}");
    // Without a terminal the lines get fewer and fewer.
    let run = cli.run(&["resume", "--timeout", "4s"]);
    assert_eq!(run.code, 7, "{run:?}");
    let told = run.stderr.matches("no connection to 127.0.0.1").count();
    assert!((1..=4).contains(&told), "{run:?}");
}

#[test]
fn steps_are_a_bar_and_no_pile_of_lines() {
    let cli = uso();
    let (content, style) = (path(content()), path(style()));
    let arguments = ["restyle", &content, &style, "--emulator", "-s", "64x64"];
    let mut terminal = Terminal::start(&cli.command(&arguments), 100);
    terminal.until("step ").until("left)");
    let session = terminal.end();
    assert_eq!(session.status.code(), Some(0), "{session:?}");
    assert!(!session.screen.contains("step "), "{session:?}");
    let plain = cli.run(&arguments);
    assert!(!plain.stderr.contains("step "), "{plain:?}");
    assert!(!plain.stderr.contains('\x1b'), "{plain:?}");
}

#[test]
fn a_preview_is_drawn_in_the_way_of_the_terminal_and_only_there() {
    let cli = uso();
    let (content, style) = (path(content()), path(style()));
    let shown = |how: &str, variables: &[(&str, &str)]| {
        let mut command = cli.command(&[
            "restyle",
            &content,
            &style,
            "--emulator",
            "-s",
            "64x64",
            how,
        ]);
        command.envs(variables.iter().copied());
        let session = Terminal::start(&command, 100).end();
        assert_eq!(session.status.code(), Some(0), "{how} {:?}", session.screen);
        session.raw
    };
    assert!(shown("--preview", &[]).contains('▀'));
    assert!(shown("--preview", &[("KITTY_WINDOW_ID", "1")]).contains("\x1b_Ga=T,f=100"));
    let iterm = shown("--preview", &[("TERM_PROGRAM", "iTerm.app")]);
    assert!(iterm.contains("\x1b]1337;File=inline=1"));
    assert!(!shown("--preview=never", &[]).contains('▀'));
    let run = cli.run(&[
        "restyle",
        &content,
        &style,
        "--emulator",
        "-s",
        "64x64",
        "--preview=blocks",
    ]);
    assert!(
        run.code == 0 && !run.stderr.contains('▀') && !run.stdout.contains('▀'),
        "{run:?}"
    );
}

/// The path is that of the picture; what lies there now may be private.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_content_that_was_saved_is_shown_or_copied() {
    let rig = Rig::of(Rig::plain_builder()).await;
    let cli = uso().at(&rig.emulator.origin());
    let (content, style) = (path(content()), path(style()));
    let arguments = ["restyle", &content, &style, "-s", "64x64", "-o", "out.png"];
    assert_eq!(cli.run(&arguments).code, 0);
    let saved = cli.folder().join("out.png");
    let shown = || {
        let command = cli.command(&["result", "--preview"]);
        Terminal::start(&command, 100).end().raw
    };
    assert!(shown().contains('▀'));
    let length = std::fs::metadata(&saved).unwrap().len();
    let private = "s".repeat(usize::try_from(length).unwrap());
    std::fs::write(cli.folder().join("private"), &private).unwrap();
    std::fs::remove_file(&saved).unwrap();
    std::os::unix::fs::symlink("private", &saved).unwrap();
    let raw = shown();
    assert!(
        raw.contains("cannot be shown") && !raw.contains('▀'),
        "{raw}"
    );
    let piped = cli.run(&["result", "-o", "-"]);
    assert!(piped.code != 0 && piped.stdout.is_empty(), "{piped:?}");
    let copied = cli.run(&["result", "-o", "copy.png"]);
    assert_ne!(copied.code, 0, "{copied:?}");
    assert!(!cli.folder().join("copy.png").exists(), "{copied:?}");
}

#[test]
fn a_typed_key_is_not_shown_and_is_stored_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let cli = uso();
    let mut terminal = Terminal::start(&cli.command(&["login"]), 100);
    terminal.until("it is not shown").press("an-id:a-secret\r");
    let session = terminal.end();
    assert_eq!(session.status.code(), Some(0), "{session:?}");
    assert!(!session.raw.contains("a-secret"), "{session:?}");
    let file = cli.config().join("key");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&cli.config())), (0o600, 0o700));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "an-id:a-secret\n");
}

#[test]
fn ctrl_c_at_the_question_for_the_key_leaves_a_terminal_that_shows_what_is_typed() {
    let shell = std::path::Path::new("/bin/bash");
    if !shell.exists() {
        return skipped("the settings of a terminal", "bash");
    }
    let cli = uso();
    let login = cli.command(&["login"]);
    let mut command = std::process::Command::new(shell);
    let script = "trap : INT; \"$@\"; echo \"it ended with $?\"; stty -a";
    command
        .args(["-c", script, "bash"])
        .arg(login.get_program());
    command.args(login.get_args()).current_dir(cli.folder());
    command.envs(
        login
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let mut terminal = Terminal::start(&command, 100);
    terminal.until("it is not shown").press("\x03");
    let session = terminal.end();
    assert!(session.screen.contains("it ended with 130"), "{session:?}");
    let mut settings = session.screen.split_whitespace();
    assert!(settings.any(|setting| setting == "echo"), "{session:?}");
    assert!(!cli.config().join("key").exists());
}

#[test]
fn help_is_wrapped_at_the_width_of_the_terminal() {
    let cli = uso();
    for columns in [40, 80, 120] {
        let session = Terminal::start(&cli.command(&["restyle", "--help"]), columns).end();
        let text = session.raw.replace('\r', "");
        let plain = String::from_utf8(strip(text.as_bytes())).unwrap();
        let longest = plain.lines().map(|line| line.chars().count()).max();
        assert!(
            longest <= Some(usize::from(columns)),
            "{columns}: {longest:?}"
        );
        assert!(
            plain.contains("Picture:") && plain.contains("Money:"),
            "{plain}"
        );
    }
}

/// Without the sequences that set colours.
fn strip(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut inside = false;
    for byte in text {
        match (inside, byte) {
            (false, 0x1b) => inside = true,
            (true, b'm') => inside = false,
            (true, _) => {}
            (false, byte) => plain.push(*byte),
        }
    }
    plain
}
