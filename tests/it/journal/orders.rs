//! Orders of other endpoints.

use serde_json::{Value, json};
use uso::MicroDollars;
use uso::endpoint::Endpoint;
use uso::purchase::Order;
use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{BudgetStop, Error, Purchase, State, Target, UnitPrice};
use uso_tests::rig::{Rig, file};

use super::Desk;

const ID: &str = "fal-ai/flux/schnell";

async fn desk() -> Desk {
    with(Scenario::new()).await
}

async fn with(scenario: Scenario) -> Desk {
    let document = std::fs::read_to_string(file("fixtures/endpoints/flux-schnell.json")).unwrap();
    let builder = Rig::plain_builder().endpoint(&document).unwrap();
    Desk::new(Rig::of(builder.scenario(scenario)).await).await
}

/// A purchase whose job has this result.
async fn resulting_in(result: Value) -> (Desk, Purchase) {
    let answer = Fault::ModelAnswers {
        status: 200,
        body: result,
    };
    let desk = with(Scenario::new().on(Operation::Submit, answer)).await;
    let buy = desk
        .journal
        .purchase_order(&desk.rig.client, "key", order(&desk, 7));
    let purchase = buy.await.unwrap();
    assert_eq!(purchase.state, State::Done, "{:?}", purchase.reason);
    (desk, purchase)
}

fn names(purchase: &Purchase) -> Vec<String> {
    let files = purchase.pictures.iter();
    let names = files.map(|file| {
        file.path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    });
    names.collect()
}

fn order_of(desk: &Desk, id: &str, input: &Value) -> Order {
    let endpoint = Endpoint::<Value, Value>::new(&desk.rig.client, id).unwrap();
    endpoint.order(input).unwrap()
}

fn order(desk: &Desk, seed: u64) -> Order {
    order_of(desk, ID, &json!({ "prompt": "a cat", "seed": seed }))
}

#[tokio::test]
async fn a_key_is_one_order_and_neither_another_input_nor_another_endpoint() {
    let desk = desk().await;
    let client = &desk.rig.client;
    let buy = |order| desk.journal.purchase_order(client, "key", order);
    assert_eq!(buy(order(&desk, 7)).await.unwrap().state, State::Done);
    let others = [
        (order(&desk, 8), "seed was 7 and is 8"),
        (
            order_of(
                &desk,
                "fal-ai/other",
                &json!({ "prompt": "a cat", "seed": 7 }),
            ),
            r#"endpoint was "fal-ai/flux/schnell" and is "fal-ai/other""#,
        ),
    ];
    for (other, difference) in others {
        let refused = buy(other).await.unwrap_err();
        assert!(refused.to_string().contains(difference), "{refused}");
    }
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn an_order_counts_with_its_bound_and_is_refused_without_one() {
    let desk = desk().await;
    let client = &desk.rig.client;
    let cap = Some(MicroDollars::new(10_000));
    desk.journal.set_caps(client, None, cap).await.unwrap();
    let buy = |key, seed| desk.journal.purchase_order(client, key, order(&desk, seed));
    let refused = buy("a", 1).await.unwrap_err();
    let is_unpriced = matches!(refused, Error::Budget(BudgetStop::NoPrice { .. }));
    assert!(is_unpriced, "{refused:?}");
    let bound = MicroDollars::new(6_000);
    let unknown = buy("a", 1).costs_at_most(bound).await.unwrap();
    assert_eq!(unknown.cost.billed, None, "only the caller knows the price");
    let refused = buy("b", 2).costs_at_most(bound).await.unwrap_err();
    let is_exceeded = matches!(refused, Error::Budget(BudgetStop::Exceeded { .. }));
    assert!(is_exceeded, "{refused:?}");
    let unit = UnitPrice::new(MicroDollars::new(3_000), "2026-11-01");
    let billed = buy("b", 2)
        .costs_at_most(MicroDollars::new(4_000))
        .price(unit);
    assert_eq!(
        billed.await.unwrap().cost.billed,
        Some(MicroDollars::new(3_000))
    );
    assert_eq!(desk.bought(), 2);
}

#[tokio::test]
async fn an_order_that_another_process_bought_is_collected_by_its_row_alone() {
    let desk = desk().await;
    let client = &desk.rig.client;
    let target = Target::files([desk.path().join("cat.png")]);
    let bought = desk.journal.purchase_order(client, "key", order(&desk, 7));
    let bought = bought.target(target).detach(true).await.unwrap();
    assert_eq!(bought.state, State::Submitted);
    let other = desk.open().await;
    let done = other.resume(client, bought.id, |_| ()).await.unwrap();
    assert_eq!(done.state, State::Done);
    let names = done
        .pictures
        .iter()
        .map(|file| file.path.file_name().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["cat.png", "cat-2.json"]);
    let kinds = done
        .pictures
        .iter()
        .map(|file| file.content_type.as_deref());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [Some("image/png"), Some("application/json")]
    );
    assert_eq!(desk.bought(), 1);
}

#[tokio::test]
async fn a_file_inside_the_input_is_recorded_by_its_digest() {
    let desk = desk().await;
    let client = &desk.rig.client;
    let picture = format!("data:image/png;base64,{}", "A".repeat(100_000));
    let input = json!({ "prompt": "a cat", "image_url": picture });
    let order = order_of(&desk, "fal-ai/other", &input);
    let refused = desk.journal.purchase_order(client, "key", order).await;
    assert!(
        matches!(refused, Err(Error::NotBought { .. })),
        "{refused:?}"
    );
    let listed = desk.journal.jobs(client).read().await.unwrap();
    let recorded = listed[0].input.as_ref().unwrap();
    assert_eq!(recorded["endpoint"], "fal-ai/other");
    let recorded = recorded["input"]["image_url"].as_str().unwrap();
    assert!(
        recorded.starts_with("sha256:") && recorded.len() == 71,
        "{recorded}"
    );
}

/// A page that the result quotes is no file, and cannot keep the purchase open.
#[tokio::test]
async fn urls_of_other_hosts_are_texts_of_the_result() {
    let result = json!({
        "text": "two sources",
        "sources": [{ "url": "https://news.invalid/story", "title": "a story" }],
        "image_url": "http://127.0.0.1:1/private",
    });
    let (_desk, purchase) = resulting_in(result.clone()).await;
    assert_eq!(names(&purchase), ["j1-1.json"]);
    let kept = std::fs::read(&purchase.pictures[0].path).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), result);
}

#[tokio::test]
async fn files_that_are_plain_urls_are_kept_and_flags_with_them() {
    let desk = desk().await;
    let client = &desk.rig.client;
    let first = desk
        .journal
        .purchase_order(client, "first", order(&desk, 7))
        .await
        .unwrap();
    let url = first.pictures[0].url.clone().unwrap();
    let answer = Fault::ModelAnswers {
        status: 200,
        body: json!({ "images": [url], "has_nsfw_concepts": [true] }),
    };
    desk.rig
        .emulator
        .set_scenario(Scenario::new().on(Operation::Submit, answer));
    let buy = desk.journal.purchase_order(client, "key", order(&desk, 8));
    let purchase = buy.await.unwrap();
    assert_eq!(names(&purchase), ["j2-1.png", "j2-2.json"]);
    let flags: Vec<bool> = purchase.pictures.iter().map(|file| file.flagged).collect();
    assert_eq!(flags, [true, false]);
    assert_eq!(purchase.pictures[0].sha256, first.pictures[0].sha256);

    // All of it can be copied, also what has no address of its own.
    let target = Target::named(desk.path().join("copies"), "{n}.{ext}");
    let copies = desk
        .journal
        .copy(client, purchase.id, target)
        .await
        .unwrap();
    assert_eq!(copies.len(), 2);
    for (copy, file) in copies.iter().zip(&purchase.pictures) {
        assert_eq!(
            std::fs::read(copy).unwrap(),
            std::fs::read(&file.path).unwrap()
        );
    }
}

/// Of a file that is another one by now, nothing is copied, neither from the disk nor from the
/// service.
#[tokio::test]
async fn a_copy_that_is_another_file_is_refused_and_not_kept() {
    let desk = desk().await;
    let client = &desk.rig.client;
    let buy = desk.journal.purchase_order(client, "key", order(&desk, 7));
    let purchase = buy.await.unwrap();
    let copies = desk.path().join("copies");
    let copy = async || {
        let target = Target::named(&copies, "{n}.{ext}");
        let refused = desk.journal.copy(client, purchase.id, target).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::NotCollected { .. }), "{refused:?}");
        let left: Vec<_> = std::fs::read_dir(&copies).into_iter().flatten().collect();
        (refused.to_string(), left)
    };
    let inside = purchase.pictures.iter().find(|file| file.url.is_none());
    let inside = &inside.unwrap().path;
    let kept = std::fs::read(inside).unwrap();
    std::fs::write(inside, vec![b'x'; kept.len()]).unwrap();
    let (message, left) = copy().await;
    assert!(
        message.contains("not the picture that was saved"),
        "{message}"
    );
    assert_eq!(left.len(), 1, "the picture alone: {left:?}");

    std::fs::write(inside, kept).unwrap();
    std::fs::remove_dir_all(&copies).unwrap();
    let other = Fault::Answer {
        status: 200,
        body: "another file".to_owned(),
    };
    let other = Scenario::new().on(Operation::File, other).always();
    desk.rig.emulator.set_scenario(other);
    let (message, left) = copy().await;
    assert!(message.contains("another picture than"), "{message}");
    assert!(message.contains("was not kept"), "{message}");
    assert_eq!(left.len(), 1, "the result alone: {left:?}");

    // The file that was there is gone, and the copy is all that is left under its name.
    let file = copies.join("file");
    let target = Target::Files {
        paths: vec![file.clone()],
        replace: true,
    };
    std::fs::write(&file, "an older file").unwrap();
    let refused = desk.journal.copy(client, purchase.id, target).await;
    let message = refused.unwrap_err().to_string();
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert_eq!(std::fs::read(&file).unwrap(), b"another file");
}

#[tokio::test]
async fn a_result_that_is_not_json_is_kept_as_it_is() {
    let text = Fault::Answer {
        status: 200,
        body: "a story that was paid for".to_owned(),
    };
    let desk = with(Scenario::new().on(Operation::Result, text).always()).await;
    let buy = desk
        .journal
        .purchase_order(&desk.rig.client, "key", order(&desk, 7));
    let purchase = buy.await.unwrap();
    assert_eq!(purchase.state, State::Done, "{:?}", purchase.reason);
    assert_eq!(names(&purchase), ["j1-1.bin"]);
    let kept = std::fs::read(&purchase.pictures[0].path).unwrap();
    assert_eq!(kept, b"a story that was paid for");
}
