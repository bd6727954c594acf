//! Saving pictures: names of one's own, never a name that exists.

use serde_json::json;
use uso::pictures::escaped;
use uso::upload::{Access, Lifecycle};
use uso::{ErrorKind, ImageSizePreset, Request, UsoInput};
use uso_emulator::{Fault, Operation, Scenario};
use uso_tests::rig::{Cli, Rig, content, style};

use super::dimensions;

#[tokio::test]
async fn a_file_appears_whole_or_not_at_all_and_replaces_nothing_unasked() {
    let rig = Rig::with_pictures().await;
    let request = Request::restyle(content(), style()).size(ImageSizePreset::Square);
    let output = rig
        .client
        .submit(request)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    std::fs::write(&path, "mine").unwrap();
    let error = output.images()[0].save(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert!(error.ticket().is_some(), "the picture is not lost");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");

    output.images()[0].save_over(&path).await.unwrap();
    assert_eq!(dimensions(&std::fs::read(&path).unwrap()), (512, 512));
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a.png"], "no temporary file is left");

    let error = output.images()[0]
        .save(folder.path().join("none/a.png"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[tokio::test]
async fn a_picture_of_another_length_than_its_result_names_is_not_called_whole() {
    let rig = Rig::plain().await;
    let request = || Request::reimagine("https://example.org/a.png", "x");
    let output = rig.client.generate(request()).await.unwrap();
    let picture = &output.images()[0];
    let length = picture.bytes().await.unwrap().len();
    let folder = tempfile::tempdir().unwrap();
    for (named, is_whole) in [(length, true), (length + 1, false)] {
        let result = json!({ "images": [{ "url": picture.url(), "file_size": named }] });
        let body = Fault::Body(result.to_string());
        let scenario = Scenario::new().on(Operation::Result, body);
        rig.emulator.set_scenario(scenario);
        let output = rig.client.generate(request()).await.unwrap();
        let path = folder.path().join(format!("{named}.png"));
        let saved = output.images()[0].save(&path).await;
        assert_eq!(
            (saved.is_ok(), path.exists()),
            (is_whole, is_whole),
            "{saved:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_type_of_a_saved_picture_is_that_of_its_bytes() {
    // The service says PNG, and gives JPEG.
    let scenario = || Scenario::new().on(Operation::Submit, Fault::MistypedPicture);
    let rig = Rig::of(Rig::plain_builder().scenario(scenario())).await;
    let request = Request::reimagine("https://example.org/a.png", "x");
    let output = rig.client.generate(request).await.unwrap();
    let picture = &output.images()[0];
    assert_eq!(picture.content_type(), Some("image/png"));
    let folder = tempfile::tempdir().unwrap();
    let saved = picture.save(folder.path().join("own.png")).await.unwrap();
    assert_eq!(saved.content_type, "image/jpeg");
    let saved = output.save_all(folder.path(), "{n}.{ext}").await.unwrap();
    let saved = saved[0].as_ref().unwrap();
    assert_eq!(saved.content_type, "image/jpeg");
    assert_eq!(saved.path, folder.path().join("1.jpg"));
    assert!(!folder.path().join("1.png").exists());
    std::fs::write(&saved.path, "mine").unwrap();
    let again = output.save_all(folder.path(), "{n}.{ext}").await.unwrap();
    assert_eq!(again[0].as_ref().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(std::fs::read_to_string(&saved.path).unwrap(), "mine");
    assert!(
        folder.path().join("1.png").exists(),
        "it has the other name"
    );

    let rig = Rig::of(Rig::plain_builder().scenario(scenario())).await;
    let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
    let (content, style) = (content(), style());
    let paths = [content.to_str().unwrap(), style.to_str().unwrap()];
    let run = cli.run(&["restyle", paths[0], paths[1], "-o", "own.png", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stdout.contains("\"content_type\":\"image/jpeg\""),
        "{run:?}"
    );
}

#[tokio::test]
async fn all_pictures_are_saved_under_names_of_the_caller() {
    let rig = Rig::plain().await;
    let request = Request::reimagine("https://example.org/a.png", "x")
        .images(4)
        .seed(9);
    let job = rig.client.submit(request).await.unwrap();
    let output = job.wait().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    let saved = output
        .save_all(&deep, "{seed} {n} {id}.{ext}")
        .await
        .unwrap();
    for (index, saved) in saved.into_iter().enumerate() {
        let id = job.ticket().request_id();
        let path = deep.join(format!("9 {} {id}.png", index + 1));
        assert_eq!(saved.unwrap().path, path);
        image::open(path).unwrap();
    }
    // A name that is taken keeps the others from nothing.
    std::fs::write(deep.join("2.png"), "mine").unwrap();
    let saved = output.save_all(&deep, "{n}.{ext}").await.unwrap();
    let taken: Vec<bool> = saved.iter().map(Result::is_err).collect();
    assert_eq!(taken, [false, true, false, false]);
    assert_eq!(std::fs::read(deep.join("2.png")).unwrap(), b"mine");

    for template in ["../{n}.png", "same.png", "{name}-{n}.png"] {
        let error = output.save_all(&deep, template).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
        assert!(error.ticket().is_some(), "the pictures are not lost");
    }
}

#[tokio::test]
async fn a_picture_inside_the_answer_has_a_limit_too() {
    let rig = Rig::configured(Rig::plain_builder(), |config| config.max_download(100)).await;
    let mut input = UsoInput::default();
    input
        .input_image_urls
        .push("https://example.org/a.png".to_owned());
    input.sync_mode = Some(true);
    input.image_size = Some(ImageSizePreset::SquareHd.into());
    let job = rig.client.submit(Request::raw(input)).await.unwrap();
    let output = job.wait().await.unwrap();
    assert!(output.images()[0].url().starts_with("data:"));
    let folder = tempfile::tempdir().unwrap();
    let error = output.images()[0]
        .save(folder.path().join("a.png"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("larger than 100 bytes"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_picture_is_saved_by_its_owner() {
    for access in [Access::Forbid, Access::Hide] {
        let rig = Rig::plain().await;
        let private = Lifecycle::new().access(access);
        let request = Request::reimagine("https://example.org/a.png", "x").lifecycle(private);
        let output = rig.client.generate(request).await.unwrap();
        output.images()[0].bytes().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let saved = output.images()[0].save(folder.path().join("a.png")).await;
        image::open(saved.unwrap().path).unwrap();
        // Without these roots the file cannot be fetched, so the key is not what gave access.
        let stranger = crate::emulator::http(rustls::RootCertStore::empty(), &[])
            .build()
            .unwrap();
        let refused = stranger.get(output.images()[0].url()).send().await.unwrap();
        assert!(matches!(refused.status().as_u16(), 403 | 404));
    }
}

#[tokio::test]
async fn braces_of_a_users_own_name_stay_in_the_file_name() {
    let rig = Rig::plain().await;
    let request = Request::subject("https://example.org/a.png", "x").images(2);
    let output = rig.client.generate(request).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for own in ["{n}", "draft {2}", "}{", "{id}{", "{{}}"] {
        let template = format!("{}-{{n}}.{{ext}}", escaped(own));
        let saved = output.save_all(folder.path(), &template).await.unwrap();
        for (index, saved) in saved.into_iter().enumerate() {
            let name = format!("{own}-{}.png", index + 1);
            assert_eq!(saved.unwrap().path, folder.path().join(name));
        }
    }
}

#[tokio::test]
async fn a_name_that_exists_is_kept_even_when_the_file_is_empty() {
    let rig = Rig::plain().await;
    let request = || Request::subject("https://example.org/a.png", "x");
    let first = rig.client.generate(request()).await.unwrap();
    let second = rig.client.generate(request()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.png"), "").unwrap();
    let picture = &first.images()[0];
    let error = picture
        .save(folder.path().join("empty.png"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert_eq!(std::fs::read(folder.path().join("empty.png")).unwrap(), b"");

    picture.save(folder.path().join("one.png")).await.unwrap();
    let kept = std::fs::read(folder.path().join("one.png")).unwrap();
    let saved = second.save_all(folder.path(), "one.{ext}").await.unwrap();
    assert!(saved[0].is_err(), "the picture of another job has the name");
    assert_eq!(std::fs::read(folder.path().join("one.png")).unwrap(), kept);
}
