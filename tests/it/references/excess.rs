//! Nothing that the picture does not need is sent: no bytes behind its end, no thumbnail, no note.

use image::ImageFormat;
use uso::pictures::Change;

use super::drawn_jpeg::segment;
use super::orientation::{animated, extended, riff, riff_chunk, webp_pixels};
use super::{arrived, formats, jpeg, png_chunk, quarters};

const SECRET: &[u8] = b"SECRET-NOTE serial=12345";

fn has_secret(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET)
}

/// Without its JFIF header, which the cases bring.
fn bare_jpeg() -> Vec<u8> {
    let plain = jpeg(&quarters(240, 160), None);
    assert_eq!(plain[2..4], [0xff, 0xe0]);
    let length = usize::from(u16::from_be_bytes([plain[4], plain[5]]));
    [&plain[..2], &plain[4 + length..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_a_picture_does_not_need_is_dropped_and_reported() {
    let bare = bare_jpeg();
    let with = |segments: &[u8]| [&bare[..2], segments, &bare[2..]].concat();
    let jfif = |sides: [u8; 2], rest: &[u8]| {
        segment(
            0xe0,
            &[b"JFIF\0\x01\x01\0\0\x01\0\x01", &sides[..], rest].concat(),
        )
    };
    let thumbnail = SECRET.repeat(2);
    let png = formats::encoded(&formats::noisy(90, 70).into(), ImageFormat::Png);
    let webp = formats::encoded(&quarters(240, 160).into(), ImageFormat::WebP);
    let pixels = webp_pixels(240, 160);
    let simple = riff(std::slice::from_ref(&pixels));
    assert_eq!(simple, webp);
    for (name, file) in [
        ("JFIF thumbnail", with(&jfif([4, 4], &thumbnail))),
        ("JFIF note", with(&jfif([0, 0], SECRET))),
        (
            "JFXX thumbnail",
            with(&segment(0xe0, &[b"JFXX\0\x10", SECRET].concat())),
        ),
        (
            "Adobe note",
            with(&segment(
                0xee,
                &[&b"Adobe\0\x64\0\0\0\0\x01"[..], SECRET].concat(),
            )),
        ),
        (
            "bytes between segments",
            with(&[&jfif([0, 0], &[])[..], SECRET].concat()),
        ),
        ("bytes behind JPEG", [&bare[..], SECRET].concat()),
        ("bytes behind PNG", [&png[..], SECRET].concat()),
        (
            "chunk behind PNG",
            [&png[..], &png_chunk(b"IDAT", SECRET)].concat(),
        ),
        ("bytes behind WebP", [&webp[..], SECRET].concat()),
        (
            "chunk of WebP",
            riff(&[pixels.clone(), riff_chunk(b"JUNK", SECRET)]),
        ),
        (
            "chunk of extended WebP",
            riff(&[
                extended(0, 240, 160),
                pixels.clone(),
                riff_chunk(b"PSAI", SECRET),
            ]),
        ),
    ] {
        let (told, bytes) = arrived(file).await;
        assert_eq!(told.changes, [Change::MetadataDropped], "{name}");
        assert!(!has_secret(&bytes), "{name}");
        assert!(image::load_from_memory(&bytes).is_ok(), "{name}");
        assert!(!is_longer(&bytes), "{name}");
    }
}

/// Whether there is anything behind the end of the picture.
pub(super) fn is_longer(bytes: &[u8]) -> bool {
    match image::guess_format(bytes).unwrap() {
        ImageFormat::Jpeg => !bytes.ends_with(&[0xff, 0xd9]),
        ImageFormat::Png => !bytes.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"),
        _ => bytes.len() != 8 + u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flag_without_its_chunk_is_accepted() {
    // EXIF, XMP, profile and transparency are announced, and none of them is there.
    let file = riff(&[extended(0x3c, 240, 160), webp_pixels(240, 160)]);
    let (told, bytes) = arrived(file).await;
    assert_eq!(told.changes, [Change::MetadataDropped]);
    let flags = bytes[20];
    assert_eq!(flags & 0x2c, 0, "{flags:x}");
    assert_eq!(image::load_from_memory(&bytes).unwrap().width(), 240);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_frame_of_an_animated_webp_goes_without_a_new_compression() {
    let pixels = webp_pixels(240, 160);
    let frames = [animated(&pixels, 240, 160), animated(&pixels, 240, 160)].concat();
    let file = riff(&[extended(2, 240, 160), riff_chunk(b"ANIM", &[0; 6]), frames]);
    let (told, bytes) = arrived(file).await;
    assert_eq!(told.changes, [Change::FirstFrameTaken]);
    assert!(bytes.ends_with(&pixels));
    // A frame that fills a part of its picture is placed there.
    let pixels = webp_pixels(120, 80);
    let mut frame = animated(&pixels, 120, 80);
    (frame[8], frame[11]) = (30, 20);
    let file = riff(&[
        extended(0x12, 240, 160),
        riff_chunk(b"ANIM", &[0; 6]),
        frame,
    ]);
    let (told, bytes) = arrived(file).await;
    assert_eq!(told.size, Some((240, 160)));
    let picture = image::load_from_memory(&bytes).unwrap().to_rgba8();
    assert_eq!(picture.get_pixel(59, 60).0[3], 0);
    assert_eq!(picture.get_pixel(61, 41).0, [220, 20, 20, 255]);
    assert_eq!(picture.get_pixel(179, 119).0, [240, 240, 240, 255]);
    assert_eq!(picture.get_pixel(181, 60).0[3], 0);
}
