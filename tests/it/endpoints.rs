//! Other endpoints of fal through the facade: the promises of `fal-ai/uso` for any document.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};
use uso::endpoint::{Endpoint, TypedOutput};
use uso::{ErrorKind, Job};
use uso_emulator::{Emulator, EmulatorBuilder, Fault, Operation, Scenario};
use uso_journal::{Journal, State};
use uso_tests::rig::{Rig, file};

use crate::codegen::compiled::{CORPUS, Entry, entry, options, without_corpus};
use crate::corpus::samples::sample_object;

fn flux() -> String {
    std::fs::read_to_string(file("fixtures/endpoints/flux-schnell.json")).unwrap()
}

fn with_flux() -> EmulatorBuilder {
    Rig::plain_builder().endpoint(&flux()).unwrap()
}

fn request() -> Value {
    json!({ "prompt": "a cat", "seed": 7 })
}

/// The id of an endpoint, and the smallest input that its schema allows.
fn call_of(entry: &Entry) -> (String, Value) {
    let id = entry.document.pointer("/info/x-fal-metadata/endpointId");
    let id = id.and_then(Value::as_str).unwrap().to_owned();
    let Ok(made) = &entry.outcome else {
        panic!("{id} has types");
    };
    let model = &made.model;
    // A reader meets the input first.
    let (_, input) = model.ordered().next().unwrap();
    (id, Value::Object(sample_object(model, input)))
}

/// What is wrong with a value by a validator of JSON Schema that is not ours.
fn misfits(document: &Value, id: &str, output: &Value) -> Vec<String> {
    let pointer = format!(
        "/paths/~1{}~1requests~1{{request_id}}/get/responses/200/content/application~1json/schema",
        id.replace('/', "~1")
    );
    let schema = document.pointer(&pointer).unwrap();
    let whole = json!({ "components": document["components"], "allOf": [schema] });
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors = validator.iter_errors(output);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// The addresses in a value.
fn addresses(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) if text.starts_with("http://") => vec![text],
        Value::Array(items) => items.iter().flat_map(addresses).collect(),
        Value::Object(fields) => fields.values().flat_map(addresses).collect(),
        _ => Vec::new(),
    }
}

/// The endpoints whose documents are whole.
fn served() -> impl Iterator<Item = &'static Entry> {
    static FLUX: LazyLock<Entry> =
        LazyLock::new(|| entry("flux-schnell", flux().as_bytes(), &options()));
    if CORPUS.is_empty() {
        without_corpus();
    }
    let whole = CORPUS.values().filter(|entry| {
        let id = entry.document.pointer("/info/x-fal-metadata/endpointId");
        id.is_some() && entry.outcome.is_ok()
    });
    whole.chain([&*FLUX])
}

/// An emulator of an endpoint, which loses the response to the submit and fails the result once.
async fn faulty(entry: &Entry, id: &str) -> (Rig, Endpoint<Value, Value>) {
    let faults = Scenario::new()
        .on(Operation::Submit, Fault::AcceptThenDrop)
        .on(Operation::Result, Fault::Status(503));
    let builder = Emulator::builder().endpoint(&entry.document.to_string());
    let rig = Rig::of(builder.unwrap().scenario(faults)).await;
    let endpoint = Endpoint::new(&rig.client, id).unwrap();
    (rig, endpoint)
}

/// One emulator for each endpoint; the response to the submit is lost, and the result fails once.
/// Every job is bought once, has an output of its schema, and its files can be fetched.
#[tokio::test(start_paused = true)]
async fn every_endpoint_keeps_the_promises() {
    let (mut jobs, mut files) = (0, 0);
    for entry in served() {
        let (id, input) = call_of(entry);
        let (rig, endpoint) = faulty(entry, &id).await;
        let job = endpoint.submit(&input).await;
        let job = job.unwrap_or_else(|error| panic!("{id}: {error}: {input}"));
        // As another process would, which has the ticket alone.
        let ticket = serde_json::to_string(job.ticket()).unwrap();
        let job = endpoint.job(serde_json::from_str(&ticket).unwrap());
        let output = job.wait().await;
        let output = output.unwrap_or_else(|error| panic!("{id}: {error}: {input}"));
        assert_eq!(output.billable_units(), Some("1"), "{id}");
        assert_eq!(output.warnings(), [""; 0], "{id}");
        let misfits = misfits(&entry.document, &id, &output.value);
        assert_eq!(misfits, [""; 0], "{id}: {}", output.value);
        let folder = tempfile::tempdir().unwrap();
        for (number, url) in addresses(&output.value).into_iter().enumerate() {
            let path = folder.path().join(number.to_string());
            assert!(output.save(url, &path).await.unwrap() > 0, "{id}: {url}");
            files += 1;
        }
        assert_eq!(
            rig.emulator.ledger().purchases().len(),
            1,
            "{id} is bought once"
        );
        jobs += 1;
    }
    assert!(files >= jobs / 2, "{files} files of {jobs} jobs");
}

/// The same promises through the journal: the response to the submit is lost, the result fails once,
/// and the purchase is bought once, with every file of its result and the result itself on disk.
#[tokio::test(start_paused = true)]
async fn the_journal_buys_an_order_of_any_endpoint_once_and_keeps_its_files() {
    let (mut orders, mut files) = (0, 0);
    for entry in served() {
        let (id, input) = call_of(entry);
        let (rig, endpoint) = faulty(entry, &id).await;
        let order = endpoint.order(&input).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::temporary().unwrap();
        let buy = || {
            let buy = journal.purchase_order(&rig.client, "key", order.clone());
            buy.folder(folder.path())
        };
        let purchase = buy().await;
        let purchase = purchase.unwrap_or_else(|error| panic!("{id}: {error}: {input}"));
        assert_eq!(purchase.state, State::Done, "{id}: {:?}", purchase.reason);
        assert_eq!(purchase.endpoint, id);
        let (document, made) = purchase.pictures.split_last().unwrap();
        let result = std::fs::read(&document.path).unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        assert_eq!(misfits(&entry.document, &id, &result), [""; 0], "{id}");
        let named: BTreeSet<&str> = addresses(&result).into_iter().collect();
        let kept = made.iter().filter_map(|file| file.url.as_deref()).collect();
        assert_eq!(named, kept, "{id}");
        assert!(
            made.iter().all(|file| file.path.is_file()),
            "{id}: {made:?}"
        );
        assert_eq!(buy().await.unwrap().pictures, purchase.pictures);
        assert_eq!(rig.emulator.ledger().purchases().len(), 1, "{id}");
        orders += 1;
        files += made.len();
    }
    assert!(files >= orders / 2, "{files} files of {orders} orders");
}

#[tokio::test]
async fn an_input_outside_the_schema_is_refused_for_free_and_by_name() {
    let rig = Rig::of(with_flux()).await;
    let flux = Endpoint::<Value, Value>::new(&rig.client, "fal-ai/flux/schnell").unwrap();
    let mut input = request();
    input["num_images"] = json!(9);
    let job = flux.submit(&input).await.unwrap();
    let error = job.wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert_eq!(error.problems()[0].path, "num_images");
    assert_eq!(rig.emulator.ledger().total_micro_dollars(), 0);

    for input in [json!([]), json!("text"), Value::Null] {
        let error = flux.submit(&input).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{input}");
    }
    assert_eq!(
        rig.emulator.ledger().purchases().len(),
        1,
        "nothing else was sent"
    );
}

#[tokio::test]
async fn endpoints_and_ids_that_are_not_served_are_named() {
    let rig = Rig::of(with_flux()).await;
    let error = Endpoint::<Value, Value>::new(&rig.client, "no id").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("no id"), "{error}");
    for id in ["fal-ai/flux/dev", "fal-ai/flux", "fal-ai/other"] {
        let other = Endpoint::<Value, Value>::new(&rig.client, id).unwrap();
        other.submit(&request()).await.unwrap_err();
    }
    assert_eq!(rig.emulator.ledger().purchases().len(), 0);

    for (document, missing) in [
        ("", "not JSON"),
        ("{}", "does not name its endpoint"),
        (
            r#"{"info":{"x-fal-metadata":{"endpointId":"a/b"}}}"#,
            "does not describe its input",
        ),
    ] {
        let error = Emulator::builder().endpoint(document).unwrap_err();
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[tokio::test]
async fn a_part_of_an_output_that_cannot_be_read_leaves_the_rest() {
    #[derive(Debug, serde::Deserialize)]
    struct Wrong {
        images: Vec<Value>,
        #[serde(default)]
        seed: Option<Vec<String>>,
    }
    let rig = Rig::of(with_flux()).await;
    let flux = Endpoint::<Value, Wrong>::new(&rig.client, "fal-ai/flux/schnell").unwrap();
    let job: Job<TypedOutput<Wrong>> = flux.submit(&request()).await.unwrap();
    let output = job.wait().await.unwrap();
    assert_eq!((output.value.images.len(), &output.value.seed), (1, &None));
    assert_eq!(output.warnings().len(), 1);
    assert!(
        output.warnings()[0].contains("seed"),
        "{:?}",
        output.warnings()
    );

    let none = Endpoint::<Value, Vec<String>>::new(&rig.client, "fal-ai/flux/schnell").unwrap();
    let error = none.job(job.ticket().clone()).wait().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.ticket().is_some() && error.raw_body().is_some());
}

#[tokio::test]
async fn a_request_of_one_endpoint_is_not_found_under_another() {
    let rig = Rig::of(with_flux()).await;
    let flux = Endpoint::<Value, Value>::new(&rig.client, "fal-ai/flux/schnell").unwrap();
    let job = flux.submit(&request()).await.unwrap();
    job.wait().await.unwrap();
    let under_uso = rig.client.job_by_id(job.request_id()).unwrap();
    assert_eq!(
        under_uso.output().await.unwrap_err().kind(),
        ErrorKind::Gone
    );
}
