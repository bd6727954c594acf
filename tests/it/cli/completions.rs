//! Completions in the shells that are installed.

use std::process::Command;
use std::time::Duration;

use uso_tests::rig::{Cli, Rig, content, skipped, style};

use super::{path, uso};

/// A command line with a folder on its search path in which the program is called `uso`.
fn installed() -> Cli {
    let cli = uso();
    let bin = cli.folder().join(".bin");
    std::fs::create_dir(&bin).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(super::PROGRAM, bin.join("uso")).unwrap();
    for name in ["photo.jpg", "ink wash.webp"] {
        std::fs::write(cli.folder().join(name), "").unwrap();
    }
    let search = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    cli.variable("PATH", &search)
}

/// Runs a script of a shell in the folder and the environment of the command line.
fn script(cli: &Cli, shell: &str, text: &str) -> String {
    let there = cli.command(&[]);
    let mut command = Command::new(shell);
    command.current_dir(cli.folder()).env_clear();
    command.envs(
        there
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let output = command.args(["-c", text]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn is_installed(shell: &str) -> bool {
    Command::new(shell).args(["-c", "exit 0"]).output().is_ok()
}

/// The candidates for the last word, one a line.
type Ask = fn(&Cli, &[&str]) -> String;

fn ask_bash(cli: &Cli, words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let last = quoted.last().unwrap();
    let text = format!(
        "source <(uso completions bash); COMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9; \
         _clap_complete_uso uso {last} x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1,
    );
    script(cli, "bash", &text)
}

fn ask_fish(cli: &Cli, words: &[&str]) -> String {
    let line = words.join(" ");
    script(
        cli,
        "fish",
        &format!("uso completions fish | source; complete -C '{line}'"),
    )
}

fn ask_zsh(cli: &Cli, words: &[&str]) -> String {
    // What the script asks: the terminal of zsh cannot be read in a test.
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let text = format!(
        "uso completions zsh | grep -q compdef && COMPLETE=zsh _CLAP_IFS=$'\\n' _CLAP_COMPLETE_INDEX={} uso -- {}",
        words.len() - 1,
        quoted.join(" "),
    );
    script(cli, "zsh", &text)
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_presets_ids_and_options_are_completed_in_every_shell() {
    let shells: [(&str, Ask); 3] = [("bash", ask_bash), ("fish", ask_fish), ("zsh", ask_zsh)];
    let rig = Rig::of(Rig::plain_builder().inference_time(Duration::from_secs(3600))).await;
    for (shell, ask) in shells {
        if !is_installed(shell) {
            skipped(&format!("completion in {shell}"), shell);
            continue;
        }
        let cli = installed().at(&rig.emulator.origin());
        let bought = cli.run(&["restyle", &path(content()), &path(style()), "--detach"]);
        let id = bought.stdout.trim();
        for (words, expected) in [
            (&["uso", "rest"][..], "restyle"),
            (&["uso", "restyle", "ph"], "photo.jpg"),
            (&["uso", "restyle", "photo.jpg", "ink"], "wash.webp"),
            (
                &["uso", "restyle", "photo.jpg", "ink.webp", "--max"],
                "--max-cost",
            ),
            (&["uso", "restyle", "--size", "land"], "landscape_16_9"),
            (&["uso", "restyle", "--format", ""], "jpeg"),
            (&["uso", "emulator", "--scenario", "ph"], "photo.jpg"),
            (&["uso", "result", ""], id),
            (&["uso", "completions", "z"], "zsh"),
        ] {
            let candidates = ask(&cli, words);
            assert!(
                candidates.contains(expected),
                "{shell} {words:?}: {candidates}"
            );
        }
        let formats = ask(&cli, &["uso", "restyle", "--format", ""]);
        assert!(!formats.contains("photo"), "{shell}: {formats}");
    }
}

#[test]
fn one_command_installs_completions_and_manual_pages_for_a_user_or_below_a_prefix() {
    let cli = installed();
    let home = cli.folder().join("home");
    let cli = cli
        .variable("HOME", &path(home.clone()))
        .variable("XDG_DATA_HOME", "");
    let run = cli.run(&["completions", "--install"]);
    assert_eq!(run.code, 0, "{run:?}");
    let share = home.join(".local/share");
    for name in [
        "man/man1/uso.1",
        "man/man1/uso-restyle.1",
        "bash-completion/completions/uso",
        "fish/vendor_completions.d/uso.fish",
        "zsh/site-functions/_uso",
    ] {
        assert!(share.join(name).is_file(), "{name}");
    }
    // A second time replaces, and a prefix is used as it is.
    assert_eq!(cli.run(&["completions", "--install"]).code, 0);
    let prefix = cli.folder().join("usr");
    let run = cli.run(&[
        "completions",
        "--install",
        "--prefix",
        &path(prefix.clone()),
        "--json",
    ]);
    let files = run.json()["files"].clone();
    let all = files.as_array().unwrap();
    assert!(all.len() >= 4, "{files}");
    for file in all {
        let file = std::path::Path::new(file.as_str().unwrap());
        assert!(file.starts_with(&prefix) && file.is_file(), "{file:?}");
    }
    let taken = cli.folder().join("taken");
    std::fs::write(&taken, "").unwrap();
    let run = cli.run(&["completions", "--install", "--prefix", &path(taken.clone())]);
    assert!(run.code == 1 && run.stderr.contains("--prefix"), "{run:?}");

    if is_installed("bash") {
        let text = format!(
            "source {}; COMP_WORDS=(uso resty); COMP_CWORD=1; COMP_TYPE=9; \
             _clap_complete_uso uso resty uso; echo ${{COMPREPLY[@]}}",
            share.join("bash-completion/completions/uso").display()
        );
        assert!(script(&cli, "bash", &text).contains("restyle"));
    }
    if is_installed("zsh") {
        // The first completion loads the file, and has candidates already.
        let text = format!(
            "fpath=({} $fpath); compdef() {{ : }}; _describe() {{ print -l -- ${{(P)3}} }}; \
             autoload -Uz _uso; words=(uso resty); CURRENT=2; _uso",
            share.join("zsh/site-functions").display()
        );
        assert!(script(&cli, "zsh", &text).contains("restyle"));
    }
}
