use bytes::Bytes;
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::json;

use super::*;

fn content() -> Bytes {
    let picture = RgbImage::from_fn(96, 64, |x, y| {
        let inside = x.abs_diff(48).pow(2) + y.abs_diff(32).pow(2) < 400;
        if inside {
            Rgb([200, 190, 180])
        } else {
            Rgb([40, 60, 90 + x as u8])
        }
    });
    codec::encode(&picture, Format::Png)
}

fn style(colour: [u8; 3]) -> Bytes {
    let picture = RgbImage::from_fn(40, 40, |x, y| {
        Rgb(colour.map(|channel| (u32::from(channel) * (20 + x + y) / 100) as u8))
    });
    codec::encode(&picture, Format::Jpeg)
}

fn order() -> Order {
    Order {
        references: vec![content(), style([255, 140, 30])],
        prompt: String::new(),
        seed: json!(42),
        size: Size::Exactly(128, 96),
        images: 1,
        format: Format::Png,
        flagged: false,
    }
}

fn first(order: &Order) -> Made {
    make(order).map_err(|_| "undecodable").unwrap().0.remove(0)
}

fn pixels(made: &Made) -> RgbImage {
    codec::decode(&made.bytes).unwrap()
}

/// Mean of red, green and blue above the strip.
fn mean(made: &Made) -> [f32; 3] {
    let picture = pixels(made);
    let rows = picture.height() - 20;
    let mut sum = [0.0; 3];
    for pixel in picture.rows().take(rows as usize).flatten() {
        for (sum, channel) in sum.iter_mut().zip(pixel.0) {
            *sum += f32::from(channel) / (rows * picture.width()) as f32;
        }
    }
    sum
}

#[test]
fn the_order_decides_every_byte() {
    assert_eq!(first(&order()).bytes, first(&order()).bytes);
    for other in [
        Order {
            seed: json!(43),
            ..order()
        },
        Order {
            seed: json!(15860307465884635512_u64),
            ..order()
        },
        Order {
            prompt: "in ink".to_owned(),
            ..order()
        },
        Order {
            references: vec![content()],
            ..order()
        },
        Order {
            references: vec![content(), style([30, 140, 255])],
            ..order()
        },
    ] {
        assert_ne!(first(&order()).bytes, first(&other).bytes);
    }
}

#[test]
fn the_style_gives_the_colours() {
    let warm = mean(&first(&order()));
    let cold = mean(&first(&Order {
        references: vec![content(), style([30, 140, 255])],
        ..order()
    }));
    assert!(warm[0] > warm[2] + 30.0, "{warm:?}");
    assert!(cold[2] > cold[0] + 30.0, "{cold:?}");
}

#[test]
fn size_number_and_format_are_as_ordered() {
    let several = Order {
        images: 3,
        format: Format::Jpeg,
        ..order()
    };
    let (made, area) = make(&several).map_err(|_| "undecodable").unwrap();
    assert_eq!((made.len(), area), (3, 128 * 96 * 3));
    for made in &made {
        assert_eq!(
            image::guess_format(&made.bytes).unwrap(),
            image::ImageFormat::Jpeg
        );
        assert_eq!(pixels(made).dimensions(), (128, 96));
    }
    assert_ne!(made[0].bytes, made[1].bytes);
    let kept = first(&Order {
        size: Size::OfContent,
        ..order()
    });
    assert_eq!((kept.width, kept.height), (96, 64));
    for (width, height) in [(1, 1), (1, 300), (300, 2)] {
        let odd = first(&Order {
            size: Size::Exactly(width, height),
            ..order()
        });
        assert_eq!(pixels(&odd).dimensions(), (width, height));
    }
}

#[test]
fn the_strip_is_dark_with_light_letters() {
    let picture = pixels(&first(&Order {
        size: Size::Exactly(400, 300),
        ..order()
    }));
    let strip: Vec<u8> = picture
        .rows()
        .skip(286)
        .flatten()
        .map(|pixel| pixel.0[1])
        .collect();
    let light = strip.iter().filter(|channel| **channel > 230).count();
    let dark = strip.iter().filter(|channel| **channel < 80).count();
    assert!(
        light > 200 && dark > strip.len() / 2,
        "{light} {dark} of {}",
        strip.len()
    );
}

#[test]
fn what_is_flagged_is_black() {
    let black = mean(&first(&Order {
        flagged: true,
        ..order()
    }));
    assert_eq!(black, [0.0; 3]);
}

#[test]
fn transparent_is_white() {
    let clear = RgbaImage::from_pixel(4, 4, Rgba([9, 9, 9, 0]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    clear.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    assert_eq!(
        codec::decode(bytes.get_ref()).unwrap().get_pixel(1, 1),
        &Rgb([255; 3])
    );
}

#[test]
fn a_reference_that_is_no_picture_is_named() {
    let bad = Order {
        references: vec![content(), Bytes::from_static(b"%PDF-1.4")],
        ..order()
    };
    assert!(matches!(make(&bad), Err(Undecodable(1))));
    assert_eq!(dimensions(&content()), Some((96, 64)));
    assert_eq!(dimensions(b"hello"), None);
}

#[test]
fn plain_pictures_are_tiny_and_billed_in_full() {
    let (made, area) = plain(&Order {
        references: Vec::new(),
        images: 2,
        ..order()
    });
    assert_eq!((made.len(), area), (2, 128 * 96 * 2));
    assert_eq!(
        pixels(&made[0]).dimensions(),
        (made[0].width, made[0].height)
    );
}
