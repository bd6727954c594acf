//! Files of results after they were saved: the page shows what was bought and nothing else.

use serde_json::json;
use uso_studio::Settings;
use uso_tests::rig::Rig;

use super::{PATIENCE, Served};

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_whose_file_was_replaced_is_neither_shown_nor_taken_in() {
    let served = Served::of(Rig::pictures_builder(), Settings::new()).await;
    let draft = served.draft().await;
    let (_, job) = served.buy(1, &draft).await;
    served.until(&job["id"], "done").await;
    let journal = uso_journal::Journal::open(served.folder.path().join("journal.db")).unwrap();
    let row = journal.find(&served.rig.client, "j1").await.unwrap();
    let saved = row.pictures[0].path.as_path();
    let bytes = std::fs::read(saved).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let private = outside.path().join("private.png");
    image::RgbImage::new(8, 8).save(&private).unwrap();

    let pipe = |path: &std::path::Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let link = |path: &std::path::Path| std::os::unix::fs::symlink(&private, path).unwrap();
    let other = |path: &std::path::Path| {
        std::fs::copy(&private, path).unwrap();
    };
    type Replacement<'a> = (&'a str, &'a dyn Fn(&std::path::Path));
    let replacements: [Replacement<'_>; 3] =
        [("pipe", &pipe), ("link", &link), ("other picture", &other)];
    for (what, replace) in replacements {
        std::fs::remove_file(saved).unwrap();
        replace(saved);
        for path in ["/api/jobs/j1/pictures/1", "/api/jobs/j1/thumbnails/1"] {
            let response = tokio::time::timeout(PATIENCE, served.read(path)).await;
            let status = response.expect(what).status();
            assert!([404, 409].contains(&status.as_u16()), "{what}: {status}");
        }
        let nothing = json!({});
        let taking = served.post("/api/jobs/j1/pictures/1", &nothing);
        let (status, taken) = tokio::time::timeout(PATIENCE, taking).await.expect(what);
        assert!([404, 409].contains(&status), "{what}: {taken}");
    }

    std::fs::remove_file(saved).unwrap();
    std::fs::write(saved, bytes).unwrap();
    for path in ["/api/jobs/j1/pictures/1", "/api/jobs/j1/thumbnails/1"] {
        assert_eq!(served.read(path).await.status(), 200, "{path}");
    }
}
