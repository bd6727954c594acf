//! A local picture is opened and read once, for preview, estimate and purchase together.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use uso::pictures::Sending;
use uso::{Reference, Request};
use uso_emulator::Operation;
use uso_tests::rig::{Cli, Rig, content, style};

use super::{count, jpeg, quarters, with};

/// A reader that counts the bytes that it gave.
struct Counted {
    bytes: std::io::Cursor<Vec<u8>>,
    given: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.bytes).poll_read(context, buffer);
        self.given
            .fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        outcome
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_read_once_for_preview_estimate_and_purchase() {
    let rig = Rig::plain().await;
    let photo = jpeg(&quarters(2600, 1300), None);
    let given = Arc::new(AtomicUsize::new(0));
    let reader = Counted {
        bytes: std::io::Cursor::new(photo.clone()),
        given: Arc::clone(&given),
    };
    let request = with(Reference::reader(reader)).keep_size(true);
    let preview = rig.client.preview(request).await.unwrap();
    assert!(rig.operations().is_empty(), "nothing is sent");
    assert_eq!(preview.pictures[0].sending, Sending::Upload);
    let estimate = preview.estimate();
    assert_eq!(estimate.size, Some((2048, 1024)));
    let prepared = rig.client.complete(preview).await.unwrap();
    let job = rig.client.place(prepared.order()).await.unwrap();
    job.wait().await.unwrap();
    assert_eq!(given.load(Ordering::Relaxed), photo.len());
    assert_eq!(count(&rig, Operation::Upload), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_after_the_preview_is_bought_all_the_same() {
    let rig = Rig::plain().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, is_fit) in [("fit", true), ("as-it-is", false)] {
        let path = folder.path().join(name);
        std::fs::write(&path, jpeg(&quarters(900, 600), None)).unwrap();
        let request = match is_fit {
            true => with(path.clone()),
            false => with(path.clone()).without_fit(),
        };
        let preview = rig.client.preview(request.keep_size(true)).await.unwrap();
        std::fs::remove_file(path).unwrap();
        assert_eq!(preview.estimate().size, Some((900, 600)));
        let prepared = rig.client.complete(preview).await.unwrap();
        assert_eq!(prepared.pictures()[0].sending, Sending::Upload);
    }
    assert_eq!(count(&rig, Operation::Upload), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_knows_earlier_uploads() {
    let rig = Rig::plain().await;
    let request = || Request::restyle(content(), style());
    rig.client.prepare(request()).await.unwrap();
    let preview = rig.client.preview(request()).await.unwrap();
    for (picture, url) in preview.pictures.iter().zip(&preview.input.input_image_urls) {
        assert_eq!(picture.sending, Sending::Reused);
        assert!(url.starts_with("http"), "{url}");
    }
    assert_eq!(
        rig.operations().len(),
        4,
        "two uploads of two requests each"
    );

    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    let (content, style) = (content(), style());
    let restyle = |more: &str| {
        let paths = [content.to_str().unwrap(), style.to_str().unwrap()];
        cli.run(&["restyle", paths[0], paths[1], "--json", more])
    };
    assert_eq!(restyle("--detach").code, 0);
    let run = restyle("--dry-run");
    assert_eq!(run.json()["references"][0]["sending"], "reused", "{run:?}");
    assert_eq!(run.json()["references"][1]["sending"], "reused", "{run:?}");
}

/// Counts the openings of pictures, which the facade logs.
#[derive(Clone, Default)]
struct Openings(Arc<AtomicUsize>);

impl Openings {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl tracing::Subscriber for Openings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "uso::reference"
    }

    fn event(&self, _event: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}
    fn enter(&self, _span: &tracing::span::Id) {}
    fn exit(&self, _span: &tracing::span::Id) {}
}

/// Writes a picture that was changed a while ago.
fn old_file(folder: &std::path::Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() - hour)
        .unwrap();
    path
}

// The subscriber is that of this thread, on which all of the facade runs.
#[tokio::test]
async fn recipe_estimate_and_purchase_share_the_reading_of_a_file() {
    let openings = Openings::default();
    let _guard = uso_tests::rig::observe(openings.clone());
    let rig = Rig::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let content = old_file(folder.path(), "a.jpg", &jpeg(&quarters(900, 600), None));
    let style = old_file(folder.path(), "b.jpg", &jpeg(&quarters(600, 600), None));
    for is_fit in [true, false] {
        let style = Reference::path(&style);
        let request = |content: &std::path::Path| {
            let request = Request::restyle(content, style.clone());
            match is_fit {
                true => request,
                false => request.without_fit(),
            }
        };
        let first = request(&content);
        let recipe = first.recipe().await.unwrap();
        assert_eq!(openings.take(), 2);
        assert_eq!(first.estimate().await.unwrap().size, Some((900, 600)));
        assert_eq!(first.recipe().await.unwrap(), recipe);
        assert_eq!(openings.take(), 0, "the files are the same");
        rig.client.generate(first.clone()).await.unwrap();
        assert_eq!(openings.take(), 2, "the uploads need the bytes");
        rig.client.generate(first).await.unwrap();
        assert_eq!(openings.take(), 0, "the uploads are known");

        // As a command does with one picture.
        let second = old_file(folder.path(), "c.jpg", &jpeg(&quarters(700, 500), None));
        let second = request(&second);
        let preview = rig.client.preview(second.clone()).await.unwrap();
        assert_eq!(openings.take(), 1, "the style is known");
        second.recipe().await.unwrap();
        assert_eq!(second.estimate().await.unwrap().size, Some((700, 500)));
        let prepared = rig.client.prepare(second).await.unwrap();
        assert_eq!(prepared.pictures().len(), preview.pictures.len());
        assert_eq!(openings.take(), 0);
    }
}

#[tokio::test]
async fn a_file_that_was_changed_is_read_again() {
    let openings = Openings::default();
    let _guard = uso_tests::rig::observe(openings.clone());
    let folder = tempfile::tempdir().unwrap();
    let path = old_file(folder.path(), "a.jpg", &jpeg(&quarters(900, 600), None));
    let request = with(path.clone()).keep_size(true);
    let before = request.recipe().await.unwrap();
    old_file(folder.path(), "a.jpg", &jpeg(&quarters(600, 900), None));
    assert_ne!(request.recipe().await.unwrap(), before);
    assert_eq!(request.estimate().await.unwrap().size, Some((600, 900)));
    assert_eq!(openings.take(), 2);
    // A file that has just been written may be written again within the same tick of the clock.
    std::fs::write(&path, jpeg(&quarters(900, 600), None)).unwrap();
    assert_eq!(request.recipe().await.unwrap(), before);
    assert_eq!(request.estimate().await.unwrap().size, Some((900, 600)));
    assert_eq!(openings.take(), 2);
    std::fs::remove_file(path).unwrap();
    assert!(request.recipe().await.is_err());
}

#[cfg(unix)]
mod pipes {
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use super::*;

    fn pipe(folder: &Path) -> PathBuf {
        let path = folder.join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        path
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_named_pipe_is_read_like_standard_input() {
        let rig = Rig::plain().await;
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(folder.path());
        let photo = jpeg(&quarters(900, 600), None);
        let written = photo.clone();
        let other_end = path.clone();
        let writer = std::thread::spawn(move || {
            let mut pipe = std::fs::File::options()
                .write(true)
                .open(other_end)
                .unwrap();
            pipe.write_all(&written).unwrap();
        });
        let request = with(path).keep_size(true);
        // Each of these would wait for a second writer if it opened the pipe again.
        assert_eq!(request.estimate().await.unwrap().size, Some((900, 600)));
        let told = request.preview().await.unwrap().pictures[0].clone();
        assert_eq!(told.bytes, Some(photo.len() as u64));
        rig.client.generate(request).await.unwrap();
        writer.join().unwrap();
        assert_eq!(count(&rig, Operation::Upload), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_command_reads_a_pipe_and_a_signal_ends_its_wait() {
        let rig = Rig::plain().await;
        let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
        let path = pipe(cli.folder());
        let start = || {
            let arguments = ["generate", "--content", "pipe", "--prompt", "x", "--detach"];
            let mut command = cli.command(&arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let child = start();
        // Opening waits until the command opens the other end.
        let mut writer = std::fs::File::options().write(true).open(&path).unwrap();
        writer.write_all(&jpeg(&quarters(900, 600), None)).unwrap();
        drop(writer);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);

        let child = start();
        // The command has opened the pipe, and waits for bytes that never come.
        let writer = std::fs::File::options().write(true).open(&path).unwrap();
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        drop(writer);
        assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    }
}
