//! What the endpoint itself says: pictures, and refusals that show only when the job has run.

use std::io::Cursor;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};
use uso_emulator::Billing;
use uso_tests::rig;

use super::{Fal, answer, input, plain, with_pictures};

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> String {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    uri(bytes.get_ref())
}

fn uri(bytes: &[u8]) -> String {
    format!(
        "data:application/octet-stream;base64,{}",
        BASE64_STANDARD.encode(bytes)
    )
}

fn content(width: u32, height: u32) -> String {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 120])
    });
    encoded(picture, ImageFormat::Png)
}

fn style(colour: [u8; 3]) -> String {
    let picture = RgbImage::from_fn(48, 48, |x, _| Rgb(colour.map(|c| c / 2 + x as u8)));
    encoded(picture, ImageFormat::Jpeg)
}

async fn picture(fal: &Fal, image: &Value) -> DynamicImage {
    let file = fal.get(image["url"].as_str().unwrap()).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-type"), image["content_type"].as_str());
    assert_eq!(json!(file.bytes.len()), image["file_size"]);
    let picture = image::load_from_memory(&file.bytes).unwrap();
    assert_eq!(
        json!([picture.width(), picture.height()]),
        json!([image["width"], image["height"]])
    );
    picture
}

#[tokio::test]
async fn pictures_come_in_the_size_number_and_format_that_were_asked_for() {
    let fal = Fal::start(with_pictures()).await;
    let content = content(60, 40);
    for (knobs, size, units) in [
        (json!({ "image_size": "square" }), (512, 512), "0.262144"),
        (
            json!({ "image_size": { "width": 160, "height": 90 } }),
            (160, 90),
            "0.0144",
        ),
        (
            json!({ "image_size": { "width": 64 } }),
            (64, 512),
            "0.032768",
        ),
        (
            json!({ "keep_size": true, "image_size": "square_hd" }),
            (60, 40),
            "0.0024",
        ),
        (
            json!({ "image_size": { "width": 100, "height": 50 }, "num_images": 4,
                    "output_format": "jpeg" }),
            (100, 50),
            "0.02",
        ),
    ] {
        let mut input = knobs.clone();
        input["input_image_urls"] = json!([content, style([220, 90, 20])]);
        let request = fal.submit(&input).await;
        request.finished().await;
        let result = request.result().await;
        assert_eq!(
            result.header("x-fal-billable-units"),
            Some(units),
            "{knobs}"
        );
        let output = result.json();
        let images = output["images"].as_array().unwrap();
        assert_eq!(
            json!(images.len()),
            knobs.get("num_images").cloned().unwrap_or(json!(1))
        );
        assert!(output["seed"].is_u64());
        for image in images {
            let made = picture(&fal, image).await;
            assert_eq!((made.width(), made.height()), size, "{knobs}");
            let jpeg = knobs.get("output_format").is_some();
            let wanted = if jpeg { "image/jpeg" } else { "image/png" };
            assert_eq!(image["content_type"], wanted);
        }
    }
}

#[tokio::test]
async fn the_seed_decides_the_bytes() {
    let fal = Fal::start(with_pictures()).await;
    let bytes = async |seed: Value| {
        let input = json!({
            "input_image_urls": [content(60, 40), style([20, 90, 220])],
            "image_size": { "width": 120, "height": 80 },
            "seed": seed,
        });
        let output = fal.output(&input).await;
        assert_eq!(output["seed"], seed, "echoed as it was sent");
        fal.get(output["images"][0]["url"].as_str().unwrap())
            .await
            .bytes
    };
    let one = bytes(json!(1)).await;
    assert_eq!(one, bytes(json!(1)).await);
    assert_ne!(one, bytes(json!(2)).await);
    assert_ne!(one, bytes(json!(15_860_307_465_884_635_512_u64)).await);
}

#[tokio::test]
async fn every_kind_of_picture_works_as_content_and_style() {
    let fal = Fal::start(with_pictures()).await;
    let clear = RgbaImage::from_fn(40, 40, |x, y| Rgba([200, x as u8, y as u8, (x * 6) as u8]));
    let mut kinds = vec![
        encoded(clear.clone(), ImageFormat::Png),
        encoded(clear.clone(), ImageFormat::WebP),
        encoded(DynamicImage::ImageRgba8(clear).to_rgb8(), ImageFormat::Jpeg),
        encoded(
            image::GrayImage::from_pixel(9, 9, image::Luma([90])),
            ImageFormat::Png,
        ),
        encoded(
            image::ImageBuffer::from_pixel(9, 9, Rgb([9_u16, 900, 9000])),
            ImageFormat::Png,
        ),
    ];
    // Real ones, where this machine has some.
    kinds.extend(
        rig::real_pictures()
            .iter()
            .map(|path| uri(&std::fs::read(path).unwrap())),
    );
    for kind in &kinds {
        for references in [
            json!([kind, style([9, 99, 199])]),
            json!([content(30, 30), kind]),
        ] {
            let input = json!({
                "input_image_urls": references,
                "image_size": { "width": 96, "height": 64 },
            });
            let output = fal.output(&input).await;
            picture(&fal, &output["images"][0]).await;
        }
    }
}

#[tokio::test]
async fn references_are_fetched_as_the_service_would() {
    let fal = Fal::start(with_pictures()).await;
    let size = json!({ "width": 64, "height": 64 });
    let first = fal
        .output(&json!({ "input_image_urls": [content(60, 40)], "image_size": size }))
        .await;
    // Its own file, under its own address and under fal's name.
    let own = first["images"][0]["url"].as_str().unwrap().to_owned();
    let path = own.split_once("/cdn").unwrap().1;
    for url in [own.clone(), format!("https://v3b.fal.media{path}")] {
        fal.output(&json!({ "input_image_urls": [url], "image_size": size }))
            .await;
    }
    // From another server, over HTTP.
    let other = Fal::start(with_pictures()).await;
    other
        .output(&json!({ "input_image_urls": [own], "image_size": size }))
        .await;
    let fetched = fal.emulator.requests();
    assert!(
        fetched
            .iter()
            .any(|request| request.operation == "file" && request.status == Some(200))
    );
}

#[tokio::test]
async fn sync_mode_gives_data_uris_and_no_history() {
    let fal = Fal::start(with_pictures()).await;
    let input = json!({
        "input_image_urls": [content(60, 40)],
        "image_size": { "width": 64, "height": 64 },
        "sync_mode": true,
    });
    let output = fal.output(&input).await;
    let url = output["images"][0]["url"].as_str().unwrap();
    let data = url.strip_prefix("data:image/png;base64,").unwrap();
    let made = image::load_from_memory(&BASE64_STANDARD.decode(data).unwrap()).unwrap();
    assert_eq!(made.width(), 64);
    let path = "/platform/v1/models/requests/by-endpoint?endpoint_id=fal-ai/uso&expand=payloads";
    let listed = fal.get(path).await.json();
    assert_eq!(listed["items"][0]["json_output"], Value::Null);
}

#[tokio::test]
async fn the_safety_checker_blackens_what_it_is_told_to_find() {
    let fal = Fal::start(with_pictures()).await;
    let mut input = json!({
        "input_image_urls": [content(60, 40)],
        "image_size": { "width": 64, "height": 64 },
        "prompt": "something NSFW, please",
    });
    let output = fal.output(&input).await;
    assert_eq!(output["has_nsfw_concepts"], json!([true]));
    let made = picture(&fal, &output["images"][0]).await.to_rgb8();
    assert_eq!(made.get_pixel(30, 10), &Rgb([0, 0, 0]));
    input["enable_safety_checker"] = json!(false);
    assert_eq!(
        fal.output(&input).await["has_nsfw_concepts"],
        json!([false])
    );
}

#[tokio::test]
async fn refusals_show_at_the_result_and_cost_nothing() {
    let fal = Fal::start(with_pictures()).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/x.png", listener.local_addr().unwrap())
    };
    let missing = format!("{}/cdn/files/b/0/none.png", fal.emulator.origin());
    let good = content(8, 8);
    let entry = json!("input_image_urls");
    for (input, kind, loc) in [
        (json!({ "prompt": "x" }), "missing", json!(["body", entry])),
        (
            json!({ "input_image_urls": [good], "num_images": 9 }),
            "less_than_equal",
            json!(["body", "num_images"]),
        ),
        (
            json!({ "input_image_urls": [] }),
            "sequence_too_short",
            json!(["body", entry]),
        ),
        (
            json!({ "input_image_urls": [good, good, good, good] }),
            "sequence_too_long",
            json!(["body", entry]),
        ),
        (
            json!({ "input_image_urls": [content(2049, 8)] }),
            "image_too_large",
            json!(["body", entry, 0]),
        ),
        (
            json!({ "input_image_urls": [good, content(8, 2049)] }),
            "image_too_large",
            json!(["body", entry, 1]),
        ),
        (
            json!({ "input_image_urls": [good, uri(b"hello")] }),
            "image_load_error",
            json!(["body", entry, 1]),
        ),
        (
            json!({ "input_image_urls": ["data:nonsense"] }),
            "image_load_error",
            json!(["body", entry, 0]),
        ),
        (
            json!({ "input_image_urls": [""] }),
            "file_download_error",
            json!(["body", entry, 0]),
        ),
        (
            json!({ "input_image_urls": ["/etc/passwd"] }),
            "file_download_error",
            json!(["body", entry, 0]),
        ),
        (
            json!({ "input_image_urls": ["file:///etc/passwd"] }),
            "file_download_error",
            json!(["body", entry, 0]),
        ),
        (
            json!({ "input_image_urls": [closed] }),
            "file_download_error",
            json!(["body", entry, 0]),
        ),
        (
            json!({ "input_image_urls": [missing] }),
            "file_download_error",
            json!(["body", entry, 0]),
        ),
    ] {
        let request = fal.submit(&input).await;
        request.finished().await;
        let status = request.status().await.json();
        assert_eq!(status["error"], "Invalid status code: 422", "{kind}");
        let result = request.result().await;
        assert_eq!(result.status, 422, "{kind}");
        assert_eq!(result.header("x-fal-billable-units"), Some("0"));
        let problem = result.json()["detail"][0].clone();
        assert_eq!(
            (problem["type"].as_str(), &problem["loc"]),
            (Some(kind), &loc),
            "{problem}"
        );
        assert!(problem["msg"].is_string());
        let billing = fal.emulator.ledger().find(&request.id).unwrap().billing;
        assert_eq!(billing, Billing::Free { status: 422 });
        // A synchronous run says the same at once.
        assert_eq!(
            fal.post("/run/fal-ai/uso", &input).await.json()["detail"][0]["type"],
            kind
        );
    }
}

#[tokio::test]
async fn a_path_below_the_endpoint_is_not_found_when_it_runs() {
    let fal = Fal::start(plain()).await;
    let accepted = fal.post("/queue/fal-ai/uso/stream", &input()).await;
    assert_eq!(accepted.status, 200);
    let urls = accepted.json()["status_url"].as_str().unwrap().to_owned();
    assert!(urls.contains("/fal-ai/uso/requests/"), "{urls}");
    let request = fal.accepted(accepted);
    request.finished().await;
    let result = request.result().await;
    assert_eq!(
        (result.status, result.json()),
        (404, json!({ "detail": "Path /stream not found" }))
    );
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_at_once() {
    let fal = Fal::start(plain()).await;
    let deep = "[".repeat(100_000);
    for body in ["", "{", "not json", deep.as_str()] {
        let send = |path| answer(fal.request(Method::POST, path).body(body.to_owned()));
        assert_eq!(send("/queue/fal-ai/uso").await.unwrap().status, 400);
        let run = send("/run/fal-ai/uso").await.unwrap();
        assert_eq!(
            (run.status, &run.json()["detail"][0]["type"]),
            (422, &json!("json_invalid"))
        );
    }
    assert_eq!(fal.emulator.ledger().purchases().len(), 0);
}
