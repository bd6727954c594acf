//! Faults that a careless client takes for the truth: refusals after the work, cut bodies that look
//! whole, streams that outlast their job, and fields that strict parsers refuse.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use uso_emulator::{Fault, OddListing, OddResult, Operation, Scenario};

use super::{Answer, Fal, input, plain};

const HOUR: Duration = Duration::from_secs(3600);

async fn fal(scenario: Scenario) -> Fal {
    Fal::start(plain().scenario(scenario)).await
}

async fn submit(fal: &Fal) -> Answer {
    fal.post("/queue/fal-ai/uso", &input()).await
}

/// The result of a finished job under this fault, as text.
async fn result(fault: Fault) -> String {
    let fal = fal(Scenario::new().on(Operation::Result, fault)).await;
    let request = fal.submit(&input()).await;
    request.finished().await;
    let bytes = request.result().await.bytes;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_submit_can_be_accepted_and_answered_with_any_status() {
    for status in [302, 303, 402, 409, 410, 412, 425, 451, 499, 500, 503, 504] {
        for (fault, has_id) in [
            (Fault::AcceptThenStatus(status), true),
            (Fault::AcceptThenStatusWithoutId(status), false),
            (Fault::AcceptThenGatewayPage(status), false),
        ] {
            let fal = fal(Scenario::new().on(Operation::Submit, fault.clone())).await;
            let answer = submit(&fal).await;
            assert_eq!(answer.status, status, "{fault}");
            let ledger = fal.emulator.ledger();
            assert_eq!(ledger.purchases().len(), 1, "{fault} {status}");
            let id = has_id.then_some(&*ledger.purchases()[0].request_id);
            assert_eq!(answer.header("x-fal-request-id"), id, "{fault} {status}");
            assert_eq!(
                answer.header("location").is_some(),
                status < 400,
                "{fault} {status}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_can_be_invisible_at_first() {
    let fal = fal(Scenario::new().on(Operation::Submit, Fault::InvisibleFor(3))).await;
    let request = fal.submit(&input()).await;
    let hidden = request.status().await;
    assert_eq!(
        (hidden.status, hidden.json()),
        (404, json!({ "status": "NOT_FOUND" }))
    );
    assert_eq!(fal.get(&request.path("/status/stream")).await.status, 404);
    assert_eq!(request.result().await.status, 404);
    assert_ne!(request.status().await.status, 404);
    request.finished().await;
    assert_eq!(request.result().await.status, 200);
}

#[tokio::test]
async fn a_body_can_end_early_in_each_way() {
    for (fault, status, breaks, told) in [
        (Fault::TruncatedBody, 200, true, Some(1.0)),
        (Fault::CutCloseDelimited, 200, false, None),
        (Fault::CutChunked, 200, true, None),
        (Fault::ShortChunked, 200, false, None),
        (Fault::ShortLength, 200, false, Some(0.5)),
        (Fault::UnaskedPartial, 206, false, Some(0.5)),
    ] {
        let fal = fal(Scenario::new().on(Operation::File, fault.clone())).await;
        let output = fal.output(&input()).await;
        let picture = &output["images"][0];
        let whole = picture["file_size"].as_u64().unwrap();
        let url = picture["url"].as_str().unwrap();
        let mut response = fal.request(Method::GET, url).send().await.unwrap();
        assert_eq!(response.status(), status, "{fault}");
        let chunked = response.headers().contains_key("transfer-encoding");
        let expected = matches!(fault, Fault::CutChunked | Fault::ShortChunked);
        assert_eq!(chunked, expected, "{fault}");
        let length = response.headers().get("content-length");
        let length = length.map(|length| length.to_str().unwrap().parse::<u64>().unwrap());
        let share = told.map(|share: f64| (whole as f64 * share) as u64);
        assert_eq!(length, share, "{fault}");
        let range = response.headers().get("content-range").is_some();
        assert_eq!(range, status == 206, "{fault}");
        let mut read = 0;
        let broke = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => read += chunk.len() as u64,
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert_eq!((broke, read), (breaks, whole / 2), "{fault}");
        // Once is once.
        let again = fal.get(url).await;
        assert_eq!(again.bytes.len() as u64, whole, "{fault}");
    }
}

#[tokio::test]
async fn a_stream_can_outlast_its_job() {
    for (fault, line) in [
        (Fault::KeepAlivesOnly, ": keep-alive\n\n"),
        (Fault::InProgressForever, "\"status\":\"IN_PROGRESS\""),
    ] {
        let fal = fal(Scenario::new().on(Operation::Stream, fault.clone())).await;
        let request = fal.submit(&input()).await;
        let path = request.path("/status/stream");
        let mut stream = fal.request(Method::GET, &path).send().await.unwrap();
        // The second stream is an honest one.
        request.finished().await;
        fal.emulator.advance(HOUR / 2);
        for _ in 0..3 {
            let chunk = stream.chunk().await.unwrap().unwrap();
            let text = String::from_utf8(chunk.to_vec()).unwrap();
            assert!(text.contains(line), "{fault}: {text}");
            assert!(!text.contains("COMPLETED"), "{fault}: {text}");
        }
    }
}

#[tokio::test]
async fn statuses_can_be_of_another_request_or_have_empty_errors() {
    let scenario = Scenario::new()
        .on(Operation::Status, Fault::EmptyError)
        .on(Operation::Status, Fault::ForeignRequestId)
        .on(Operation::Status, Fault::ForeignFailure)
        .on(Operation::Status, Fault::LoneSurrogateLog)
        .on(Operation::Stream, Fault::EmptyError)
        .after(1);
    let fal = fal(scenario).await;
    let request = fal.submit(&input()).await;
    request.finished().await;
    let empty = request.status().await.json();
    assert_eq!(
        (&empty["status"], &empty["error"]),
        (&json!("COMPLETED"), &json!(""))
    );
    assert_eq!(empty["request_id"], json!(request.id));
    let foreign = request.status().await.json();
    assert_ne!(foreign["request_id"], json!(request.id));
    assert!(foreign.get("error").is_none());
    let failure = request.status().await.json();
    assert_ne!(failure["request_id"], json!(request.id));
    assert_eq!(failure["error_type"], "runner_disconnected");
    let logs = String::from_utf8(request.status().await.bytes).unwrap();
    assert!(logs.contains(r#""message":"half \ud83d""#), "{logs}");
    assert!(serde_json::from_str::<Value>(&logs).is_err());
    let stream = fal.get(&request.path("/status/stream")).await.bytes;
    let stream = String::from_utf8(stream).unwrap();
    assert!(stream.contains(r#""error":"""#), "{stream}");
}

#[tokio::test]
async fn results_can_be_odd_and_keep_their_pictures() {
    let text = |odd| result(Fault::OddResult(odd));
    for (odd, part) in [
        (OddResult::NegativeSeed, r#""seed":-1"#),
        (OddResult::FloatSeed, r#""seed":1e+30"#),
        (OddResult::HugeSeed, r#""seed":1180591620717411303424"#),
        (OddResult::TextSeed, r#""seed":"123""#),
        (OddResult::NanTimings, r#""inference":NaN"#),
        (OddResult::NanTimings, r#""save":-Infinity"#),
        (OddResult::TextFlags, r#""has_nsfw_concepts":"false""#),
        (OddResult::FloatSize, r#""width":8.0"#),
        (OddResult::LoneSurrogate, r#""prompt":"half \ud83d""#),
        (OddResult::ByteOrderMark, "\u{feff}{"),
        (OddResult::BadPicture, r#""url":null"#),
        (OddResult::NullPicture, r#""images":[null,{"#),
    ] {
        let text = text(odd).await;
        assert!(text.contains(part), "{odd:?}: {text}");
        assert!(text.contains("/cdn/files/b/"), "{odd:?}: {text}");
    }
}

#[tokio::test]
async fn every_odd_result_is_another_text() {
    let mut seen = Vec::new();
    for odd in OddResult::ALL {
        let text = result(Fault::OddResult(odd)).await;
        let honest = serde_json::from_str::<Value>(&text).is_ok_and(|output| {
            output["seed"] == 7
                && output["prompt"] == ""
                && output["images"][0]["width"].is_u64()
                && output["images"][0]["url"].is_string()
                && output["has_nsfw_concepts"].is_array()
        });
        assert!(!honest, "{odd:?}: {text}");
        seen.push(odd);
    }
    assert_eq!(seen.len(), 11);
}

#[tokio::test]
async fn one_of_two_pictures_can_be_bad() {
    let scenario = Scenario::new().on(Operation::Result, Fault::OddResult(OddResult::BadPicture));
    let fal = fal(scenario).await;
    let mut two = input();
    two["num_images"] = json!(2);
    let output = fal.output(&two).await;
    let pictures = output["images"].as_array().unwrap();
    assert_eq!(pictures.len(), 2);
    assert!(pictures[0]["url"].is_null() && pictures[1]["url"].is_string());
}

#[tokio::test]
async fn listings_can_be_hard_to_compare() {
    let path = "/platform/v1/models/requests/by-endpoint?endpoint_id=fal-ai/uso&expand=payloads";
    let scenario = OddListing::ALL
        .into_iter()
        .fold(Scenario::new(), |scenario, odd| {
            scenario.on(Operation::Listing, Fault::OddListing(odd))
        });
    let fal = fal(scenario).await;
    fal.submit(&input()).await.finished().await;
    for odd in OddListing::ALL {
        let listing = fal.get(path).await.json();
        let row = &listing["items"][0];
        let input = &row["json_input"];
        match odd {
            OddListing::NoInput => {
                assert!(row.get("json_input").is_none() && row["request_id"].is_string());
            }
            OddListing::NullInput => assert!(row.get("json_input").unwrap().is_null()),
            OddListing::TextInput => assert!(input.as_str().unwrap().contains("\"seed\":7")),
            OddListing::DefaultsFilledIn => {
                assert_eq!(
                    (&input["seed"], &input["num_images"]),
                    (&json!(7), &json!(1))
                );
            }
            OddListing::TextSeed => assert_eq!(input["seed"], "7"),
            OddListing::RoundedSeed => assert_eq!(input["seed"], 7),
            OddListing::RewrittenUrls => {
                let url = input["input_image_urls"][0].as_str().unwrap();
                assert_ne!(url, "https://example.org/content.png");
            }
            OddListing::MoreWithoutCursor => {
                let end = (&listing["has_more"], &listing["next_cursor"]);
                assert_eq!(end, (&json!(true), &Value::Null));
                assert_eq!(listing["items"], json!([]));
            }
            other => panic!("{other:?} has no row here"),
        }
    }
    // The rules are used up.
    let honest = fal.get(path).await.json();
    assert_eq!(honest["items"][0]["json_input"], input());
}

#[tokio::test]
async fn a_picture_can_be_of_another_type_than_it_is_said_to_be() {
    for (asked, said, ending, real) in [
        ("png", "image/png", ".png", image::ImageFormat::Jpeg),
        ("jpeg", "image/jpeg", ".jpg", image::ImageFormat::Png),
    ] {
        let fal = fal(Scenario::new().on(Operation::Submit, Fault::MistypedPicture)).await;
        let mut input = input();
        input["output_format"] = json!(asked);
        let output = fal.output(&input).await;
        let picture = &output["images"][0];
        assert_eq!(picture["content_type"], said);
        let url = picture["url"].as_str().unwrap();
        assert!(url.ends_with(ending), "{url}");
        let file = fal.get(url).await;
        assert_eq!(file.header("content-type"), Some(said));
        assert_eq!(image::guess_format(&file.bytes).unwrap(), real);
    }
}

#[tokio::test]
async fn the_units_of_a_response_can_be_any_text_or_missing() {
    for units in [None, Some("1,05"), Some(""), Some("0x1")] {
        let fault = Fault::BillableUnits(units.map(str::to_owned));
        let fal = fal(Scenario::new().on(Operation::Result, fault)).await;
        let request = fal.submit(&input()).await;
        request.finished().await;
        let result = request.result().await;
        assert_eq!(result.header("x-fal-billable-units"), units);
    }
}

#[tokio::test]
async fn requests_tell_their_connection() {
    let fal = fal(Scenario::new()).await;
    let path = "/emulator/ledger";
    fal.get(path).await;
    fal.get(path).await;
    let other = super::http(rustls::RootCertStore::empty(), &[])
        .build()
        .unwrap();
    let url = format!("{}{path}", fal.emulator.origin());
    other.get(url).send().await.unwrap();
    let connections: Vec<u64> = fal
        .emulator
        .requests()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections, [1, 1, 2]);
}

#[test]
fn samples_hold_every_fault_that_files_can_name() {
    let names: std::collections::BTreeSet<&str> =
        Fault::samples().iter().map(Fault::name).collect();
    for wrong in [r#"{ "rules": [{ "on": "submit", "fault": "no-such" }] }"#] {
        let error = Scenario::from_json(wrong).unwrap_err().to_string();
        // The parser lists the names that it knows.
        let known: Vec<&str> = error
            .split('`')
            .skip(3)
            .step_by(2)
            .filter(|name| !name.is_empty())
            .collect();
        assert!(known.len() > 50, "{error}");
        for name in known {
            assert!(names.contains(name), "{name} has no sample");
        }
    }
}
