//! The page of `uso skill`: short, and every command on it works as it stands.

use serde_json::Value;
use uso_tests::rig::Rig;

use super::{Scene, picture};

/// Words of the page at most.
const MOST: usize = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_skill_page_works() {
    let scene = Scene::of(Rig::plain_builder()).await;
    let page = scene.cli.run(&["skill"]);
    assert_eq!((page.code, page.stderr.as_str()), (0, ""));
    let words = page.stdout.split_whitespace().count();
    assert!((100..MOST).contains(&words), "{words} words");
    assert!(page.stdout.starts_with("---\nname: uso\ndescription: "));
    let json = scene.cli.run(&["skill", "--json"]).json();
    assert_eq!(
        json["skill"].as_str().unwrap().trim_end(),
        page.stdout.trim_end()
    );

    let folder = scene.cli.folder();
    std::fs::create_dir(folder.join("photos")).unwrap();
    for name in ["photo.jpg", "ink.png", "photos/a.jpg", "photos/b.jpg"] {
        picture(&folder.join(name), 48, 32);
    }
    let blocks = page.stdout.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let commands: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for line in commands {
        // The words are those of a shell; only the program is another.
        let words = words_of(line);
        assert_eq!(words[0], "uso", "{line}");
        let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let output = scene.cli.command(&arguments).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {stdout}{stderr}");
        if line.ends_with("--json") {
            let document: Value = serde_json::from_str(&stdout).expect(line);
            assert!(document.get("error").is_none(), "{line}: {document}");
        }
    }
    for name in ["restyled.png", "scene.png", "night.png", "winter.png"] {
        assert!(folder.join(name).metadata().unwrap().len() > 0, "{name}");
    }
    // Three at once, the detached one, and one for each row of the manifest.
    assert_eq!(scene.bought(), 6);
}

/// The words of a line, with double quotes around some.
fn words_of(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}
