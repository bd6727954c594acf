//! Shrinking equals the Lanczos filter, without a shift.

use image::imageops::{FilterType, resize};
use image::{ImageFormat, RgbImage};

use super::{arrived, formats, jpeg};

/// The mean difference of the channels of two pictures.
pub(super) fn mean(left: &RgbImage, right: &RgbImage) -> f64 {
    assert_eq!(left.dimensions(), right.dimensions());
    let pairs = left.as_raw().iter().zip(right.as_raw());
    let sum: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / left.as_raw().len() as f64
}

/// Lines of every width and direction.
fn lines(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let at = |scale: f64| {
            ((f64::from(x) * scale + f64::from(y) * scale / 3.0).sin() * 100.0 + 128.0) as u8
        };
        let edge = if (x / 7 + y / 5).is_multiple_of(2) {
            230
        } else {
            20
        };
        image::Rgb([edge, at(0.9), at(0.11)])
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shrinking_equals_lanczos_at_every_size() {
    for (width, height) in [
        (2049, 64),
        (3000, 200),
        (4090, 120),
        (4132, 120),
        (200, 6200),
    ] {
        let picture = lines(width, height);
        let (told, bytes) =
            arrived(formats::encoded(&picture.clone().into(), ImageFormat::Png)).await;
        let (to_width, to_height) = told.size.unwrap();
        let expected = resize(&picture, to_width, to_height, FilterType::Lanczos3);
        let shown = image::load_from_memory(&bytes).unwrap().to_rgb8();
        let mean = mean(&shown, &expected);
        assert!(mean < 0.5, "{width}x{height}: {mean}");
    }
}

/// Waves as long as the detail of photographs.
fn waves(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let at =
            |scale: f64| ((f64::from(x) * scale - f64::from(y) * scale).sin() * 90.0 + 128.0) as u8;
        image::Rgb([at(0.09), at(0.05), at(0.02)])
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jpeg_that_is_decoded_at_a_reduced_scale_equals_lanczos_too() {
    for (width, height) in [(7800, 130), (8191, 77), (130, 8001)] {
        let file = jpeg(&waves(width, height), None);
        let decoded = image::load_from_memory(&file).unwrap().to_rgb8();
        let (told, bytes) = arrived(file).await;
        let (to_width, to_height) = told.size.unwrap();
        let expected = resize(&decoded, to_width, to_height, FilterType::Lanczos3);
        let shown = image::load_from_memory(&bytes).unwrap().to_rgb8();
        // The new compression is most of the difference; a shift by half a pixel would make ten.
        let mean = mean(&shown, &expected);
        assert!(mean < 1.5, "{width}x{height}: {mean}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transparent_pixels_do_not_bleed_into_their_neighbours() {
    let mut picture = image::RgbaImage::from_pixel(2600, 40, image::Rgba([200, 30, 30, 255]));
    for (x, _, pixel) in picture.enumerate_pixels_mut() {
        if x >= 1300 {
            // Invisible, and of another colour.
            pixel.0 = [0, 255, 0, 0];
        }
    }
    let (_, bytes) = arrived(formats::encoded(&picture.into(), ImageFormat::Png)).await;
    let shown = image::load_from_memory(&bytes).unwrap().to_rgba8();
    for pixel in shown.pixels().filter(|pixel| pixel.0[3] > 40) {
        let [red, green, _, alpha] = pixel.0;
        assert!(red.abs_diff(200) < 8 && green < 40, "{pixel:?} {alpha}");
    }
}
