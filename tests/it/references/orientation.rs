//! The orientation of a picture, in every form in which files carry it.

use image::ImageFormat;
use uso::pictures::Change;

use super::drawn_jpeg::segment;
use super::{arrived, exif, formats, jpeg, png_chunk, quarters};

/// A TIFF structure with an orientation of this type.
fn typed(kind: u16, value: [u8; 4]) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01".to_vec();
    tiff.extend(kind.to_le_bytes());
    tiff.extend(1_u32.to_le_bytes());
    tiff.extend(value);
    tiff.extend([0; 4]);
    tiff
}

fn prefixed(tiff: &[u8]) -> Vec<u8> {
    [b"Exif\0\0", tiff].concat()
}

/// A JPEG with these segments at its beginning.
fn jpeg_with(segments: &[Vec<u8>]) -> Vec<u8> {
    let plain = jpeg(&quarters(240, 160), None);
    [&plain[..2], &segments.concat(), &plain[2..]].concat()
}

/// A PNG with chunks before and behind its pixels.
fn png_with(before: &[u8], behind: &[u8]) -> Vec<u8> {
    let plain = formats::encoded(&quarters(240, 160).into(), ImageFormat::Png);
    let (head, rest) = plain.split_at(8 + 25);
    let (rest, end) = rest.split_at(rest.len() - 12);
    [head, before, rest, behind, end].concat()
}

/// A chunk of a WebP, with its padding.
pub(super) fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = name.to_vec();
    chunk.extend((data.len() as u32).to_le_bytes());
    chunk.extend(data);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

pub(super) fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff_chunk(b"RIFF", &[b"WEBP", &chunks.concat()[..]].concat())
}

/// The extended header of a WebP.
pub(super) fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let mut header = vec![flags, 0, 0, 0];
    header.extend(&(width - 1).to_le_bytes()[..3]);
    header.extend(&(height - 1).to_le_bytes()[..3]);
    riff_chunk(b"VP8X", &header)
}

/// The pixels of a WebP, as a chunk.
pub(super) fn webp_pixels(width: u32, height: u32) -> Vec<u8> {
    formats::encoded(&quarters(width, height).into(), ImageFormat::WebP)[12..].to_vec()
}

/// The frame of an animation.
pub(super) fn animated(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut frame = vec![0; 6];
    frame.extend(&(width - 1).to_le_bytes()[..3]);
    frame.extend(&(height - 1).to_le_bytes()[..3]);
    frame.extend([100, 0, 0, 2]);
    frame.extend(pixels);
    riff_chunk(b"ANMF", &frame)
}

/// Text as ImageMagick writes EXIF into PNG.
fn raw_profile(exif: &[u8]) -> Vec<u8> {
    let digits: Vec<String> = exif.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> = digits.chunks(36).map(<[String]>::concat).collect();
    format!("\nexif\n{:8}\n{}\n", exif.len(), lines.join("\n")).into_bytes()
}

/// A zlib stream that stores its bytes as they are.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend(bytes);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

/// The files of each form; all of them are to be turned to the right.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let long = typed(4, [6, 0, 0, 0]);
    let block = |tiff: &[u8]| segment(0xe1, &prefixed(tiff));
    let empty = b"II*\0\x08\0\0\0\0\0\0\0\0\0".to_vec();
    let xmp = b"<x:xmpmeta><rdf:Description tiff:Orientation=\"6\"/></x:xmpmeta>";
    let adobe = [&b"http://ns.adobe.com/xap/1.0/\0"[..], xmp].concat();
    let raw = raw_profile(&prefixed(&exif(6)));
    let text = |keyword: &str, rest: &[u8]| [keyword.as_bytes(), b"\0", rest].concat();
    let pixels = webp_pixels(240, 160);
    let webp =
        |flags: u8, chunks: &[Vec<u8>]| riff(&[&[extended(flags, 240, 160)][..], chunks].concat());
    let tag = |block: &[u8]| riff_chunk(b"EXIF", block);
    vec![
        ("JPEG, LONG", jpeg_with(&[block(&long)])),
        (
            "JPEG, second block",
            jpeg_with(&[block(&empty), block(&exif(6))]),
        ),
        (
            "JPEG, first of two",
            jpeg_with(&[block(&exif(6)), block(&exif(1))]),
        ),
        ("JPEG, XMP", jpeg_with(&[segment(0xe1, &adobe)])),
        (
            "JPEG, stray bytes",
            jpeg_with(&[block(&empty), vec![0, 0, 7], block(&exif(6)), vec![0, 9]]),
        ),
        ("PNG, before", png_with(&png_chunk(b"eXIf", &exif(6)), b"")),
        ("PNG, behind", png_with(b"", &png_chunk(b"eXIf", &exif(6)))),
        (
            "PNG, prefixed",
            png_with(&png_chunk(b"eXIf", &prefixed(&exif(6))), b""),
        ),
        (
            "PNG, raw profile",
            png_with(
                &png_chunk(b"tEXt", &text("Raw profile type exif", &raw)),
                b"",
            ),
        ),
        (
            "PNG, compressed raw profile",
            png_with(
                &png_chunk(
                    b"zTXt",
                    &text("Raw profile type exif", &[&[0], &stored(&raw)[..]].concat()),
                ),
                b"",
            ),
        ),
        (
            "PNG, XMP",
            png_with(
                &png_chunk(
                    b"iTXt",
                    &text("XML:com.adobe.xmp", &[b"\0\0\0\0", &xmp[..]].concat()),
                ),
                b"",
            ),
        ),
        ("WebP", webp(8, &[pixels.clone(), tag(&exif(6))])),
        (
            "WebP, prefixed",
            webp(8, &[pixels.clone(), tag(&prefixed(&exif(6)))]),
        ),
        (
            "WebP, XMP",
            webp(4, &[pixels.clone(), riff_chunk(b"XMP ", xmp)]),
        ),
        (
            "WebP, unknown chunk",
            webp(
                8,
                &[
                    pixels.clone(),
                    riff_chunk(b"PSAI", b"abc"),
                    tag(&prefixed(&exif(6))),
                ],
            ),
        ),
        (
            "WebP, animation",
            webp(
                0x0a,
                &[
                    riff_chunk(b"ANIM", &[0; 6]),
                    animated(&pixels, 240, 160),
                    animated(&pixels, 240, 160),
                    tag(&prefixed(&exif(6))),
                ],
            ),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_orientation_turns_the_picture() {
    for (form, file) in files() {
        let (told, bytes) = arrived(file).await;
        assert_eq!(told.size, Some((160, 240)), "{form}");
        assert!(told.changes.contains(&Change::Turned), "{form}: {told}");
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (160, 240), "{form}");
        assert_eq!(super::corners(&picture), "brwg", "{form}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orientation_where_no_viewer_looks_for_it_turns_nothing() {
    let block = segment(0xe1, &prefixed(&exif(6)));
    let plain = jpeg(&quarters(240, 160), None);
    let (pixels, end) = plain.split_at(plain.len() - 2);
    let tag = riff_chunk(b"EXIF", &exif(6));
    let xmp = riff_chunk(b"XMP ", b"<rdf:Description tiff:Orientation=\"6\"/>");
    let stream = webp_pixels(240, 160);
    for (place, file) in [
        ("JPEG, behind the pixels", [pixels, &block, end].concat()),
        ("JPEG, behind the end", [&plain[..], &block].concat()),
        (
            "WebP, not announced",
            riff(&[extended(0, 240, 160), stream.clone(), tag.clone(), xmp]),
        ),
        ("WebP, without extended header", riff(&[stream, tag])),
    ] {
        let (told, bytes) = arrived(file).await;
        assert_eq!(told.changes, [Change::MetadataDropped], "{place}");
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(super::corners(&picture), "rgbw", "{place}");
    }
}
