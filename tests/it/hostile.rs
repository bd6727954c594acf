//! Bounded memory: answers that are out to hurt, and files that are large.

use std::path::Path;
use std::process::Stdio;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, skipped};

use super::references::png_chunk;

/// What the command may hold in memory, whatever the service sends.
const LIMIT_KIB: u64 = 48 << 10;

/// Where Linux accounts the memory of a process.
const STATUS: &str = "/proc/self/status";

/// Peak memory of a process, as Linux accounts it.
fn peak_kib(status: &str) -> Option<u64> {
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    // The pages of a debug build's code are no memory that an input takes.
    Some(field("VmHWM:")?.saturating_sub(field("RssFile:")?))
}

/// Runs the command to its end, and gives its exit code, its peak memory and what it said.
fn watched(cli: &Cli, arguments: &[&str]) -> (i32, u64, String) {
    let folder = tempfile::tempdir().unwrap();
    let status = folder.path().join("status");
    let ended = cli
        .command(arguments)
        .env("USO_TEST_STATUS", &status)
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&ended.stderr).into_owned();
    let status = std::fs::read_to_string(status).expect(&talk);
    let peak = peak_kib(&status).unwrap();
    (ended.status.code().unwrap_or(-1), peak, talk)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_answers_end_clearly_in_little_memory() {
    if !Path::new(STATUS).exists() {
        skipped(
            "hostile_answers_end_clearly_in_little_memory",
            "Linux's /proc",
        );
        return;
    }
    let cases = [
        (Operation::Result, Fault::HugeBody(10 << 30)),
        (Operation::Result, Fault::EndlessBody),
        (Operation::Result, Fault::GzipBomb),
        (Operation::Result, Fault::DeepJson(10_000)),
        (Operation::Status, Fault::HugeBody(10 << 30)),
        (Operation::Status, Fault::DeepJson(10_000)),
        (Operation::Status, Fault::EndlessBody),
    ];
    for (operation, fault) in cases {
        let scenario = Scenario::new().on(operation, fault.clone()).always();
        let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
        let request = uso::Request::subject("https://example.org/a.png", "x");
        let job = rig.client.submit(request).await.unwrap();
        let mut events = job.events();
        while let Some(event) = events.next().await {
            event.unwrap();
        }
        let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
        let id = job.ticket().request_id();
        let command = if operation == Operation::Result {
            "result"
        } else {
            "status"
        };
        let (code, peak, talk) = watched(&cli, &[command, id]);
        assert_eq!(code, 1, "{fault:?}: {talk}");
        assert!(
            talk.starts_with("error: ") || talk.contains("\nerror: "),
            "{fault:?}: {talk}"
        );
        assert!(peak < LIMIT_KIB, "{fault:?}: {peak} KiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_line_and_a_huge_picture_are_refused() {
    if !Path::new(STATUS).exists() {
        skipped(
            "an_endless_line_and_a_huge_picture_are_refused",
            "Linux's /proc",
        );
        return;
    }
    let scenario = Scenario::new()
        .on(Operation::Stream, Fault::EndlessLine)
        .always()
        .on(Operation::File, Fault::TruncatedBody)
        .on(Operation::File, Fault::CorruptBody);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    let arguments = [
        "generate",
        "--content",
        "https://example.org/a.png",
        "--prompt",
        "x",
        "-o",
        "a.png",
    ];
    let (code, peak, talk) = watched(&cli, &arguments);
    assert_eq!(code, 0, "{talk}");
    assert!(peak < LIMIT_KIB, "{peak} KiB");
    assert!(image::open(cli.folder().join("a.png")).is_ok());
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);

    let huge = Scenario::new().on(Operation::File, Fault::HugeBody(10 << 30));
    rig.emulator.set_scenario(huge);
    let (code, peak, talk) = watched(&cli, &[&arguments[..6], &["b.png"]].concat());
    assert_eq!(code, 1, "{talk}");
    assert!(
        talk.contains("larger than") && talk.contains("uso result"),
        "{talk}"
    );
    assert!(peak < LIMIT_KIB, "{peak} KiB");
    let resumed = cli.run(&["resume"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(image::open(cli.folder().join("b.png")).is_ok());
    assert_eq!(rig.emulator.ledger().purchases().len(), 2);
}

/// The side of the pictures below.
const SIDE: u32 = 4096;

/// A PNG of 16 bits a channel, interlaced, without anything on it.
fn deep_interlaced_png() -> Vec<u8> {
    // Each row of each of the seven passes has a byte for its filter.
    let rows = SIDE / 8 * 3 + SIDE / 4 * 2 + SIDE / 2 * 2;
    let length = 8 * SIDE * SIDE + rows;
    // A picture of one row with the same bytes, whose header is replaced.
    let mut bytes = Vec::new();
    let zeros = vec![0; (length - 1) as usize];
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::NoFilter)
        .write_image(&zeros, length - 1, 1, ExtendedColorType::L8)
        .unwrap();
    let size = [SIDE.to_be_bytes(), SIDE.to_be_bytes()].concat();
    let header = png_chunk(b"IHDR", &[&size[..], &[16, 6, 0, 0, 1]].concat());
    bytes.splice(8..33, header);
    bytes
}

/// A GIF whose frame is smaller than the picture.
fn gif_with_a_border() -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = image::Frame::new(image::RgbaImage::new(SIDE, SIDE));
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    encoder.encode_frame(frame).unwrap();
    drop(encoder);
    let side = u16::try_from(SIDE + 8).unwrap().to_le_bytes();
    bytes.splice(6..10, [side, side].concat());
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_decoded_in_the_memory_that_was_reserved_for_it() {
    let name = "a_picture_is_decoded_in_the_memory_that_was_reserved_for_it";
    if !Path::new(STATUS).exists() {
        skipped(name, "Linux's /proc");
        return;
    }
    // Eight bytes for each pixel, and the program.
    let limit = u64::from(SIDE + 8).pow(2) * 8 / 1024 + (24 << 10);
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test"));
    for (name, picture) in [
        ("a.png", deep_interlaced_png()),
        ("a.gif", gif_with_a_border()),
    ] {
        std::fs::write(cli.folder().join(name), picture).unwrap();
        let (code, peak, talk) = watched(&cli, &["estimate", "--content", name, "--prompt", "x"]);
        assert_eq!(code, 0, "{talk}");
        assert!(peak < limit, "{name}: {peak} KiB, not {limit} KiB");
    }
}

/// A file of this many bytes without a block on disk.
fn sparse(path: &Path, length: u64) {
    std::fs::File::create(path)
        .unwrap()
        .set_len(length)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_is_uploaded_in_little_memory() {
    const SMALL_KIB: u64 = 16 << 10;
    if !Path::new(STATUS).exists() {
        skipped("a_large_file_is_uploaded_in_little_memory", "Linux's /proc");
        return;
    }
    let rig = Rig::plain().await;
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    let mut peaks = Vec::new();
    for mebibytes in [64, 256] {
        sparse(&cli.folder().join("film"), mebibytes << 20);
        let (code, peak, talk) = watched(&cli, &["upload", "film"]);
        assert_eq!(code, 0, "{talk}");
        assert!(peak < SMALL_KIB, "{mebibytes} MiB: {peak} KiB");
        peaks.push(peak);
    }
    assert!(
        peaks[1] < peaks[0] + (4 << 10),
        "it does not grow with the file: {peaks:?}"
    );
}

/// 20 MiB as a PNG that cannot be compressed.
fn noise() -> Vec<u8> {
    let (width, height) = (2700, 2590);
    let mut state = 1_u32;
    let mut pixels = vec![0; width * height * 3];
    for byte in &mut pixels {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let picture = image::RgbImage::from_raw(width as u32, height as u32, pixels).unwrap();
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// A JPEG of 48 megapixels, as phones take them at their best, made as long as 20 MiB by the rest of
/// its file.
fn large_photo() -> Vec<u8> {
    let (width, height) = (8064, 6048);
    let row: Vec<u8> = (0..width * 3).map(|at| (at * 7 % 251) as u8).collect();
    let mut pixels = Vec::with_capacity(width * height * 3);
    (0..height).for_each(|_| pixels.extend_from_slice(&row));
    let picture = image::RgbImage::from_raw(width as u32, height as u32, pixels).unwrap();
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90);
    picture.write_with_encoder(encoder).unwrap();
    jpeg.resize(jpeg.len().max(20 << 20), 0);
    jpeg
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_picture_is_made_fit_in_bounded_memory() {
    const LARGE_KIB: u64 = 232 << 10;
    if !Path::new(STATUS).exists() {
        skipped(
            "a_large_picture_is_made_fit_in_bounded_memory",
            "Linux's /proc",
        );
        return;
    }
    let rig = Rig::plain().await;
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    for (name, bytes) in [("noise.png", noise()), ("photo.jpg", large_photo())] {
        assert!(bytes.len() >= 20 << 20, "{name}: {}", bytes.len());
        std::fs::write(cli.folder().join(name), bytes).unwrap();
        let arguments = ["generate", "--content", name, "--prompt", "x", "--detach"];
        let (code, peak, talk) = watched(&cli, &arguments);
        assert_eq!(code, 0, "{talk}");
        assert!(talk.contains("shrunk from"), "{talk}");
        assert!(peak < LARGE_KIB, "{name}: {peak} KiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pictures_of_a_plan_are_checked_in_bounded_memory() {
    const PLAN_KIB: u64 = 128 << 10;
    if !Path::new(STATUS).exists() {
        skipped(
            "the_pictures_of_a_plan_are_checked_in_bounded_memory",
            "Linux's /proc",
        );
        return;
    }
    let rig = Rig::plain().await;
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    // The allocator of glibc otherwise keeps a freed picture for each thread that had one.
    let cli = cli.variable("MALLOC_ARENA_MAX", "1");
    let picture = noise();
    assert!(picture.len() >= 20 << 20, "{}", picture.len());
    std::fs::write(cli.folder().join("noise.png"), picture).unwrap();
    let rows = ["a", "b", "c", "d"].map(|id| format!("{id},noise.png,noise.png\n"));
    let manifest = format!("id,content,style\n{}", rows.concat());
    std::fs::write(cli.folder().join("rows.csv"), manifest).unwrap();
    let (code, peak, talk) = watched(&cli, &["batch", "run", "rows.csv", "--dry-run"]);
    assert_eq!(code, 0, "{talk}");
    assert!(peak < PLAN_KIB, "{peak} KiB");
}
