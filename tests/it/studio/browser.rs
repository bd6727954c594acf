//! The page in Chromium, with the studio and the service as processes of their own.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use uso::{ImageSizePreset, Request};
use uso_journal::{Journal, State};
use uso_tests::rig::{Cli, Rig, content, style};

use crate::browser::Browser;

/// Longest time that the whole visit may take.
const PATIENCE: Duration = Duration::from_secs(500);

/// Rows of the history before the visit.
const ROWS: u64 = 2_000;

/// A journal with a long history: one purchase, and copies of its row.
async fn with_history(rig: &Rig, file: &std::path::Path) {
    let journal = Journal::open(file).unwrap();
    let request = Request::restyle(content(), style()).size(ImageSizePreset::Square);
    let bought = journal
        .purchase(&rig.client, "first", request)
        .await
        .unwrap();
    assert_eq!(bought.state, State::Done);
    drop(journal);
    let database = rusqlite::Connection::open(file).unwrap();
    super::copy_rows(&database, ROWS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_makes_pictures_by_mouse_by_keyboard_and_by_paste() {
    const TEST: &str = "a_person_makes_pictures_by_mouse_by_keyboard_and_by_paste";
    let Some(browser) = Browser::found(TEST) else {
        return;
    };
    // Long enough that the studio is killed before the job ends.
    let builder = Rig::pictures_builder().inference_time(Duration::from_secs(6));
    let rig = Rig::of(builder).await;
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.db");
    with_history(&rig, &journal).await;

    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    let cli = cli.variable("USO_JOURNAL", journal.to_str().unwrap());
    let settings = json!({
        "program": env!("CARGO_BIN_EXE_uso-under-test"),
        "content": content(),
        "style": style(),
        // A folder for pictures of the page, to be looked at.
        "screenshots": std::env::var("USO_SCREENSHOTS").ok(),
    });
    // The environment of the command is the environment of the studio.
    let template = cli.command(&[]);
    let mut node = browser.script("studio.mjs", folder.path());
    node.arg(settings.to_string())
        .current_dir(folder.path())
        .env_clear()
        .envs(
            template
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, node.output())
        .await
        .unwrap()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();

    // Each press bought once, through a reload, a second tab and a killed studio.
    let presses = 7;
    assert_eq!(
        rig.emulator.ledger().purchases().len(),
        1 + presses,
        "{seen}"
    );
    assert_eq!(seen["without_token"], 0);
    assert!(!seen["address"].as_str().unwrap().contains('#'), "{seen}");
    assert_eq!(seen["late_price"], "Make 1 picture · $0.0262");
    assert_eq!(
        seen["while_uploading"],
        json!([true, "A picture is on its way."])
    );
    assert_eq!(seen["later_picture"], true);
    assert_eq!(seen["button"], "Make 1 picture · $0.0262");
    assert_eq!(seen["outside"], json!([]), "{seen}");
    assert_eq!(seen["mouse"]["money"], "$0.0262 billed, $0.0262 estimated");
    assert_eq!(seen["mouse"]["images"], 2, "result and content");
    assert_eq!(seen["reload"]["seed"], "41", "the form survives");
    assert_eq!(seen["reload"]["slot"], 1);
    assert_eq!(seen["second_tab"], seen["reload"]["id"]);
    assert_eq!(seen["two"], "Make 2 pictures · $0.0524");
    assert!(
        seen["markup"]
            .as_str()
            .unwrap()
            .contains("</script><b>a lighthouse</b>")
    );
    assert_eq!(seen["bold"], 0);
    assert_eq!(
        seen["foreign_drag"],
        json!([]),
        "the data of a foreign drag is no path"
    );
    assert_eq!(seen["arrow_in_field"], true);
    assert_eq!(seen["divider"], "51");
    assert_eq!(seen["newest"], seen["keyboard"]);
    assert_ne!(seen["older"], seen["keyboard"]);
    assert_eq!(
        seen["unseen"],
        json!([]),
        "every stop of the keyboard is seen"
    );
    assert_eq!(seen["differs"], json!(["Content", "Prompt", "Seed"]));
    assert_eq!(
        seen["again"]["slots"], 2,
        "the pictures of a purchase of the command line"
    );
    assert_eq!(seen["rows"].as_u64(), Some(ROWS + 1 + presses as u64));
    assert_eq!(seen["overflow"], 0, "360 pixels are enough");
    for (place, violations) in seen["axe"].as_object().unwrap() {
        assert_eq!(violations, &json!([]), "{place}");
    }
    assert_eq!(seen["axe"].as_object().unwrap().len(), 5);
    assert_eq!(
        seen["hosts"].as_array().unwrap().len(),
        1,
        "{}",
        seen["hosts"]
    );
    assert_eq!(seen["complaints"], json!([]));
    assert_eq!(seen["framed"], 0);
}
