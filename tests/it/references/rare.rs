//! Rare JPEG: the picture comes out right, or is refused with the way out. Damaged files of every
//! format are refused.

use image::RgbImage;
use uso::ErrorKind;

use super::drawn_jpeg::{Component, Layout, jpeg, segment};
use super::{arrived, exif, formats, quarters, with};

fn luma(x: f64, y: f64) -> u8 {
    (40.0 + 90.0 * x + 90.0 * y) as u8
}

fn blue(x: f64, _: f64) -> u8 {
    (100.0 + 50.0 * x) as u8
}

fn red(_: f64, y: f64) -> u8 {
    (150.0 - 50.0 * y) as u8
}

/// The picture that the functions above draw.
fn drawn(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (
            (f64::from(x) + 0.5) / f64::from(width),
            (f64::from(y) + 0.5) / f64::from(height),
        );
        let level = f64::from(luma(x, y));
        let (blue, red) = (f64::from(blue(x, y)) - 128.0, f64::from(red(x, y)) - 128.0);
        let rgb = [
            level + 1.402 * red,
            level - 0.344 * blue - 0.714 * red,
            level + 1.772 * blue,
        ];
        image::Rgb(rgb.map(|channel| channel.round().clamp(0.0, 255.0) as u8))
    })
}

fn layout(samplings: [(usize, usize); 3], scans: &[&[usize]], frame: u8) -> Layout {
    let levels = [luma as fn(f64, f64) -> u8, blue, red];
    let components = (1..).zip(samplings).zip(levels);
    let components = components.map(|((id, sampling), level)| Component {
        id,
        sampling,
        level,
    });
    Layout {
        size: (264, 184),
        components: components.collect(),
        scans: scans.iter().map(|scan| scan.to_vec()).collect(),
        frame,
        segments: segment(0xe1, &[&b"Exif\0\0"[..], &exif(3)].concat()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jpeg_of_rare_sampling_and_scans_comes_out_right() {
    let one: &[&[usize]] = &[&[0, 1, 2]];
    let each: &[&[usize]] = &[&[0], &[1], &[2]];
    let two: &[&[usize]] = &[&[0], &[1, 2]];
    for (samplings, scans, frame) in [
        ([(2, 2), (1, 1), (1, 1)], one, 0xc0),
        ([(2, 2), (1, 1), (1, 1)], each, 0xc0),
        ([(1, 2), (1, 1), (1, 1)], two, 0xc0),
        ([(2, 2), (1, 1), (1, 1)], each, 0xc1),
        ([(1, 1), (2, 2), (2, 2)], one, 0xc0),
        ([(1, 1), (2, 1), (2, 1)], one, 0xc0),
        ([(1, 1), (2, 2), (2, 2)], one, 0xc2),
        ([(3, 1), (1, 1), (1, 1)], one, 0xc0),
        ([(4, 1), (1, 1), (1, 1)], one, 0xc0),
    ] {
        let file = jpeg(&layout(samplings, scans, frame));
        let (told, bytes) = arrived(file).await;
        assert_eq!(told.size, Some((264, 184)));
        let mut shown = image::load_from_memory(&bytes).unwrap().to_rgb8();
        image::imageops::rotate180_in_place(&mut shown);
        let mean = super::quality::mean(&shown, &drawn(264, 184));
        // Each block has one level, so that a ramp has steps.
        assert!(mean < 4.0, "{samplings:?} {scans:?} {frame:x}: {mean}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jpeg_that_cannot_be_read_is_refused_with_the_way_out() {
    let plain = || layout([(1, 1); 3], &[&[0, 1, 2]], 0xc0);
    let framed = |frame: u8| jpeg(&Layout { frame, ..plain() });
    let replaced = |from: &[u8], to: &[u8]| {
        let mut file = jpeg(&plain());
        let at = file.windows(from.len()).position(|window| window == from);
        let at = at.unwrap();
        file[at..at + to.len()].copy_from_slice(to);
        file
    };
    for (file, kind) in [
        (framed(0xc9), "arithmetic coding"),
        (framed(0xca), "arithmetic coding"),
        (framed(0xc3), "lossless"),
        (framed(0xc5), "hierarchical"),
        (
            replaced(&[0xc0, 0, 17, 8], &[0xc1, 0, 17, 12]),
            "12 bits a channel",
        ),
        (
            replaced(&[0, 184, 1, 8], &[0, 0, 1, 8]),
            "its height is not in its header",
        ),
    ] {
        let error = with(file).preview().await.unwrap_err();
        let expected = format!("is a JPEG of a rare kind ({kind}); export it again");
        assert!(error.to_string().contains(&expected), "{kind}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_is_cut_is_refused_even_when_the_file_ends_properly() {
    for (scans, frame) in [
        (&[&[0_usize, 1, 2][..]][..], 0xc0),
        (&[&[0, 1, 2]], 0xc2),
        (&[&[0], &[1], &[2]], 0xc0),
    ] {
        let file = jpeg(&layout([(1, 1); 3], scans, frame));
        assert!(with(file.clone()).preview().await.is_ok());
        for cut in [9, 60, 300] {
            let mut file = file.clone();
            let end = file.len() - 2;
            file.drain(end - cut..end);
            let error = with(file).preview().await.unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("is damaged: its pixels end early"),
                "{error}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pictures_are_refused_where_no_pixel_would_change() {
    let png = formats::encoded(&formats::noisy(90, 70).into(), image::ImageFormat::Png);
    let webp = formats::encoded(&formats::noisy(90, 70).into(), image::ImageFormat::WebP);
    let data = png.windows(4).position(|window| window == b"IDAT").unwrap() + 4;
    let length = u32::from_be_bytes(png[data - 8..data - 4].try_into().unwrap()) as usize;
    // Chunks whose checksums hold, around pixels that end early, are damaged, or have a wrong sum.
    let with_pixels = |pixels: &[u8]| {
        let mut file = png[..data - 8].to_vec();
        file.extend(super::png_chunk(b"IDAT", pixels));
        file.extend(super::png_chunk(b"IEND", b""));
        file
    };
    let pixels = &png[data..data + length];
    let mut flipped = pixels.to_vec();
    flipped[length / 2] ^= 0x55;
    let mut missummed = pixels.to_vec();
    *missummed.last_mut().unwrap() ^= 1;
    let mut short_webp = webp[..webp.len() / 2].to_vec();
    let riff = (short_webp.len() as u32 - 8).to_le_bytes();
    short_webp[4..8].copy_from_slice(&riff);
    let chunk = (short_webp.len() as u32 - 20).to_le_bytes();
    short_webp[16..20].copy_from_slice(&chunk);
    let gif = b"GIF89a\x05\0\x05\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x05\0\x05\0\0\x02".to_vec();
    assert!(with(with_pixels(pixels)).preview().await.is_ok());
    for (name, file) in [
        ("cut stream", with_pixels(&pixels[..length / 2])),
        ("no stream", with_pixels(b"")),
        ("flipped bits", with_pixels(&flipped)),
        ("wrong sum", with_pixels(&missummed)),
        ("cut WebP", short_webp),
        ("cut GIF", gif),
    ] {
        let error = with(file).preview().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{name}");
        assert!(
            error.to_string().contains("is damaged: "),
            "{name}: {error}"
        );
    }
    assert!(
        with(super::jpeg(&quarters(90, 70), None))
            .preview()
            .await
            .is_ok()
    );
}

/// A small progressive JPEG.
pub(super) fn progressive() -> Vec<u8> {
    let scans: &[&[usize]] = &[&[0, 1, 2]];
    jpeg(&Layout {
        size: (24, 16),
        ..layout([(2, 1), (1, 1), (1, 1)], scans, 0xc2)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_part_of_a_png_that_could_be_missing_is_dropped() {
    let png = formats::encoded(&formats::noisy(90, 70).into(), image::ImageFormat::Png);
    let (head, rest) = png.split_at(8 + 25);
    let mut damaged = super::png_chunk(b"gAMA", &45_455_u32.to_be_bytes());
    *damaged.last_mut().unwrap() ^= 1;
    let mut turned = super::png_chunk(b"eXIf", &exif(6));
    *turned.last_mut().unwrap() ^= 1;
    let cut = super::png_chunk(b"cHRM", &[0; 12]);
    for chunk in [damaged, turned, cut] {
        let (told, bytes) = arrived([head, &chunk, rest].concat()).await;
        assert_eq!(told.changes, [uso::pictures::Change::MetadataDropped]);
        assert!(bytes == png, "the rest is as it was");
    }
    // Without its header or its pixels there is no picture.
    let mut header = png;
    header[8 + 24] ^= 1;
    let error = with(header).preview().await.unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
}
