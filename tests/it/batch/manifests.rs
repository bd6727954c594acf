//! Manifests: read in every form, and refused as a whole before anything is sent.

use serde_json::Value;

use super::Studio;

/// The problems of a refused manifest, as `row column: message`.
fn problems(run: &uso_tests::rig::Run) -> Vec<String> {
    assert_eq!(run.code, 3, "{run:?}");
    let document = run.json();
    let problems = document["problems"].as_array().unwrap();
    let shown = problems.iter().map(|problem| {
        format!(
            "{} {}: {}",
            problem["row"],
            problem["column"].as_str().unwrap_or("-"),
            problem["message"].as_str().unwrap()
        )
    });
    shown.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_is_told_at_once_by_row_and_column_and_nothing_is_sent() {
    let studio = Studio::plain().await;
    studio.photos(2);
    studio.write(
        "m.csv",
        "id,content,style,steps,size,colour,name\n\
         a,photos/p0001.jpg,ink.jpg,many,,,\n\
         a,photos/p0002.jpg,ink.jpg,999,,,\n\
         b,photos/none.jpg,ink.jpg,,,,\n\
         c,photos/p0001.jpg,,,,,\n\
         d,photos/p0001.jpg,ink.jpg,,9x9,red,\n\
         e,,ink.jpg,,,,{prompt}\n\
         f,photos/p0001.jpg,ink.jpg,,,,same\n\
         g,photos/p0002.jpg,ink.jpg,,,,SAME\n\
         h,photos/p0002.jpg,ink.jpg,,,,other,too,many\n\
         g,photos/p0002.jpg,ink.jpg,,,,third\n",
    );
    let told = problems(&studio.run(&["batch", "run", "m.csv", "--json"]).await);
    let text = told.join("\n");
    for expected in [
        "2 steps: \"many\" is refused: it is not a whole number",
        "3 steps: 999 is not between 1 and 50",
        "3 id: row 2 has the id \"a\" as well",
        "4 content: ",
        "5 -: there is neither a prompt nor a style",
        "6 colour: there is no such option",
        "7 name: the template has {prompt} in it; the fields are {id} {content_stem}",
        "7 content: the content picture is missing",
        "9 -: it would write SAME.png, as row 8 does",
        "10 -: value 8 (\"too\") has no column",
        "11 id: row 9 has the id \"g\" as well",
    ] {
        assert!(text.contains(expected), "{expected}\n--\n{text}");
    }
    assert_eq!(studio.rig.operations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unreadable_file_in_the_last_of_many_rows_is_named_before_anything_is_sent() {
    let studio = Studio::plain().await;
    studio.photos(1);
    let mut rows = "id,content,prompt\n".to_owned();
    for row in 0..300 {
        rows.push_str(&format!("r{row},photos/p0001.jpg,x\n"));
    }
    rows.push_str("last,photos/gone.jpg,x\n");
    studio.write("m.csv", rows);
    let told = problems(&studio.run(&["batch", "run", "m.csv", "--json"]).await);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("302 content:") && told[0].contains("gone.jpg"),
        "{told:?}"
    );
    assert_eq!(studio.bought(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_a_manifest_is_read() {
    let studio = Studio::plain().await;
    studio.photos(2);
    studio.write("prompt.txt", "from a file\n");
    let comma = "\u{feff}id,Content,STYLE,negative_prompt,seed\r\n\
                 a,photos/p0001.jpg,ink.jpg,\"dark; and, \"\"wet\"\"\",7\r\n\
                 b,photos/p0002.jpg,,,8\r\n,,,,\r\n";
    let json = "{\"id\": \"a\", \"content\": \"photos/p0001.jpg\", \"style\": [\"ink.jpg\"], \
                \"negative_prompt\": \"dark; and, \\\"wet\\\"\", \"seed\": 7}\n\n\
                {\"id\": \"b\", \"content\": \"photos/p0002.jpg\", \"seed\": 8, \"keep-size\": null}\n";
    for (name, text) in [
        ("comma.csv", comma.to_owned()),
        (
            "semicolon.csv",
            comma.replace(',', ";").replace("dark; and;", "dark; and,"),
        ),
        ("tab.tsv", comma.replace(',', "\t").replace("and\t", "and,")),
        ("lines.jsonl", json.to_owned()),
    ] {
        studio.write(name, text);
        let run = studio
            .run(&[
                "batch",
                "run",
                name,
                "-p",
                "@prompt.txt",
                "--dry-run",
                "--json",
            ])
            .await;
        assert_eq!(run.code, 0, "{name}: {run:?}");
        let document = run.json();
        assert_eq!(
            document["rows"].as_array().unwrap().len(),
            2,
            "{name}: {document}"
        );
        assert_eq!(document["rows"][0]["id"], "a");
        assert_eq!(document["rows"][0]["files"][0], "p0001.png");
        assert_eq!(document["uploads"]["files"], 3, "{name}: {document}");
        assert!(document["micro_dollars"].as_u64().unwrap() > 0);
    }
    assert_eq!(studio.rig.operations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_manifest_is_refused_with_advice() {
    let studio = Studio::plain().await;
    let utf16: Vec<u8> = "\u{feff}content\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    studio.write("utf16.csv", utf16);
    studio.write("latin.csv", b"content\nphotos/\xe9t\xe9.jpg\n");
    studio.write(
        "quote.csv",
        "content,prompt\na.jpg,\"never closed\nb.jpg,x\n",
    );
    studio.write("array.json", "[{\"content\": \"a.jpg\"}]");
    studio.write("twice.csv", "content,steps,steps\na.jpg,1,2\n");
    studio.write("empty.csv", "content,style\n");
    for (name, expected) in [
        ("utf16.csv", "CSV UTF-8"),
        ("latin.csv", "line 2 has another encoding"),
        ("quote.csv", "odd number of quotation marks"),
        ("array.json", "jq -c"),
        ("twice.csv", "more than once"),
        ("empty.csv", "no rows"),
        ("missing.csv", "cannot be read"),
        (".", "no pictures in it"),
    ] {
        if name == "." {
            std::fs::create_dir(studio.path("bare")).unwrap();
        }
        let source = if name == "." { "bare" } else { name };
        let run = studio.run(&["batch", "run", source]).await;
        assert_eq!(run.code, 3, "{name}: {run:?}");
        assert!(run.stderr.contains(expected), "{name}: {}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_written_from_a_folder_and_runs() {
    let studio = Studio::plain().await;
    studio.photos(3);
    std::fs::create_dir(studio.path("sub")).unwrap();
    let new = [
        "batch",
        "new",
        "photos",
        "--style",
        "ink.jpg",
        "-o",
        "sub/m.csv",
    ];
    let run = studio.run(&new).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(
        studio.run(&new).await.code,
        1,
        "an existing manifest is not replaced"
    );
    let run = studio.run(&["batch", "run", "sub/m.csv", "--json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json()["done"], 3);
    let files = studio.files("sub/m-pictures");
    assert_eq!(files[0..2], ["p0001.png", "p0001.png.json"], "{files:?}");
    assert_eq!(files.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_varied_and_named_by_its_value() {
    let studio = Studio::plain().await;
    studio.photos(1);
    let run = studio
        .run(&[
            "batch",
            "run",
            "photos",
            "--style",
            "ink.jpg",
            "--vary",
            "seed=1..3",
            "--name",
            "{id}-{style_stem}-{index}",
            "-o",
            "out",
            "--json",
        ])
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    let pictures: Vec<String> = studio
        .files("out")
        .into_iter()
        .filter(|name| name.ends_with(".png"))
        .collect();
    assert_eq!(
        pictures,
        [
            "p0001-seed1-ink-1.png",
            "p0001-seed2-ink-2.png",
            "p0001-seed3-ink-3.png"
        ]
    );
    let sidecar = std::fs::read(studio.path("out/p0001-seed2-ink-2.png.json")).unwrap();
    let sidecar: Value = serde_json::from_slice(&sidecar).unwrap();
    assert_eq!(sidecar["seed"], 2);
    assert!(sidecar["request_id"].is_string(), "{sidecar}");
    assert_eq!(
        sidecar["input"]["pictures"][0]["sha256"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
    assert!(
        sidecar["billed_micro_dollars"].as_u64().unwrap() > 0,
        "{sidecar}"
    );
    assert!(
        sidecar["estimated_micro_dollars"].as_u64().unwrap() > 0,
        "{sidecar}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variations_are_named_by_their_ids() {
    let studio = Studio::plain().await;
    studio.photos(1);
    studio.write("m.csv", "id,content\ncover,photos/p0001.jpg\n");
    for source in ["photos", "m.csv"] {
        let run = ["batch", "run", source, "--style", "ink.jpg", "-o", "out"];
        let run = studio
            .run(&[&run[..], &["--vary", "seed=1..2"]].concat())
            .await;
        assert_eq!(run.code, 0, "{run:?}");
    }
    let files = studio.files("out").into_iter();
    let pictures: Vec<String> = files.filter(|name| name.ends_with(".png")).collect();
    assert_eq!(
        pictures,
        [
            "p0001-cover-seed1.png",
            "p0001-cover-seed2.png",
            "p0001-seed1.png",
            "p0001-seed2.png",
        ]
    );
}
