//! Places of pictures that a command names before it buys.

use std::fs;
use std::time::Duration;

use uso_emulator::{Fault, Operation, Scenario};
use uso_journal::{Error, State, Target};
use uso_tests::rig::{Rig, until};

use super::{Desk, request};

#[tokio::test]
async fn an_empty_file_is_a_reserved_name_and_a_file_with_content_is_kept() {
    let desk = Desk::plain().await;
    let [reserved, taken] = ["a.png", "b.png"].map(|name| desk.path().join(name));
    fs::write(&reserved, "").unwrap();
    fs::write(&taken, "mine").unwrap();
    let target = Target::files([reserved.clone(), taken.clone()]);
    let buy = desk
        .journal
        .purchase(&desk.rig.client, "key", request("a cat").images(3))
        .target(target.clone());
    let done = buy.await.unwrap();
    assert_eq!(done.target, Some(target));
    let paths: Vec<_> = done.pictures.iter().map(|saved| &saved.path).collect();
    let beside = ["b-2.png", "b-3.png"].map(|name| desk.path().join(name));
    assert_eq!(paths, [&reserved, &beside[0], &beside[1]]);
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
    assert!(
        done.pictures
            .iter()
            .all(uso_journal::SavedPicture::is_on_disk)
    );
}

#[tokio::test]
async fn an_open_purchase_is_directed_to_another_place_and_a_closed_one_is_not() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let buy = desk.journal.purchase(client, "key", request("a cat"));
    let bought = buy.detach(true).await.unwrap();
    let place = desk.path().join("elsewhere.png");
    let target = || Target::files([place.clone()]);
    let moved = desk.journal.set_target(client, bought.id, target()).await;
    assert_eq!(moved.unwrap().target, Some(target()));
    let done = desk.journal.resume(client, bought.id, |_| ()).await;
    assert_eq!(done.unwrap().pictures[0].path, place);
    let refused = desk.journal.set_target(client, bought.id, target()).await;
    assert!(
        matches!(refused, Err(Error::NotAllowed { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_job_that_was_bought_elsewhere_is_recorded_once_and_collected() {
    let desk = Desk::plain().await;
    let client = &desk.rig.client;
    let id = client.submit(request("a cat")).await.unwrap().detach();
    let id = id.request_id();
    let adopt = || {
        let target = Target::named(desk.path(), "uso-{id}.{ext}");
        desk.journal.adopt(client, id, target)
    };
    let adopted = adopt().await.unwrap();
    assert_eq!(adopted.state, State::Submitted);
    assert_eq!(adopt().await.unwrap().id, adopted.id);
    let done = desk
        .journal
        .resume(client, adopted.id, |_| ())
        .await
        .unwrap();
    assert_eq!(
        done.pictures[0].path,
        desk.path().join(format!("uso-{id}.png"))
    );
    assert!(done.cost.billed.is_some());
    // The start of a request id is enough, and too short a start is not.
    let found = desk.journal.find(client, &id[..8]).await.unwrap();
    assert_eq!(found.id, adopted.id);
    let short = desk.journal.find(client, &id[..3]).await;
    assert!(matches!(short, Err(Error::NotFound(_))), "{short:?}");
}

#[tokio::test]
async fn a_picture_is_named_by_what_its_bytes_are() {
    // The service says PNG, and gives JPEG.
    let scenario = Scenario::new()
        .on(Operation::Submit, Fault::MistypedPicture)
        .always();
    let builder = Rig::plain_builder().scenario(scenario);
    let desk = Desk::new(Rig::of(builder).await).await;
    for (key, name) in [("one", "one.jpg"), ("two", "two.jpg")] {
        let target = Target::named(desk.path().join("out"), "{key}.{ext}");
        let buy = desk.journal.purchase(&desk.rig.client, key, request(key));
        let done = buy.target(target).await.unwrap();
        let picture = &done.pictures[0];
        assert_eq!(picture.path, desk.path().join("out").join(name));
        assert_eq!(picture.content_type.as_deref(), Some("image/jpeg"));
        assert!(picture.path.is_file());
    }
    assert_eq!(fs::read_dir(desk.path().join("out")).unwrap().count(), 2);
}

/// A file that is there is compared on the disk: a picture may be larger than what is read into
/// memory.
#[tokio::test]
async fn a_large_picture_whose_name_is_taken_has_the_next_name() {
    const IN_MEMORY: usize = 2_000;
    let small = |config: uso::Config| config.max_body(IN_MEMORY);
    let desk = Desk::new(Rig::configured(Rig::pictures_builder(), small).await).await;
    let taken = desk.path().join("a.png");
    fs::write(&taken, "mine").unwrap();
    for (key, name) in [("a", "a-2.png"), ("b", "a-3.png")] {
        let buy = desk
            .journal
            .purchase(&desk.rig.client, key, request("a cat").seed(7));
        let buy = buy.target(Target::files([taken.clone()]));
        let picture = buy.await.unwrap().pictures.remove(0);
        assert!(picture.bytes > IN_MEMORY as u64, "{picture:?}");
        assert_eq!(picture.path.file_name().unwrap(), name);
    }
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
    let left = fs::read_dir(desk.path()).unwrap();
    let hidden = left.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.')
    });
    assert_eq!(hidden.count(), 0, "no copy is left behind");
}

#[tokio::test]
async fn a_name_that_is_taken_during_the_download_is_the_next_name() {
    let minute = Duration::from_secs(60);
    let scenario = Scenario::new()
        .on(Operation::File, Fault::Delay(minute))
        .times(2);
    let desk = Desk::new(Rig::of(Rig::pictures_builder().scenario(scenario)).await).await;
    let free = desk.path().join("a.png");
    let buy = |key: &'static str, seed| {
        let client = &desk.rig.client;
        let buy = desk
            .journal
            .purchase(client, key, request("a cat").seed(seed));
        buy.target(Target::files([free.clone()])).into_future()
    };
    let released = async {
        let files = || {
            let operations = desk.rig.operations();
            operations.iter().filter(|word| *word == "file").count()
        };
        until("both downloads", || files() == 2).await;
        desk.rig.emulator.advance(minute);
    };
    let (first, second, ()) = tokio::join!(buy("a", 1), buy("b", 2), released);
    let name = |purchase: uso_journal::Purchase| {
        let path = &purchase.pictures[0].path;
        path.file_name().unwrap().to_owned()
    };
    let mut names = [name(first.unwrap()), name(second.unwrap())];
    names.sort();
    assert_eq!(names, ["a-2.png", "a.png"]);
}
