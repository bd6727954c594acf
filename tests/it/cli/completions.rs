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
