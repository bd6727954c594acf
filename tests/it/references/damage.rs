//! Arbitrary damage to small pictures: no decoder panics, and accepted pictures are whole.

use image::ImageFormat;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::orientation::{animated, extended, riff, riff_chunk, webp_pixels};
use super::{excess, exif, formats, jpeg, quarters, with};

/// A change to the bytes of a file.
#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        4 => (place(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        1 => place().prop_map(Damage::Cut),
        1 => (place(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (place(), 1..40_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
    ]
}

fn damaged(mut file: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if file.is_empty() {
            break;
        }
        let length = file.len();
        let range = |at: &prop::sample::Index, many: &usize| {
            let at = at.index(length);
            at..(at + many).min(length)
        };
        match damage {
            Damage::Set(at, byte) => file[at.index(length)] = *byte,
            Damage::Flip(at, bit) => file[at.index(length)] ^= 1 << bit,
            Damage::Cut(at) => file.truncate(at.index(length)),
            Damage::Remove(at, many) => drop(file.drain(range(at, many))),
            Damage::Insert(at, bytes) => {
                let at = at.index(length);
                file.splice(at..at, bytes.iter().copied());
            }
            Damage::Repeat(at, many) => {
                let range = range(at, many);
                let bytes = file[range.clone()].to_vec();
                file.splice(range.start..range.start, bytes);
            }
        }
    }
    file
}

/// One small picture of each kind.
fn seeds() -> Vec<Vec<u8>> {
    let picture = || image::DynamicImage::from(formats::noisy(24, 16));
    let pixels = webp_pixels(24, 16);
    let frames = [animated(&pixels, 24, 16), animated(&pixels, 24, 16)].concat();
    let tag = riff_chunk(b"EXIF", &exif(6));
    vec![
        jpeg(&quarters(24, 16), Some(exif(6))),
        super::rare::progressive(),
        formats::encoded(&picture(), ImageFormat::Png),
        formats::encoded(&picture().to_rgba16().into(), ImageFormat::Png),
        formats::encoded(&picture(), ImageFormat::Gif),
        formats::encoded(&picture(), ImageFormat::WebP),
        riff(&[
            extended(0x0a, 24, 16),
            riff_chunk(b"ANIM", &[0; 6]),
            frames,
            tag,
        ]),
    ]
}

#[test]
fn damaged_pictures_are_refused_or_whole() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for seed in seeds() {
        let mut runner = TestRunner::new(Config {
            cases: 150,
            ..Config::default()
        });
        let damages = prop::collection::vec(damage(), 0..6);
        let outcome = runner.run(&damages, |damages| {
            let file = damaged(seed.clone(), &damages);
            match runtime.block_on(with(file).preview()) {
                Ok(preview) => {
                    let uri = &preview.input.input_image_urls[0];
                    // Larger ones are only announced.
                    if let Some((_, encoded)) = uri.split_once("base64,") {
                        let bytes =
                            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded);
                        let bytes = bytes.unwrap();
                        prop_assert!(!excess::is_longer(&bytes));
                        // It is read again as what was told of it.
                        let again = runtime.block_on(with(bytes).preview());
                        let size = again.map(|again| again.pictures[0].size);
                        prop_assert_eq!(size.ok(), Some(preview.pictures[0].size));
                    }
                }
                // The message of a decoder that panicked.
                Err(error) => prop_assert!(
                    !error.to_string().contains("cannot be decoded"),
                    "{}",
                    error
                ),
            }
            Ok(())
        });
        outcome.unwrap();
    }
}
