//! Making large pictures fit, beside libvips.
//!
//! Each run is a process of its own, so that its time and memory are its own: this program, which
//! makes a picture fit and sends nothing, and `vipsthumbnail` where it is installed, in turns. The
//! bench fails when a picture takes more memory than promised, or more than 1.2 times the time of
//! libvips.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure ends"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use uso::Request;
use uso_tests::measure::{median, runtime};

const ROUNDS: usize = 7;

/// MiB that one picture may take, and three in one request.
const ONE: f64 = 100.0;
const THREE: f64 = 300.0;

/// The share of libvips' time that is allowed.
const SLOWER: f64 = 1.2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["fit", ref paths @ ..] => fit(paths),
        _ => compare(),
    }
}

/// Makes the pictures of one request fit.
fn fit(paths: &[&str]) {
    let request = match *paths {
        [content] => Request::reimagine(content, "x"),
        [content, first, second] => Request::restyle(content, [first, second]),
        _ => return,
    };
    let preview = runtime().block_on(request.preview()).unwrap();
    assert!(
        preview
            .pictures
            .iter()
            .all(|picture| picture.size.is_some())
    );
}

/// Pixels with detail of every scale, as photographs have.
fn pixels(width: u32, height: u32) -> Vec<u8> {
    let mut state = width;
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = state >> 29;
            let coarse = ((x / 17) ^ (y / 23)) & 63;
            let slope = x * 90 / width + y * 90 / height;
            pixels.extend(
                [slope + coarse + noise, slope + noise, 180 - slope + noise]
                    .map(|level| level as u8),
            );
        }
    }
    pixels
}

fn photo(path: &Path, (width, height): (u16, u16)) {
    let mut encoder = Encoder::new_file(path, 90).unwrap();
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // To be turned to the right.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    encoder.add_exif_metadata(exif).unwrap();
    let pixels = pixels(width.into(), height.into());
    encoder
        .encode(&pixels, width, height, ColorType::Rgb)
        .unwrap();
}

fn compare() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (small, large, png) = (file("12.jpg"), file("48.jpg"), file("12.png"));
    photo(&small, (4032, 3024));
    photo(&large, (8064, 6048));
    image::RgbImage::from_raw(4032, 3024, pixels(4032, 3024))
        .unwrap()
        .save(&png)
        .unwrap();
    let has_vips = Command::new("vipsthumbnail")
        .arg("--vips-version")
        .output()
        .is_ok();
    if !has_vips {
        println!("vipsthumbnail is not installed, so that there is nothing to compare with");
    }
    println!(
        "| picture | ours | MiB | libvips | MiB | ratio |\n| --- | --- | --- | --- | --- | --- |"
    );
    let mut failures = Vec::new();
    for (name, path, output) in [
        ("12 MP JPEG, turned", &small, "out.jpg[Q=95]"),
        ("48 MP JPEG, turned", &large, "out.jpg[Q=95]"),
        ("12 MP PNG", &png, "out.png"),
    ] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(measured(&mut fitting(&[path])));
            if has_vips {
                let mut command = Command::new("vipsthumbnail");
                command
                    .arg(path)
                    .args(["--size", "2048x2048", "-o"])
                    .arg(file(output));
                theirs.push(measured(&mut command));
            }
        }
        let ours = medians(&ours);
        if ours.1 > ONE {
            failures.push(format!("{name}: {:.0} MiB", ours.1));
        }
        let row = format!("| {name} | {:.3} s | {:.0}", ours.0, ours.1);
        if theirs.is_empty() {
            println!("{row} | - | - | - |");
            continue;
        }
        let theirs = medians(&theirs);
        let ratio = ours.0 / theirs.0;
        println!("{row} | {:.3} s | {:.0} | {ratio:.2} |", theirs.0, theirs.1);
        if ratio > SLOWER {
            failures.push(format!("{name}: {ratio:.2} times the time of libvips"));
        }
    }
    let three: Vec<PathBuf> = (0..3_u8)
        .map(|number| {
            let path = file(&format!("{number}.jpg"));
            // Different files with the same pixels.
            let bytes = std::fs::read(&large).unwrap();
            std::fs::write(&path, [&bytes[..], &[number]].concat()).unwrap();
            path
        })
        .collect();
    let three: Vec<&PathBuf> = three.iter().collect();
    let runs: Vec<_> = (0..3).map(|_| measured(&mut fitting(&three))).collect();
    let (wall, mebibytes) = medians(&runs);
    println!("| three of 48 MP in one request | {wall:.3} s | {mebibytes:.0} | - | - | - |");
    if mebibytes > THREE {
        failures.push(format!("three pictures: {mebibytes:.0} MiB"));
    }
    assert!(failures.is_empty(), "{failures:?}");
}

fn fitting(paths: &[&PathBuf]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("fit").args(paths);
    command
}

/// Wall time in seconds and peak memory in MiB of a command.
fn measured(command: &mut Command) -> (f64, f64) {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0_f64;
    let outcome = loop {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        peak = peak.max(kibibytes.unwrap_or(0.0) / 1024.0);
        if let Some(outcome) = child.try_wait().unwrap() {
            break outcome;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    assert!(outcome.success());
    (started.elapsed().as_secs_f64(), peak)
}

fn medians(runs: &[(f64, f64)]) -> (f64, f64) {
    let (walls, peaks): (Vec<f64>, Vec<f64>) = runs.iter().copied().unzip();
    (median(walls), median(peaks))
}
