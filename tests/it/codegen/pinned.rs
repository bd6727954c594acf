//! The pinned schema: the generated crate is fresh, its shape is accepted, its types behave.

use std::fs;

use serde_json::{Value, json};
use uso_types::{
    ENDPOINT_ID, ImageSize, ImageSizeChoice, ImageSizePreset, OutputFormat, UsoInput, UsoOutput,
};
use xtask::codegen::load::digest;
use xtask::commands;

use super::compiled::{Made, PINNED, ask};
use super::snapshot;

fn made(name: &str) -> &'static Made {
    PINNED
        .get(name)
        .unwrap()
        .outcome
        .as_ref()
        .unwrap_or_else(|fault| panic!("{fault}"))
}

#[test]
fn the_generated_file_is_what_the_schema_gives() {
    commands::check().unwrap();
}

#[test]
fn a_stale_file_is_reported_with_a_diff_and_the_command_that_updates_it() {
    let fresh = &made("pinned").code;
    let stale = fresh.replace("NUM_IMAGES_MAX: u32 = 4", "NUM_IMAGES_MAX: u32 = 3");
    let message = commands::compare(&stale, fresh).unwrap_err().to_string();
    assert!(
        message.contains("-    pub const NUM_IMAGES_MAX: u32 = 3;"),
        "{message}"
    );
    assert!(
        message.contains("+    pub const NUM_IMAGES_MAX: u32 = 4;"),
        "{message}"
    );
    assert!(message.ends_with("Run `cargo xtask codegen`."), "{message}");
}

#[test]
fn the_generated_file_is_as_accepted() {
    let code = commands::pinned().unwrap().code;
    snapshot(
        "pinned-types",
        "The generated file of the pinned schema.",
        &code,
    );
}

#[test]
fn the_public_types_are_as_accepted() {
    let outline = commands::pinned().unwrap().outline;
    snapshot(
        "pinned-outline",
        "The public API of the pinned schema's types.",
        &outline,
    );
}

#[test]
fn generating_twice_gives_the_same_bytes() {
    let (first, second) = (commands::pinned().unwrap(), commands::pinned().unwrap());
    assert_eq!(first.code, second.code);
    assert_eq!(first.outline, second.outline);
}

#[test]
fn the_source_note_has_the_schema_s_digest() {
    let schema = fs::read(commands::root().join(commands::SCHEMA)).unwrap();
    let note = fs::read_to_string(commands::root().join("schema/SOURCE.toml")).unwrap();
    let noted = note.lines().find_map(|line| line.strip_prefix("sha256 = "));
    assert_eq!(noted, Some(format!("\"{}\"", digest(&schema)).as_str()));
    assert_eq!(
        digest(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "the published test vector of SHA-256"
    );
}

#[test]
fn an_edited_schema_goes_through_and_both_guards_show_it() {
    let (before, after) = (made("pinned"), made("pinned-edited"));
    let diff = commands::compare(&before.code, &after.code)
        .unwrap_err()
        .to_string();
    for line in [
        "+    pub const NUM_IMAGES_MAX: u32 = 6;",
        "+    Webp,",
        "+    pub mood: Option<String>,",
        "+    /// Say \"cheese\" and a \\\\ more.",
    ] {
        assert!(diff.contains(line), "{line} is not in\n{diff}");
    }
    for line in [
        "const NUM_IMAGES_MAX: u32 = 6",
        "Webp = \"webp\"",
        "mood: Option<String>",
    ] {
        assert!(
            after.outline.contains(line) && !before.outline.contains(line),
            "{line}"
        );
    }
    let value = json!({ "input_image_urls": [], "num_images": 6, "output_format": "webp" });
    assert_eq!(
        ask("pinned-edited", "UsoInput", value).violations(),
        [""; 0]
    );
}

#[test]
fn a_file_that_stands_alone_behaves_the_same() {
    let value = json!({ "input_image_urls": [], "num_images": 9, "image_size": { "width": 0 } });
    for document in ["pinned", "pinned-alone"] {
        assert_eq!(
            ask(document, "UsoInput", value.clone()).violations(),
            [
                "image_size.width is 0, but must be between 1 and 14142",
                "num_images is 9, but must be between 1 and 4"
            ]
        );
    }
    assert!(!made("pinned-alone").code.contains("crate::"));
}

#[test]
fn a_request_carries_what_was_set_and_nothing_else() {
    assert_eq!(ENDPOINT_ID, "fal-ai/uso");
    let mut input = UsoInput::new(vec!["https://example.com/a.png".to_owned()]);
    assert_eq!(
        serde_json::to_value(&input).unwrap(),
        json!({ "input_image_urls": ["https://example.com/a.png"] })
    );
    input.image_size = Some(ImageSizePreset::Portrait4_3.into());
    input.output_format = Some(OutputFormat::Jpeg);
    input.seed = Some(15_860_307_465_884_635_512);
    let value = serde_json::to_value(&input).unwrap();
    assert_eq!(
        value,
        json!({
            "input_image_urls": ["https://example.com/a.png"], "image_size": "portrait_4_3",
            "output_format": "jpeg", "seed": 15_860_307_465_884_635_512_u64,
        })
    );
    assert_eq!(serde_json::from_value::<UsoInput>(value).unwrap(), input);
    assert!(
        serde_json::from_value::<UsoInput>(json!({ "input_image_urls": [], "stepps": 3 })).is_err()
    );
}

#[test]
fn bounds_and_defaults_are_those_of_the_schema() {
    assert_eq!(
        (
            UsoInput::NUM_IMAGES_MIN,
            UsoInput::NUM_IMAGES_MAX,
            UsoInput::NUM_IMAGES_DEFAULT
        ),
        (1, 4, 1)
    );
    assert_eq!(
        (
            UsoInput::NUM_INFERENCE_STEPS_MIN,
            UsoInput::NUM_INFERENCE_STEPS_MAX
        ),
        (1, 50)
    );
    assert_eq!(
        (UsoInput::GUIDANCE_SCALE_MIN, UsoInput::GUIDANCE_SCALE_MAX),
        (1.0, 10.0)
    );
    assert_eq!((ImageSize::WIDTH_MIN, ImageSize::HEIGHT_MAX), (1, 14_142));
    assert_eq!(
        UsoInput::IMAGE_SIZE_DEFAULT,
        ImageSizeChoice::Preset(ImageSizePreset::SquareHd)
    );
    let input = UsoInput {
        image_size: Some(
            ImageSize {
                width: Some(0),
                height: None,
            }
            .into(),
        ),
        guidance_scale: Some(f64::NAN),
        num_images: Some(99),
        ..UsoInput::default()
    };
    let violations = input.validate().unwrap_err();
    let found: Vec<_> = violations
        .iter()
        .map(|one| (one.path(), one.value(), one.limit()))
        .collect();
    assert_eq!(
        found,
        [
            ("image_size.width", "0", "between 1 and 14142"),
            ("guidance_scale", "NaN", "between 1 and 10"),
            ("num_images", "99", "between 1 and 4"),
        ]
    );
    assert_eq!("portrait_4_3".parse(), Ok(ImageSizePreset::Portrait4_3));
    let unknown = "banana".parse::<OutputFormat>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "unknown value `banana`, expected one of `jpeg`, `png`"
    );
}

#[track_caller]
fn output(value: Value) -> UsoOutput {
    serde_json::from_value(value).unwrap()
}

#[test]
fn the_endpoint_page_s_own_example_decodes() {
    let read = output(json!({
        "images": [{
            "height": 1024,
            "content_type": "image/png",
            "url": "https://storage.googleapis.com/falserverless/USO/G6n97WN0goYpXPeiHaBnP.png",
            "width": 1024,
        }],
        "prompt": "A handsome man.",
    }));
    let images = read.images.unwrap();
    assert_eq!(
        (images[0].width, images[0].height),
        (Some(1024), Some(1024))
    );
    assert_eq!(
        (read.seed, read.has_nsfw_concepts, read.timings),
        (None, None, None)
    );
}

#[test]
fn answers_of_both_known_states_decode() {
    let with_file_data = output(json!({
        "images": [{ "url": "u", "content_type": "image/png", "file_name": "a.png",
            "file_size": 4_404_019, "file_data": "AAAA", "width": 1024, "height": 768 }],
        "seed": 15_860_307_465_884_635_512_u64,
        "has_nsfw_concepts": [false],
        "prompt": "",
        "timings": { "inference": 7.5 },
    }));
    assert_eq!(with_file_data.seed, Some(15_860_307_465_884_635_512));
    assert_eq!(
        with_file_data
            .timings
            .unwrap()
            .get("inference")
            .and_then(Value::as_f64),
        Some(7.5)
    );
    let with_nulls = output(json!({
        "images": [{ "url": "u", "content_type": null, "file_name": null, "file_size": null,
            "width": null, "height": null }],
        "seed": null, "has_nsfw_concepts": null, "prompt": null, "timings": null,
        "of_tomorrow": { "x": [1] },
    }));
    let images = with_nulls.images.unwrap();
    assert_eq!((images[0].url.as_str(), images[0].width), ("u", None));
    assert_eq!(with_nulls.seed, None);
}
