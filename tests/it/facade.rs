//! The main job through the public face: roles in, pictures out, the bill counted.

mod dropping;
mod outputs;
mod requests;
mod saving;
mod wire;

use std::path::Path;

use uso::status::{Cancellation, State};
use uso::types::ImageSizeChoice;
use uso::upload::{Source, Upload};
use uso::{ErrorKind, Event, ImageSize, ImageSizePreset, OutputFormat, Request, Ticket, UsoInput};
use uso_emulator::{Billing, Emulator};
use uso_tests::rig::{Rig, content, real_pictures, skipped, style};

async fn restyled(rig: &Rig, request: Request) -> Vec<u8> {
    let output = rig
        .client
        .submit(request)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    output.images()[0].bytes().await.unwrap().to_vec()
}

fn dimensions(bytes: &[u8]) -> (u32, u32) {
    let picture = image::load_from_memory(bytes).unwrap();
    (picture.width(), picture.height())
}

#[tokio::test]
async fn a_restyle_costs_one_purchase_and_three_requests_and_the_seed_decides() {
    let rig = Rig::with_pictures().await;
    let seven = restyled(&rig, Request::restyle(content(), style()).seed(7)).await;
    let all = rig.operations();
    let (uploads, job) = all.split_at(4);
    let is_upload = |operation: &String| operation == "initiate" || operation == "upload";
    assert!(uploads.iter().all(is_upload), "{all:?}");
    assert_eq!(job, ["submit", "stream", "result", "file"]);
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
    assert_eq!(dimensions(&seven), (1024, 1024));
    assert_eq!(
        image::guess_format(&seven).unwrap(),
        image::ImageFormat::Png
    );

    assert_eq!(
        restyled(&rig, Request::restyle(content(), style()).seed(7)).await,
        seven
    );
    assert_ne!(
        restyled(&rig, Request::restyle(content(), style()).seed(8)).await,
        seven
    );
}

/// Mean colour of a picture, each channel from 0 to 255.
fn mean_colour(picture: &image::RgbImage) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for pixel in picture.pixels() {
        for (sum, channel) in sum.iter_mut().zip(pixel.0) {
            *sum += f64::from(channel);
        }
    }
    let pixels = f64::from(picture.width()) * f64::from(picture.height());
    sum.map(|channel| channel / pixels)
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[tokio::test]
async fn the_picture_shows_the_content_in_the_styles_colours() {
    let rig = Rig::with_pictures().await;
    let bytes = restyled(&rig, Request::restyle(content(), style())).await;
    let made = image::load_from_memory(&bytes).unwrap().to_rgb8();
    let of_content = uso_tests::pictures::content();
    let (content_colour, style_colour) = (
        mean_colour(&of_content),
        mean_colour(&uso_tests::pictures::style()),
    );
    let colour = mean_colour(&made);
    assert!(
        distance(colour, style_colour) < distance(colour, content_colour) / 2.0,
        "made {colour:?}, style {style_colour:?}, content {content_colour:?}"
    );
    // The content's shapes are still there: light and dark lie where they lay.
    let luma = |picture: &image::RgbImage| {
        let small = image::imageops::resize(picture, 32, 32, image::imageops::FilterType::Triangle);
        let luma: Vec<f64> = small
            .pixels()
            .map(|pixel| pixel.0.iter().map(|c| f64::from(*c)).sum())
            .collect();
        let mean = luma.iter().sum::<f64>() / luma.len() as f64;
        luma.into_iter()
            .map(|value| value - mean)
            .collect::<Vec<f64>>()
    };
    let (a, b) = (luma(&of_content), luma(&made));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let correlation = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
    assert!(correlation > 0.6, "correlation {correlation}");
}

#[tokio::test]
async fn every_real_picture_works_as_content_and_as_style() {
    let pictures = real_pictures();
    if pictures.is_empty() {
        skipped(
            "every_real_picture_works_as_content_and_as_style",
            "real pictures in the folder that USO_PICTURES names",
        );
        return;
    }
    let rig = Rig::with_pictures().await;
    for picture in &pictures {
        let small = || ImageSize {
            width: Some(96),
            height: Some(64),
        };
        for request in [
            Request::restyle(picture, style()),
            Request::restyle(content(), picture),
        ] {
            let bytes = restyled(&rig, request.size(small())).await;
            assert_eq!(dimensions(&bytes), (96, 64), "{}", picture.display());
        }
    }
}

#[tokio::test]
async fn sizes_counts_and_formats_come_out_as_asked() {
    let rig = Rig::with_pictures().await;
    let request = Request::styled_scene(content(), style(), "at dusk")
        .size(ImageSizePreset::Landscape16_9)
        .images(4)
        .format(OutputFormat::Jpeg);
    let output = rig
        .client
        .submit(request)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert_eq!(output.images().len(), 4);
    let mut seen = Vec::new();
    for picture in output.images() {
        let bytes = picture.bytes().await.unwrap();
        assert_eq!(dimensions(&bytes), (1024, 576));
        assert_eq!(
            image::guess_format(&bytes).unwrap(),
            image::ImageFormat::Jpeg
        );
        assert!(!seen.contains(&bytes), "the pictures differ");
        seen.push(bytes);
    }
    let size = ImageSize {
        width: Some(1280),
        height: Some(720),
    };
    let bytes = restyled(
        &rig,
        Request::reimagine(content(), "as a woodcut").size(size),
    )
    .await;
    assert_eq!(dimensions(&bytes), (1280, 720));
}

#[tokio::test]
async fn the_estimate_is_what_the_ledger_bills() {
    let rig = Rig::with_pictures().await;
    let custom = ImageSize {
        width: Some(640),
        height: Some(333),
    };
    let requests = [
        Request::restyle(content(), style()),
        Request::reimagine(content(), "x").size(custom).images(3),
        Request::reimagine(content(), "x").size(ImageSizePreset::Portrait4_3),
        Request::subject(content(), "x"),
    ];
    for request in requests {
        let estimate = request.estimate().await.unwrap();
        let job = rig.client.submit(request).await.unwrap();
        job.wait().await.unwrap();
        let ledger = rig.emulator.ledger();
        let purchase = ledger.find(job.ticket().request_id()).unwrap();
        assert_eq!(purchase.billing, Billing::Billed);
        assert_eq!(estimate.pixels(), Some(purchase.pixels));
        assert_eq!(estimate.price().unwrap().get(), purchase.micro_dollars);
    }
}

#[tokio::test]
async fn a_ticket_resumes_a_job_that_was_dropped() {
    let rig = Rig::plain().await;
    let ticket = {
        let job = rig
            .client
            .submit(Request::restyle(content(), style()).seed(11))
            .await
            .unwrap();
        serde_json::to_string(&job.detach()).unwrap()
    };
    assert!(
        !ticket.contains("data:") && !ticket.contains("secret"),
        "{ticket}"
    );
    let ticket: Ticket = serde_json::from_str(&ticket).unwrap();
    assert_eq!(ticket.seed(), Some(11));
    let config = uso_tests::rig::config_for(&rig.emulator.origin()).unwrap();
    let elsewhere = uso::Client::new(config).unwrap();
    let output = elsewhere.job(ticket).wait().await.unwrap();
    assert_eq!(output.seed(), Some(11));
    assert_eq!(rig.emulator.ledger().purchases().len(), 1);
}

#[tokio::test]
async fn a_seed_is_pinned_to_every_request() {
    let rig = Rig::plain().await;
    let first = rig
        .client
        .submit(Request::subject(content(), "a"))
        .await
        .unwrap();
    let second = rig
        .client
        .submit(Request::subject(content(), "a"))
        .await
        .unwrap();
    let ledger = rig.emulator.ledger();
    let sent = |id: &str| ledger.find(id).unwrap().input["seed"].as_u64();
    assert_eq!(sent(first.ticket().request_id()), first.ticket().seed());
    assert!(first.ticket().seed().unwrap() < 1 << 53);
    assert_ne!(first.ticket().seed(), second.ticket().seed());
}

#[tokio::test]
async fn a_knob_that_is_not_turned_stays_off_the_wire() {
    let rig = Rig::plain().await;
    let job = rig
        .client
        .submit(Request::restyle("https://example.org/a.png", "https://example.org/b.png").seed(3))
        .await
        .unwrap();
    let ledger = rig.emulator.ledger();
    let input = &ledger.find(job.ticket().request_id()).unwrap().input;
    let expected = serde_json::json!({
        "prompt": "",
        "input_image_urls": ["https://example.org/a.png", "https://example.org/b.png"],
        "keep_size": true,
        "seed": 3,
    });
    assert_eq!(*input, expected);
}

#[tokio::test]
async fn the_events_tell_position_start_log_and_end() {
    // The first job holds the only place for a minute of the emulator's time.
    let builder = Rig::plain_builder()
        .concurrency(1)
        .inference_time(std::time::Duration::from_secs(60));
    let rig = Rig::of(builder).await;
    let first = rig
        .client
        .submit(Request::subject(content(), "a"))
        .await
        .unwrap();
    let second = rig
        .client
        .submit(Request::subject(content(), "b"))
        .await
        .unwrap();
    let mut events = second.events();
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        match &event {
            Event::Queued { position } => {
                assert!(position.is_some());
                // Both jobs have a minute to run, one after the other.
                rig.emulator.advance(std::time::Duration::from_secs(61));
                seen.push("queued");
            }
            Event::Running => {
                rig.emulator.advance(std::time::Duration::from_secs(61));
                seen.push("running");
            }
            Event::Log(_) if seen.last() == Some(&"log") => {}
            Event::Log(_) => seen.push("log"),
            Event::Completed(completion) => {
                assert_eq!(completion.error, None);
                seen.push("completed");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen.first(), Some(&"queued"));
    assert!(
        seen.contains(&"running") && seen.contains(&"log"),
        "{seen:?}"
    );
    assert_eq!(seen.last(), Some(&"completed"));
    assert!(first.status().await.unwrap().is_completed());
}

#[tokio::test]
async fn cancelling_has_its_own_answers() {
    let builder = Rig::plain_builder()
        .concurrency(1)
        .inference_time(std::time::Duration::from_secs(3600));
    let rig = Rig::of(builder).await;
    let running = rig
        .client
        .submit(Request::subject(content(), "a"))
        .await
        .unwrap();
    let queued = rig
        .client
        .submit(Request::subject(content(), "b"))
        .await
        .unwrap();
    assert_eq!(queued.cancel().await.unwrap(), Cancellation::Removed);
    let error = queued.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(error.error_type(), Some("client_cancelled"));
    assert_eq!(error.ticket(), Some(queued.ticket()));

    assert_eq!(running.cancel().await.unwrap(), Cancellation::Requested);
    rig.emulator.advance(std::time::Duration::from_secs(3601));
    running.wait().await.unwrap();
    assert_eq!(
        running.cancel().await.unwrap(),
        Cancellation::AlreadyCompleted
    );

    let unknown = rig
        .client
        .job_by_id("00000000-0000-0000-0000-000000000000")
        .unwrap();
    assert_eq!(unknown.cancel().await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(unknown.status().await.unwrap_err().kind(), ErrorKind::Gone);
    let free = rig
        .emulator
        .ledger()
        .find(queued.ticket().request_id())
        .unwrap()
        .micro_dollars;
    assert_eq!(free, 0);
}

#[tokio::test]
async fn an_unfinished_job_has_no_output_yet() {
    let rig =
        Rig::of(Rig::plain_builder().inference_time(std::time::Duration::from_secs(3600))).await;
    let job = rig
        .client
        .submit(Request::subject(content(), "a"))
        .await
        .unwrap();
    let error = job.output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(matches!(
        job.status().await.unwrap().state,
        State::Queued { .. } | State::Running
    ));
}

#[tokio::test]
async fn a_result_expires_and_says_so() {
    let rig = Rig::plain().await;
    let job = rig
        .client
        .submit(Request::subject(content(), "a"))
        .await
        .unwrap();
    job.wait().await.unwrap();
    rig.emulator
        .advance(std::time::Duration::from_secs(2 * 3600));
    let error = job.output().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone);
    assert_eq!(error.ticket(), Some(job.ticket()));
}

#[tokio::test]
async fn a_job_that_does_not_start_in_time_says_so_and_is_not_billed() {
    let builder = Rig::plain_builder()
        .concurrency(1)
        .inference_time(std::time::Duration::from_secs(3600));
    let rig = Rig::of(builder).await;
    let _running = rig
        .client
        .submit(Request::subject(content(), "a"))
        .await
        .unwrap();
    let late = Request::subject(content(), "b").start_within(std::time::Duration::from_secs(30));
    let late = rig.client.submit(late).await.unwrap();
    rig.emulator.advance(std::time::Duration::from_secs(31));
    let error = late.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert_eq!(
        rig.emulator
            .ledger()
            .find(late.ticket().request_id())
            .unwrap()
            .micro_dollars,
        0
    );
}

#[tokio::test]
async fn wrong_input_is_refused_before_anything_is_sent() {
    let rig = Rig::plain().await;
    let text = uso_tests::rig::file("Cargo.toml");
    let base = || Request::subject(content(), "x");
    let cases: Vec<(Request, &str, &str)> = vec![
        (base().images(9), "num_images", "between 1 and 4"),
        (base().images(0), "num_images", "between 1 and 4"),
        (base().steps(0), "num_inference_steps", "between 1 and 50"),
        (
            base().guidance(f64::NAN),
            "guidance_scale",
            "between 1 and 10",
        ),
        (base().guidance(0.5), "guidance_scale", "between 1 and 10"),
        (
            base().size(ImageSize {
                width: Some(0),
                height: Some(10),
            }),
            "image_size.width",
            "between 1 and 14142",
        ),
        (
            Request::subject("missing.png", "x"),
            "content",
            "missing.png does not exist",
        ),
        (Request::subject("", "x"), "content", "empty"),
        (
            Request::subject(text.as_path(), "x"),
            "content",
            "not a picture",
        ),
        (Request::subject(Vec::new(), "x"), "content", "empty"),
        (
            Request::subject("data:text/plain,hello", "x"),
            "content",
            "data:image/",
        ),
        (Request::subject("https://", "x"), "content", "not a URL"),
        (
            Request::restyle(content(), Path::new("missing.webp")),
            "style",
            "missing.webp does not exist",
        ),
        (
            Request::restyle(content(), (style(), "missing.webp")),
            "extra style",
            "missing.webp",
        ),
        (
            Request::raw(UsoInput::default()),
            "input_image_urls",
            "empty",
        ),
    ];
    for (request, field, phrase) in cases {
        let shown = format!("{request:?}");
        let error = rig.client.submit(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{shown}");
        assert!(
            error.problems().iter().any(|problem| problem.path == field),
            "{shown}: {error}"
        );
        assert!(error.to_string().contains(phrase), "{shown}: {error}");
    }
    assert!(rig.emulator.requests().is_empty(), "nothing is sent");
}

#[tokio::test]
async fn what_the_endpoint_refuses_names_the_field_and_costs_nothing() {
    let rig = Rig::with_pictures().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let request = Request::restyle(content(), format!("http://{closed}/style.png"));
    let job = rig.client.submit(request).await.unwrap();
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    assert_eq!(error.problems()[0].path, "input_image_urls[1]");
    assert_eq!(error.problems()[0].category, "file_download_error");
    assert_eq!(error.status(), Some(422));
    assert_eq!(rig.emulator.ledger().total_micro_dollars(), 0);
}

#[tokio::test]
async fn sync_mode_and_the_synchronous_run_bring_the_picture_along() {
    let rig = Rig::with_pictures().await;
    let mut input = UsoInput {
        image_size: Some(ImageSizeChoice::from(ImageSize {
            width: Some(64),
            height: Some(64),
        })),
        ..UsoInput::default()
    };
    for picture in [content(), style()] {
        let mut upload = Upload::new(Source::file(picture).await.unwrap());
        let uploaded = rig.client.upload(&mut upload).await.unwrap();
        assert_eq!(upload.known_content_type(), Some("image/jpeg"));
        input.input_image_urls.push(uploaded.url);
    }
    let request = Request::raw(UsoInput {
        sync_mode: Some(true),
        ..input.clone()
    });
    let output = rig
        .client
        .submit(request)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    assert!(
        output.images()[0]
            .url()
            .starts_with("data:image/png;base64,")
    );
    let folder = tempfile::tempdir().unwrap();
    let saved = output.images()[0]
        .save(folder.path().join("a.png"))
        .await
        .unwrap();
    assert_eq!(dimensions(&std::fs::read(saved.path).unwrap()), (64, 64));

    let output = rig.client.run(Request::raw(input)).await.unwrap();
    assert_eq!(
        dimensions(&output.images()[0].bytes().await.unwrap()),
        (64, 64)
    );
    assert!(output.billable_units().is_some());
}

#[tokio::test]
async fn a_bad_key_and_an_unreachable_service_are_told_apart() {
    let emulator = Emulator::builder().key("known:key").start().await.unwrap();
    let config = uso_tests::rig::config_for(&emulator.origin()).unwrap();
    let client = uso::Client::new(config).unwrap();
    let error = client
        .submit(Request::subject(content(), "x"))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Auth, Some(401)));
    assert!(emulator.ledger().purchases().is_empty());

    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = uso_tests::rig::config_for(&format!("http://{closed}")).unwrap();
    let quick = uso::config::RetryPolicy::default().first_delay(std::time::Duration::ZERO);
    let client = uso::Client::new(config.retry(quick)).unwrap();
    let error = client
        .submit(Request::subject(content(), "x"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::Unreachable, uso::error::Delivery::NotSent)
    );
    assert_eq!(error.attempts(), 6);
}
