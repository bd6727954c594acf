//! The report of a batch in a real browser, from the disk, with a hostile row in it.

use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::Rig;

use super::Studio;
use crate::browser::Browser;

const HOSTILE: &str =
    "</script><script>window.hacked = true</script><img src=x onerror=window.hacked=true>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_opens_from_the_disk_and_runs_nothing_of_its_rows() {
    const TEST: &str = "a_report_opens_from_the_disk_and_runs_nothing_of_its_rows";
    let failure = Fault::FailsWith {
        status: 500,
        error_type: "internal_error".to_owned(),
    };
    let scenario = Scenario::new()
        .on(Operation::Submit, failure)
        .after(3)
        .times(1);
    let studio = Studio::of(Rig::pictures_builder().scenario(scenario)).await;
    studio.photos(10);
    let mut rows = "id\tcontent\tstyle\tprompt\n".to_owned();
    for row in 1..=10 {
        let (id, prompt) = match row {
            2 => (HOSTILE, HOSTILE),
            _ => (&*format!("row {row}"), "a watercolour"),
        };
        rows.push_str(&format!("{id}\tphotos/p{row:04}.jpg\tink.jpg\t{prompt}\n"));
    }
    studio.write("m.tsv", rows);
    let run = studio
        .run(&[
            "batch",
            "run",
            "m.tsv",
            "--set",
            "size=512x512",
            "--concurrency",
            "1",
        ])
        .await;
    assert_eq!(run.code, 8, "{run:?}");
    let written = studio.run(&["batch", "report", "--json"]).await;
    assert_eq!(written.code, 0, "{written:?}");
    let page = written.json()["report"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(
        !text.contains("<script>window.hacked"),
        "the data cannot end its element"
    );
    let Some(browser) = Browser::found(TEST) else {
        return;
    };
    let seen = browser.saw("report.mjs", &page).await;
    for request in seen["requests"].as_array().unwrap() {
        assert!(request.as_str().unwrap().starts_with("file:"), "{request}");
    }
    assert_eq!(seen["violations"], serde_json::json!([]), "{seen:#}");
    assert_eq!(seen["dialogs"], 0);
    for width in ["1280", "360"] {
        let seen = &seen["widths"][width];
        assert_eq!(seen["hacked"], false, "{seen:#}");
        assert_eq!(seen["overflow"], false, "{width} pixels suffice");
        assert_eq!(
            (&seen["cards"], &seen["compares"]),
            (&10.into(), &9.into()),
            "{seen:#}"
        );
        assert_eq!(
            (&seen["foreign"], &seen["broken"]),
            (&0.into(), &0.into()),
            "{seen:#}"
        );
        assert_eq!(seen["cut"], "0%", "the slider moves by the keyboard");
        assert_eq!(seen["opened"][2], false, "escape closes the large picture");
        assert_ne!(
            seen["opened"][0], seen["opened"][1],
            "an arrow leads to the next row"
        );
        assert_eq!(seen["found"], 0);
        let shown = seen["texts"].to_string();
        assert!(
            shown.contains("onerror=window.hacked"),
            "the text is shown as text"
        );
        assert!(
            seen["groups"][0]
                .as_str()
                .unwrap()
                .contains("uso batch retry m --only service_failed"),
            "{seen:#}"
        );
        let chips = seen["chips"].to_string();
        assert!(
            chips.contains("all 10") && chips.contains("done 9") && chips.contains("failed 1"),
            "{chips}"
        );
        // Far above what it takes, so that a slow machine does not matter.
        assert!(seen["interactive"].as_f64().unwrap() < 20_000.0, "{seen:#}");
    }
    let background = |width: &str| seen["widths"][width]["background"].clone();
    assert_ne!(background("1280"), background("360"), "light and dark");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_sheet_is_free() {
    let studio = Studio::plain().await;
    studio.photos(2);
    let run = studio
        .run(&[
            "batch",
            "run",
            "photos",
            "--style",
            "ink.jpg",
            "--dry-run",
            "--sheet",
            "sheet.html",
        ])
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    let page = std::fs::read_to_string(studio.path("sheet.html")).unwrap();
    assert!(
        page.contains("\"state\":\"planned\"") && page.contains("p0002.jpg"),
        "{page}"
    );
    assert_eq!(
        studio.files("sheet-thumbnails").len(),
        3,
        "two contents and one style"
    );
    assert_eq!(studio.rig.operations(), Vec::<String>::new());
}

/// What takes the place of a recorded file may be private, or never end.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_shows_only_saved_results_and_reads_no_pipe() {
    let studio = Studio::of(Rig::pictures_builder()).await;
    studio.photos(2);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    let run = studio.run(&arguments).await;
    assert_eq!(run.code, 0, "{run:?}");
    let results = studio.files("out");
    let result = results.iter().find(|name| name.ends_with(".png")).unwrap();
    let result = studio.path("out").join(result);
    std::fs::rename(&result, studio.path("private.png")).unwrap();
    std::os::unix::fs::symlink(studio.path("private.png"), &result).unwrap();
    let input = studio.path("photos/p0001.jpg");
    std::fs::remove_file(&input).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&input).status();
    assert!(made.unwrap().success());
    let report = studio.run(&["batch", "report", "-o", "report.html"]).await;
    assert_eq!(report.code, 0, "{report:?}");
    let shown = studio.files("report-thumbnails");
    assert_eq!(
        shown.len(),
        3,
        "one content, the style, one result: {shown:?}"
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_at_the_place_of_a_report_is_refused_and_not_opened() {
    let studio = Studio::plain().await;
    studio.photos(1);
    let arguments = ["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"];
    assert_eq!(studio.run(&arguments).await.code, 0);
    let pipe = studio.path("report.html");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let report = studio.run(&["batch", "report", "-o", "report.html"]);
    let limit = std::time::Duration::from_secs(60);
    let report = tokio::time::timeout(limit, report).await.unwrap();
    assert_eq!(report.code, 2, "{report:?}");
    assert!(report.stderr.contains("report.html"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_is_run_again_as_a_new_purchase() {
    let studio = Studio::plain().await;
    studio.photos(1);
    let run = studio
        .run(&["batch", "run", "photos", "--style", "ink.jpg", "-o", "out"])
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    let again = ["rerun", "out/p0001.png.json", "-o", "again.png"];
    let run = studio.run(&again).await;
    assert_eq!(run.code, 0, "{run:?}");
    let (first, second) = (studio.path("out/p0001.png"), studio.path("again.png"));
    assert_eq!(
        std::fs::read(first).unwrap(),
        std::fs::read(second).unwrap(),
        "the same seed"
    );
    assert_eq!(studio.bought(), 2);
    studio.write(
        "photos/p0001.jpg",
        std::fs::read(studio.path("ink.jpg")).unwrap(),
    );
    let changed = studio
        .run(&["rerun", "out/p0001.png.json", "-o", "third.png"])
        .await;
    assert_eq!(changed.code, 3, "{changed:?}");
    assert!(
        changed.stderr.contains("its content has changed"),
        "{}",
        changed.stderr
    );
    assert_eq!(studio.bought(), 2);
}
