//! Every format that people have: it works, or says what to do before anything is sent.

use std::io::Cursor;

use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat, Rgba, RgbaImage};
use uso::pictures::Change;
use uso::{ErrorKind, Request};
use uso_tests::rig::Rig;

use super::drawn_jpeg::segment;
use super::orientation::{riff, riff_chunk};
use super::{corners, quarters, sent, with};

pub(super) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn format_of(bytes: &[u8]) -> ImageFormat {
    image::guess_format(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webp_is_sent_unchanged_or_rewritten_as_png() {
    let small = encoded(&noisy(200, 150).into(), ImageFormat::WebP);
    let (told, arrived) = sent(small.clone()).await;
    assert!(told.changes.is_empty() && arrived == small, "{told}");

    let large = encoded(&quarters(2200, 1000).into(), ImageFormat::WebP);
    let (told, arrived) = sent(large).await;
    let rewritten = Change::Rewritten("image/png".to_owned());
    assert_eq!(
        told.changes,
        [Change::Shrunk { from: (2200, 1000) }, rewritten]
    );
    assert_eq!(
        (told.size, format_of(&arrived)),
        (Some((2048, 931)), ImageFormat::Png)
    );
}

/// Enough detail to be too large for the request itself.
pub(super) fn noisy(width: u32, height: u32) -> image::RgbImage {
    let mut picture = quarters(width, height);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        pixel.0[1] ^= ((x * 7 + y * 13) * 31 % 251) as u8 & 15;
    }
    picture
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transparency_is_kept() {
    let mut picture = RgbaImage::from_pixel(2500, 500, Rgba([200, 30, 30, 255]));
    for (x, _, pixel) in picture.enumerate_pixels_mut() {
        pixel.0[3] = if x < 1250 { 255 } else { 40 };
    }
    let (told, arrived) = sent(encoded(&picture.into(), ImageFormat::Png)).await;
    assert_eq!(told.size, Some((2048, 410)));
    let arrived = image::load_from_memory(&arrived).unwrap();
    assert!(arrived.color().has_alpha());
    let arrived = arrived.to_rgba8();
    assert_eq!(arrived.get_pixel(500, 200).0, [200, 30, 30, 255]);
    // Colours are weighted with their transparency, in whole numbers.
    let [red, green, blue, alpha] = arrived.get_pixel(1500, 200).0;
    assert!(red.abs_diff(200) < 5 && green.abs_diff(30) < 5 && blue.abs_diff(30) < 5);
    assert_eq!(alpha, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_bits_become_eight() {
    let deep = DynamicImage::ImageRgb16(DynamicImage::from(noisy(300, 200)).to_rgb16());
    let (told, arrived) = sent(encoded(&deep, ImageFormat::Png)).await;
    assert_eq!(told.changes, [Change::DepthReduced]);
    let arrived = image::load_from_memory(&arrived).unwrap();
    assert_eq!(arrived.color(), image::ColorType::Rgb8);
    assert_eq!(arrived.to_rgb8(), noisy(300, 200));
    let grey = DynamicImage::ImageLuma16(DynamicImage::from(noisy(300, 200)).to_luma16());
    let (_, arrived) = sent(encoded(&grey, ImageFormat::Png)).await;
    assert_eq!(
        image::load_from_memory(&arrived).unwrap().color(),
        image::ColorType::L8
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_frame_of_an_animation_is_sent() {
    let mut bytes = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for shade in [60, 200] {
            let mut frame = RgbaImage::from_pixel(300, 200, Rgba([shade, 20, 20, 255]));
            for (x, y, pixel) in frame.enumerate_pixels_mut() {
                pixel.0[2] = ((x * y) % 7 * 30) as u8;
            }
            encoder.encode_frame(image::Frame::new(frame)).unwrap();
        }
    }
    let (told, arrived) = sent(bytes).await;
    let rewritten = Change::Rewritten("image/png".to_owned());
    assert_eq!(told.changes, [Change::FirstFrameTaken, rewritten]);
    let red = image::load_from_memory(&arrived)
        .unwrap()
        .to_rgb8()
        .get_pixel(9, 9)
        .0[0];
    assert!(red.abs_diff(60) < 8, "{red}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wide_gamut_is_converted_to_srgb() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    encoder.set_icc_profile(profile).unwrap();
    let picture = noisy(200, 200);
    let (width, height) = picture.dimensions();
    encoder
        .write_image(&picture, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    let (told, arrived) = sent(bytes).await;
    assert_eq!(told.changes, [Change::ColoursConverted]);
    let shown = image::load_from_memory(&arrived).unwrap().to_rgb8();
    let (before, after) = (picture.get_pixel(20, 20).0, shown.get_pixel(20, 20).0);
    // A red of the wider gamut is further out in the narrower one.
    assert!(
        after[0] > before[0] && after[1] < before[1],
        "{before:?} {after:?}"
    );
    let decoder = image::codecs::png::PngDecoder::new(Cursor::new(&arrived)).unwrap();
    let mut decoder = decoder;
    assert_eq!(
        image::ImageDecoder::icc_profile(&mut decoder).unwrap(),
        None
    );
}

/// A JPEG of one colour in four inks, with these segments; 255 is no ink.
fn print_jpeg([cyan, magenta, yellow, black]: [u8; 4], segments: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0xff, 0xd8], segments].concat();
    let mut segment = |marker: u8, contents: &[u8]| bytes.extend(segment(marker, contents));
    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    // 8 bits, 8 by 8 pixels, four components without subsampling.
    let components = (1..=4).flat_map(|id| [id, 0x11, 0]);
    segment(
        0xc0,
        &[8, 0, 8, 0, 8, 4]
            .into_iter()
            .chain(components)
            .collect::<Vec<u8>>(),
    );
    // Twelve sizes of a first coefficient in four bits each; of the others, only "no more", in one.
    let sizes = [
        &[0, 0, 0, 0, 12][..],
        &[0; 12],
        &(0..12).collect::<Vec<u8>>(),
    ]
    .concat();
    segment(0xc4, &sizes);
    segment(0xc4, &[&[0x10, 1][..], &[0; 15], &[0]].concat());
    let components = (1..=4).flat_map(|id| [id, 0]);
    let scan = [4].into_iter().chain(components).chain([0, 63, 0]);
    segment(0xda, &scan.collect::<Vec<u8>>());
    let mut bits = String::new();
    for level in [cyan, magenta, yellow, black] {
        let coefficient = (i32::from(level) - 128) * 8;
        let size = 32 - coefficient.unsigned_abs().leading_zeros();
        bits += &format!("{size:04b}");
        let value = if coefficient < 0 {
            coefficient + (1 << size) - 1
        } else {
            coefficient
        };
        if size > 0 {
            bits += &format!("{value:0width$b}", width = size as usize);
        }
        bits += "0";
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = byte.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
        bytes.push(byte);
        if byte == 0xff {
            bytes.push(0);
        }
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// A profile of inks, in which cyan alone is a middle grey and black alone is black.
fn ink_profile() -> Vec<u8> {
    let identity = |channels: usize| (0..=255).collect::<Vec<u8>>().repeat(channels);
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for entry in 0..9_u32 {
        table.extend((u32::from(entry % 4 == 0) << 16).to_be_bytes());
    }
    table.extend(identity(4));
    // Of each combination of no and all ink the lightness, and no colour.
    for corner in 0..16_u8 {
        let lightness = match (corner & 8 != 0, corner & 1 != 0) {
            (_, true) => 0,
            (true, false) => 128,
            (false, false) => 255,
        };
        table.extend([lightness, 128, 128]);
    }
    table.extend(identity(3));
    let mut profile = vec![0; 128];
    profile[8] = 2;
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    // The white of D50.
    for (at, value) in [(68, 0xf6d6_u32), (72, 0x1_0000), (76, 0xd32d)] {
        profile[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    profile.extend(1_u32.to_be_bytes());
    profile.extend(b"A2B0");
    profile.extend(144_u32.to_be_bytes());
    profile.extend((table.len() as u32).to_be_bytes());
    profile.extend(table);
    let length = profile.len() as u32;
    profile[..4].copy_from_slice(&length.to_be_bytes());
    profile
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inks_are_converted_to_rgb_by_their_profile_if_there_is_one() {
    let adobe = segment(0xee, b"Adobe\0\x64\0\0\0\0\0");
    let profile = [&b"ICC_PROFILE\0\x01\x01"[..], &ink_profile()].concat();
    let profile = [&adobe[..], &segment(0xe2, &profile)].concat();
    let plain = [Change::InksConverted];
    let converted = [Change::ColoursConverted, Change::InksConverted];
    let cases: [(&[u8], &[Change], _); 3] = [
        (
            &adobe,
            &plain,
            [[255, 0, 0], [0, 255, 255], [255; 3], [0; 3]],
        ),
        // Programs that leave Adobe's mark out store the inks in the same way.
        (&[], &plain, [[255, 0, 0], [0, 255, 255], [255; 3], [0; 3]]),
        (&profile, &converted, [[255; 3], [119; 3], [255; 3], [0; 3]]),
    ];
    for (segments, changes, light) in cases {
        let inks = [
            [255, 0, 0, 255],
            [0, 255, 255, 255],
            [255, 255, 255, 255],
            [255, 255, 255, 0],
        ];
        for (inks, light) in inks.into_iter().zip(light) {
            let preview = with(print_jpeg(inks, segments)).preview().await.unwrap();
            assert_eq!(preview.pictures[0].changes, changes);
            let uri = &preview.input.input_image_urls[0];
            let encoded = uri.strip_prefix("data:image/jpeg;base64,").unwrap();
            let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded).unwrap();
            let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
            let pixel = picture.get_pixel(4, 4).0;
            let near = pixel
                .iter()
                .zip(light)
                .all(|(is, wanted): (&u8, u8)| is.abs_diff(wanted) < 12);
            assert!(near, "{inks:?}: {pixel:?}");
        }
    }
}

/// The header of a PNG that says to be this large, of a colour type: 2 is RGB, 6 has transparency.
fn png_header(colour: u8, width: u32, height: u32) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, colour, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(super::png_chunk(b"IHDR", &header));
    png.extend(super::png_chunk(b"IDAT", b"\x78\x9c"));
    png.extend(super::png_chunk(b"IEND", b""));
    png
}

/// A PNG with a text where its header belongs, which tells a size of one pixel, and a large one
/// behind it.
fn small_before_large() -> Vec<u8> {
    let mut png = png_header(2, 16_000, 16_000);
    let size = [1u32, 1].map(u32::to_be_bytes).concat();
    png.splice(8..8, super::png_chunk(b"tEXt", &size));
    png
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_cannot_be_sent_is_refused_before_anything_is_sent() {
    let photo = super::jpeg(&quarters(400, 300), None);
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf".to_vec();
    let cases = [
        (heic, "is a HEIC picture"),
        (avif, "is an AVIF picture"),
        (
            png_header(2, 50_000, 50_000),
            "too large: decoding 50000x50000 pixels takes 7470 MiB, and 224 MiB is the limit; shrink it first",
        ),
        (
            png_header(2, u32::MAX, u32::MAX),
            "too large: decoding 4294967295x4294967295",
        ),
        (
            png_header(6, 16_384, 2950),
            "too large: decoding 16384x2950",
        ),
        (small_before_large(), "is damaged: it has no header"),
        (
            riff(&vec![riff_chunk(b"JUNK", b""); 100_001]),
            "is a WebP of a rare kind (more than 100000 parts); export it again",
        ),
        (photo[..photo.len() / 3].to_vec(), "is damaged"),
        (photo[..40].to_vec(), "is damaged"),
        (b"GIF89a".to_vec(), "is damaged"),
        (b"%PDF-1.7 and so on".to_vec(), "is of type application/pdf"),
        (b"hello".to_vec(), "is not a picture"),
        (Vec::new(), "is empty"),
    ];
    let good = super::jpeg(&quarters(600, 400), None);
    for (bytes, why) in cases {
        let rig = Rig::plain().await;
        // The other picture is good, and is not sent either.
        let request = Request::restyle(good.clone(), bytes);
        let error = rig.client.submit(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{why}: {error:?}");
        assert_eq!(error.problems()[0].path, "style", "{why}");
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert!(rig.operations().is_empty(), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_estimate_knows_the_size_that_will_be_sent() {
    let photo = super::jpeg(&quarters(4032, 3024), Some(super::exif(6)));
    let kept = with(photo.clone()).keep_size(true);
    assert_eq!(kept.estimate().await.unwrap().size, Some((1536, 2048)));
    let as_it_is = kept.without_fit();
    assert_eq!(as_it_is.estimate().await.unwrap().size, Some((4032, 3024)));
    assert_eq!(corners(&quarters(8, 8)), "rgbw");
}
