//! Uploads: whole, in parts, by either way in, under faults, and byte for byte.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use uso_emulator::{Emulator, Fault, Operation, Scenario};
use uso_tests::rig::{self, config_for};
use uso_transport::{
    Access, Config, ErrorKind, Lifecycle, RetryPolicy, Sent, Source, Transport, Upload,
};

use crate::emulator::http;

const MIB: usize = 1 << 20;
/// Bytes of a part.
const PART: usize = 10 * MIB;

struct Storage {
    emulator: Emulator,
    transport: Transport,
}

impl Storage {
    async fn start(scenario: Scenario) -> Self {
        Self::configured(scenario, |config| config).await
    }

    /// With parts from 10 MiB on, so that the edges of a part are edges of the way, too.
    async fn configured(scenario: Scenario, configure: impl FnOnce(Config) -> Config) -> Self {
        let emulator = rig::Rig::plain_builder()
            .scenario(scenario)
            .start()
            .await
            .unwrap();
        let delay = Duration::from_millis(2);
        let policy = RetryPolicy::default()
            .first_delay(delay)
            .longest_delay(delay);
        let config = config_for(&emulator.origin())
            .unwrap()
            .multipart_from(PART as u64)
            .retry(policy);
        let transport = Transport::new(configure(config)).unwrap();
        Self {
            emulator,
            transport,
        }
    }

    async fn upload(&self, source: Source) -> uso::Result<String> {
        let mut upload = Upload::new(source).file_name("a picture.png");
        Ok(self.transport.upload(&mut upload).await?.url)
    }

    /// What lies at a URL, read by another client.
    async fn stored(&self, url: &str) -> Vec<u8> {
        let http = http(rustls::RootCertStore::empty(), &[]).build().unwrap();
        let answer = http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        answer.bytes().await.unwrap().to_vec()
    }

    /// How often the service was asked for this.
    fn count(&self, operation: Operation) -> usize {
        let requests = self.emulator.requests();
        requests
            .iter()
            .filter(|request| request.operation == operation)
            .count()
    }
}

/// Bytes of which no two blocks are the same.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (index, block) in bytes.chunks_mut(512).enumerate() {
        let mark = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mark = mark.to_le_bytes();
        let kept = block.len().min(mark.len());
        block[..kept].copy_from_slice(&mark[..kept]);
    }
    bytes
}

/// A file of these bytes, in a folder that goes with the test.
struct OnDisk {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn on_disk(bytes: &[u8]) -> OnDisk {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    OnDisk {
        path,
        _folder: folder,
    }
}

/// The same bytes from a path, from memory and from a reader.
async fn sources(bytes: &[u8], file: &OnDisk) -> [Source; 3] {
    [
        Source::file(&file.path).await.unwrap(),
        Source::bytes(bytes.to_vec()),
        Source::reader(bytes).await.unwrap(),
    ]
}

async fn arrives(length: usize, scenario: Scenario) {
    let storage = Storage::start(scenario).await;
    let bytes = noise(length);
    let file = on_disk(&bytes);
    for source in sources(&bytes, &file).await {
        let url = storage.upload(source.clone()).await.unwrap();
        assert!(url.ends_with("_a_picture.png"), "{url}");
        // Compared as a whole, without printing megabytes.
        assert!(
            storage.stored(&url).await == bytes,
            "{length} bytes from {source:?}"
        );
    }
    let in_parts = length > PART;
    let parts = if in_parts { length.div_ceil(PART) } else { 0 };
    assert_eq!(storage.count(Operation::Part), 3 * parts);
    assert_eq!(
        storage.count(Operation::Complete),
        3 * usize::from(in_parts)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_size_arrives_byte_for_byte_from_every_source() {
    for length in [0, 1, PART - 1, PART, PART + 1] {
        arrives(length, Scenario::new()).await;
        arrives(length, presigned_is_closed()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_and_one_mebibytes_arrive_byte_for_byte_from_every_source() {
    let storage = Storage::configured(Scenario::new(), |config| config.multipart_from(32 << 20));
    let storage = storage.await;
    let bytes = noise(101 * MIB);
    let file = on_disk(&bytes);
    for source in sources(&bytes, &file).await {
        let url = storage.upload(source.clone()).await.unwrap();
        assert!(storage.stored(&url).await == bytes, "{source:?}");
    }
    assert_eq!(storage.count(Operation::Part), 33);
}

/// One fault in the way of an upload in three parts: it arrives, and the parts that had arrived are
/// not sent again.
async fn survives(operation: Operation, fault: Fault, parts_sent: usize) {
    let name = format!("{operation} × {fault:?}");
    let scenario = Scenario::new().on(operation, fault);
    let storage = Storage::configured(scenario, |config| {
        config
            .answer_within(Duration::from_millis(700))
            .stream_idle(Duration::from_millis(300))
    })
    .await;
    let bytes = noise(2 * PART + 5);
    let file = on_disk(&bytes);
    let url = storage
        .upload(Source::file(&file.path).await.unwrap())
        .await
        .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert!(storage.stored(&url).await == bytes, "{name}");
    assert_eq!(storage.count(Operation::Part), parts_sent, "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_fails_is_sent_again_alone() {
    for fault in [
        Fault::Drop,
        Fault::AcceptThenDrop,
        Fault::Status(503),
        Fault::AcceptThenStatus(500),
        Fault::GatewayPage(502),
        Fault::Throttled { retry_after: None },
        Fault::TruncatedBody,
    ] {
        survives(Operation::Part, fault, 4).await;
    }
    for fault in [
        Fault::Status(503),
        Fault::Drop,
        Fault::AcceptThenDrop,
        Fault::GatewayPage(504),
    ] {
        survives(Operation::Initiate, fault, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completion_whose_answer_is_lost_is_found_complete() {
    // The second call is refused, since the upload is no longer known as one.
    for fault in [
        Fault::AcceptThenDrop,
        Fault::AcceptThenStatus(503),
        Fault::AcceptThenGatewayPage(502),
    ] {
        survives(Operation::Complete, fault, 3).await;
    }
    // Nothing was worked on: the second call completes it.
    survives(Operation::Complete, Fault::Status(503), 3).await;
}

/// Closes the presigned way for the first time that it is tried.
fn presigned_is_closed() -> Scenario {
    Scenario::new().on(Operation::Initiate, Fault::Gone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_opens_the_way_when_the_presigned_one_is_closed() {
    for length in [7, PART + 1] {
        let storage = Storage::start(presigned_is_closed()).await;
        let bytes = noise(length);
        let url = storage.upload(Source::bytes(bytes.clone())).await.unwrap();
        assert!(storage.stored(&url).await == bytes);
        assert_eq!(storage.count(Operation::Token), 1);
        // The second upload needs no second token.
        storage.upload(Source::bytes(bytes)).await.unwrap();
        assert_eq!(storage.count(Operation::Token), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expires_midway_is_renewed_and_the_parts_stay() {
    for (operation, length, parts) in [
        (Operation::Part, 2 * PART + 1, 4),
        (Operation::Complete, 2 * PART + 1, 3),
        (Operation::Upload, 9, 0),
    ] {
        let scenario = presigned_is_closed().on(operation, Fault::TokenExpired);
        let storage = Storage::start(scenario).await;
        let bytes = noise(length);
        let url = storage.upload(Source::bytes(bytes.clone())).await.unwrap();
        assert!(storage.stored(&url).await == bytes, "{operation}");
        assert_eq!(storage.count(Operation::Token), 2, "{operation}");
        let sent = storage.count(Operation::Part);
        // Parts that were on their way with the old token are refused as well.
        assert!(
            (parts..=parts + 2).contains(&sent),
            "{operation}: {sent} parts"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_failed_goes_on_with_the_parts_that_are_missing() {
    // All attempts at the parts after the first two fail; then the line is back.
    let scenario = Scenario::new()
        .on(Operation::Part, Fault::Status(503))
        .after(2)
        .times(6 * 3);
    let storage = Storage::start(scenario).await;
    let bytes = noise(4 * PART + 3);
    let mut upload = Upload::new(Source::bytes(bytes.clone()));
    let error = storage.transport.upload(&mut upload).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    let before = storage.count(Operation::Part);
    let uploaded = storage.transport.upload(&mut upload).await.unwrap();
    assert!(storage.stored(&uploaded.url).await == bytes);
    assert_eq!(
        storage.count(Operation::Part) - before,
        3,
        "two had arrived"
    );
    assert_eq!(
        storage.count(Operation::Initiate),
        1,
        "it is the same upload"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_both_ways_are_closed_the_first_reason_comes_first() {
    let scenario = Scenario::new()
        .on(Operation::Initiate, Fault::Status(500))
        .always()
        .on(Operation::Token, Fault::Status(503))
        .always();
    let storage = Storage::start(scenario).await;
    let error = storage.upload(Source::bytes("x")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Server, Some(500)),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("500") && text.contains("by token, too") && text.contains("503"),
        "{text}"
    );
    // A key that is not accepted is not accepted twice.
    let scenario = Scenario::new().on(Operation::Initiate, Fault::Unauthorized);
    let storage = Storage::start(scenario).await;
    let error = storage.upload(Source::bytes("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error:?}");
    assert_eq!(storage.count(Operation::Token), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_while_it_is_read_is_not_uploaded() {
    for length in [3 * PART, MIB] {
        // The change comes while the service holds the first request back.
        let changes: [fn(&std::fs::File, u64); 3] = [
            |file, length| file.set_len(length + 1).unwrap(),
            |file, _| file.set_len(10).unwrap(),
            |file, _| {
                let later = std::time::SystemTime::now() + Duration::from_secs(5);
                file.set_modified(later).unwrap();
            },
        ];
        for change in changes {
            let storage = Storage::start(Scenario::new()).await;
            let file = on_disk(&noise(length));
            let source = Source::file(&file.path).await.unwrap();
            let opened = std::fs::File::options()
                .write(true)
                .open(&file.path)
                .unwrap();
            let changed = Mutex::new(Some(move || change(&opened, length as u64)));
            let mut upload = Upload::new(source).on_progress(move |_| {
                if let Some(change) = changed.lock().unwrap().take() {
                    change();
                }
            });
            let error = storage.transport.upload(&mut upload).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
            assert!(
                error.to_string().contains("changed while it was read"),
                "{error}"
            );
            assert_eq!(storage.count(Operation::Complete), 0);
            let uploaded = storage.emulator.requests();
            let uploaded = uploaded.iter().filter(|request| {
                request.operation == Operation::Upload && request.status == Some(200)
            });
            assert_eq!(uploaded.count(), 0, "nothing was kept");
        }
    }
    let missing = Source::file("no/such/file").await.unwrap_err();
    assert!(
        missing.to_string().contains("no/such/file does not exist"),
        "{missing}"
    );
    let folder = Source::file(".").await.unwrap_err();
    assert!(folder.to_string().contains("is a folder"), "{folder}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_goes_up_to_the_whole_and_back_for_what_is_sent_again() {
    let scenario = Scenario::new().on(Operation::Part, Fault::Status(503));
    let storage = Storage::start(scenario).await;
    let length = 2 * PART + 9;
    let told: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let telling = Arc::clone(&told);
    let mut upload = Upload::new(Source::bytes(noise(length)))
        .on_progress(move |sent| telling.lock().unwrap().push(sent));
    storage.transport.upload(&mut upload).await.unwrap();
    let told = told.lock().unwrap();
    assert!(told.iter().all(|sent| sent.total == length as u64));
    assert_eq!(told.iter().map(|sent| sent.sent).max(), Some(length as u64));
    let last_of_all = told.last().unwrap().sent;
    assert_eq!(last_of_all, length as u64);
    let back = told.windows(2).any(|pair| pair[1].sent < pair[0].sent);
    assert!(back, "one part was sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lifecycle_and_access_reach_the_file_by_both_ways() {
    let lifecycle = Lifecycle::new()
        .expires_after(Duration::from_secs(3600))
        .access(Access::Forbid);
    for scenario in [Scenario::new(), presigned_is_closed()] {
        for length in [5, PART + 1] {
            let storage = Storage::start(scenario.clone()).await;
            let source = Source::bytes(noise(length));
            let mut upload = Upload::new(source).lifecycle(&lifecycle);
            let uploaded = storage.transport.upload(&mut upload).await.unwrap();
            let left = uploaded
                .expires_at
                .unwrap()
                .duration_since(std::time::SystemTime::now());
            assert!(left.unwrap() > Duration::from_secs(3500));
            let stranger = http(rustls::RootCertStore::empty(), &[]).build().unwrap();
            let refused = stranger.get(&uploaded.url).send().await.unwrap();
            assert_eq!(refused.status(), 403);
            // The owner has a token.
            storage
                .transport
                .fetch(&uploaded.url, &uso_transport::Expected::anything())
                .await
                .unwrap();
            storage.emulator.advance(Duration::from_secs(3600));
            let gone = storage
                .transport
                .fetch(&uploaded.url, &uso_transport::Expected::anything())
                .await
                .unwrap_err();
            assert_eq!(gone.status(), Some(404));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_others_could_read_is_not_used() {
    for url in [
        "http://example.org/put",
        "ftp://127.0.0.1/put",
        "https://a:b@example.org/put",
        "nowhere",
    ] {
        let body = format!(r#"{{"upload_url":"{url}","file_url":"https://example.org/file"}}"#);
        let scenario = Scenario::new()
            .on(Operation::Initiate, Fault::Body(body))
            .always()
            .on(Operation::Token, Fault::Status(503))
            .always();
        let storage = Storage::start(scenario).await;
        let error = storage.upload(Source::bytes("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{url}: {error:?}");
        assert!(error.to_string().contains("not https"), "{error}");
    }
}
