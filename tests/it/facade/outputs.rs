//! Outputs: the pictures first, whatever else of a result cannot be read.

use serde_json::{Value, json};
use uso::{ErrorKind, ImageSize, MicroDollars, Output, Request};
use uso_emulator::{Fault, OddResult, Operation, Scenario};
use uso_tests::rig::Rig;

fn request() -> Request {
    Request::subject("https://example.org/a.png", "x").seed(7)
}

async fn output_with(fault: Fault, request: Request) -> uso::Result<Output> {
    let scenario = Scenario::new().on(Operation::Result, fault).always();
    let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
    let output = rig.client.generate(request).await?;
    for picture in output.images() {
        picture.bytes().await?;
    }
    Ok(output)
}

#[tokio::test]
async fn an_odd_field_hides_no_picture() {
    for odd in OddResult::ALL {
        let output = output_with(Fault::OddResult(odd), request().images(2)).await;
        let output = output.unwrap_or_else(|error| panic!("{odd:?}: {error:?}"));
        let expected = match odd {
            OddResult::BadPicture | OddResult::NullPicture => 1,
            _ => 2,
        };
        assert_eq!(output.images().len(), expected, "{odd:?}");
        // A size that is written as 8.0 is read; everything else is named.
        let is_read = matches!(odd, OddResult::FloatSize);
        assert_eq!(output.warnings().is_empty(), is_read, "{odd:?}: {output:?}");
    }
}

#[tokio::test]
async fn each_kind_of_wrong_field_is_left_out_on_its_own() {
    let rig = Rig::plain().await;
    let url = {
        let output = rig.client.generate(request()).await.unwrap();
        output.images()[0].url().to_owned()
    };
    let wrong = [
        json!([]),
        json!({}),
        json!("x"),
        json!(-1.5),
        json!(true),
        json!(1e300),
    ];
    let fields = ["seed", "prompt", "timings", "has_nsfw_concepts"];
    let of_image = ["content_type", "file_name", "file_size", "width", "height"];
    for value in &wrong {
        for name in fields.into_iter().chain(of_image) {
            let mut image = json!({ "url": url });
            let mut body = json!({});
            let place = if of_image.contains(&name) {
                &mut image
            } else {
                &mut body
            };
            place[name] = value.clone();
            body["images"] = json!([image, { "width": 1 }, null, 7, { "url": "" }]);
            let scenario = Scenario::new().on(Operation::Result, Fault::Body(body.to_string()));
            let rig = Rig::of(Rig::plain_builder().scenario(scenario)).await;
            let output = rig.client.generate(request()).await;
            let output = output.unwrap_or_else(|error| panic!("{body}: {error:?}"));
            let urls: Vec<&str> = output.images().iter().map(uso::Picture::url).collect();
            assert_eq!(urls, [url.as_str()], "{body}");
            assert!(!output.warnings().is_empty(), "{body}");
        }
    }
}

#[tokio::test]
async fn a_result_without_any_picture_comes_back_raw() {
    for body in [
        json!({ "images": null }),
        json!({ "images": [{ "url": " " }] }),
        Value::Null,
    ] {
        let error = output_with(Fault::Body(body.to_string()), request())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{body}");
        assert_eq!(error.raw_body(), Some(body.to_string().as_bytes()));
        assert!(error.ticket().is_some());
    }
}

#[tokio::test]
async fn an_output_names_its_job_and_its_bill() {
    let rig = Rig::plain().await;
    let job = rig.client.submit(request().images(3)).await.unwrap();
    let output = job.wait().await.unwrap();
    assert_eq!(output.ticket(), Some(job.ticket()));
    assert_eq!(output.request_id(), Some(job.request_id()));
    let ledger = rig.emulator.ledger();
    let billed = ledger.find(job.request_id()).unwrap().micro_dollars;
    assert_eq!(output.cost(), Some(MicroDollars::new(billed)));
    for (units, cost) in [
        (Some("1.05"), Some(105_000)),
        (Some("0"), Some(0)),
        (None, None),
        (Some("1,05"), None),
        (Some("1.05 MP"), None),
    ] {
        let fault = Fault::BillableUnits(units.map(str::to_owned));
        let output = output_with(fault, request()).await.unwrap();
        assert_eq!(output.cost(), cost.map(MicroDollars::new), "{units:?}");
    }
}

#[tokio::test]
async fn a_second_purchase_needs_the_proof_that_the_first_was_free() {
    for (units, purchases) in [
        (Some("0"), 2),
        (Some("0.0"), 2),
        (None, 1),
        (Some(""), 1),
        (Some("1,05"), 1),
        (Some("abc"), 1),
        (Some("0x1"), 1),
        (Some("1_0"), 1),
        (Some("-0"), 1),
        (Some("1.05"), 1),
    ] {
        let units_of_second = Fault::BillableUnits(units.map(str::to_owned));
        let scenario = Scenario::new()
            .on(Operation::Submit, Fault::FilesGone)
            .after(1)
            .on(Operation::Result, units_of_second)
            .after(1)
            .always();
        let rig = Rig::of(Rig::pictures_builder().scenario(scenario)).await;
        let size = ImageSize {
            width: Some(64),
            height: Some(64),
        };
        let picture = || Request::subject(uso_tests::rig::content(), "x").size(size.clone());
        rig.client.generate(picture()).await.unwrap();
        let outcome = rig.client.generate(picture()).await;
        let bought = rig.emulator.ledger().purchases().len() - 1;
        assert_eq!(bought, purchases, "{units:?}");
        assert_eq!(outcome.is_ok(), purchases == 2, "{units:?}");
    }
}
