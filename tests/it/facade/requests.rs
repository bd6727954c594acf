//! Requests: every form compiles, and what it sends.

use serde_json::{Value, json};
use uso::types::ImageSizeChoice;
use uso::{ImageSizePreset, OutputFormat, Request, Styles};
use uso_tests::rig::Rig;

const CONTENT: &str = "https://example.org/content.png";
const INK: &str = "https://example.org/ink.png";
const WASH: &str = "https://example.org/wash.png";

/// The input that a request is bought with.
async fn sent(rig: &Rig, request: Request) -> Value {
    let job = rig.client.submit(request.seed(3)).await.unwrap();
    let ledger = rig.emulator.ledger();
    ledger.find(job.request_id()).unwrap().input.clone()
}

#[tokio::test]
async fn one_style_and_two_are_given_in_every_form() {
    let rig = Rig::plain().await;
    let none: Option<&str> = None;
    let one: Vec<Styles> = vec![INK.into(), [INK].into(), (INK, none).into()];
    let two: Vec<Styles> = vec![
        [INK, WASH].into(),
        (INK, WASH.to_owned()).into(),
        (INK, Some(WASH)).into(),
    ];
    for (styles, urls) in [(one, vec![CONTENT, INK]), (two, vec![CONTENT, INK, WASH])] {
        for styles in styles {
            let restyle = Request::restyle(CONTENT, styles.clone());
            assert_eq!(
                sent(&rig, restyle).await,
                json!({ "input_image_urls": urls, "prompt": "", "keep_size": true, "seed": 3 })
            );
            let scene = Request::styled_scene(CONTENT, styles, "at sea");
            assert_eq!(
                sent(&rig, scene).await,
                json!({ "input_image_urls": urls, "prompt": "at sea", "seed": 3 })
            );
        }
    }
}

#[tokio::test]
async fn every_knob_takes_a_value_or_an_option_and_none_unsets_it() {
    let rig = Rig::plain().await;
    let plain = || Request::reimagine(CONTENT, "ink");
    let unset: Vec<Request> = vec![
        plain().images(2).images(None),
        plain().steps(2).steps(None),
        plain().guidance(2.0).guidance(None),
        plain().size(ImageSizePreset::Square).size(None),
        plain().size(None::<ImageSizeChoice>),
        plain().keep_size(true).keep_size(None),
        plain().format(OutputFormat::Jpeg).format(None),
        plain().safety_checker(false).safety_checker(None),
        plain().negative_prompt("fog").negative_prompt(None::<&str>),
        plain()
            .start_within(None)
            .lifecycle(None)
            .webhook(None::<String>),
    ];
    for request in unset {
        assert_eq!(
            sent(&rig, request).await,
            json!({ "input_image_urls": [CONTENT], "prompt": "ink", "seed": 3 })
        );
    }
    let job = rig.client.submit(plain().seed(5).seed(None)).await.unwrap();
    assert_ne!(job.ticket().seed(), Some(5), "another seed is chosen");
    let set = plain()
        .images(Some(2))
        .steps(Some(3))
        .negative_prompt(Some("fog"))
        .format(Some(OutputFormat::Jpeg));
    let input = sent(&rig, set).await;
    assert_eq!(input["num_images"], 2);
    assert_eq!(input["num_inference_steps"], 3);
    assert_eq!(input["negative_prompt"], "fog");
    assert_eq!(input["output_format"], "jpeg");
}

#[tokio::test]
async fn a_job_shows_its_id_and_seed_in_few_words() {
    let rig = Rig::plain().await;
    let request = Request::restyle(CONTENT, INK).seed(7);
    let job = rig.client.submit(request).await.unwrap();
    let shown = format!("{job:?}");
    assert!(shown.len() < 300, "{shown}");
    assert!(
        shown.contains(job.request_id()) && shown.contains('7'),
        "{shown}"
    );
}
