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
async fn no_problem_of_a_row_hides_another_problem_of_that_row_or_of_the_batch() {
    let studio = Studio::plain().await;
    studio.photos(2);
    studio.write("words.jpg", "not a picture");
    std::fs::create_dir(studio.path("out")).unwrap();
    studio.write("out/there.png", "a file of another program");
    studio.write(
        "m.csv",
        "id,content,style,steps,steps,guidance,size,keep-size,seed,prompt,webhook,start-within,colour,command,name\n\
         a,photos/none.jpg,words.jpg,many,,99,huge,perhaps,-1,@gone.txt,not-a-url,1s,red,paint,{what}\n\
         a,file://elsewhere/x.jpg,none.jpg,0,,5,1000x1000,yes,7,,,,,,double\n\
         c,,,20,30,5,,,7,,,,,restyle,double\n\
         d,photos/p0001.jpg,ink.jpg,20,,5,2000x2000,,7,,,,blue,,there\n\
         e,photos/p0001.jpg,ink.jpg,20,,5,,,7,,,,,,fine,one,two\n",
    );
    let run = [
        "batch",
        "run",
        "m.csv",
        "-o",
        "out",
        "--json",
        "--budget",
        "0.001",
        "--max-cost",
        "0.2",
    ];
    let told = problems(&studio.run(&run).await);
    for expected in [
        "null -: the budget of $0.001 has $0.001 left",
        "1 steps: it is there more than once",
        "2 content: ",
        "2 style: ",
        "2 steps: \"many\" is refused",
        "2 guidance: 99",
        "2 size: \"huge\" is refused",
        "2 keep-size: \"perhaps\" is neither true nor false",
        "2 seed: \"-1\" is refused",
        "2 prompt: the file ",
        "2 webhook: ",
        "2 start-within: 1 s is too short",
        "2 colour: there is no such option",
        "2 command: \"paint\" is neither restyle nor generate",
        "2 name: the template has {what} in it",
        "3 id: row 2 has the id \"a\" as well",
        "3 content: \"file://elsewhere/x.jpg\" is not the URL of a file here",
        "3 style: ",
        "3 steps: 0 is not between",
        "3 keep-size: --size cannot be used with --keep-size",
        "4 content: the content picture is missing",
        "4 style: restyle needs a style picture",
        "4 -: it would write double.png, as row 3 does",
        "5 colour: there is no such option",
        "5 -: it can cost $0.40, and --max-cost is $0.20",
        "6 -: value 16 (\"one\") has no column, nor has another one: the first row names 15",
    ] {
        let is_told = told.iter().any(|problem| problem.starts_with(expected));
        assert!(is_told, "{expected}\n--\n{}", told.join("\n"));
    }
    let there = "there.png is there already";
    assert!(
        told.iter().any(|problem| problem.contains(there)),
        "{told:?}"
    );
    assert_eq!(studio.rig.operations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_json_and_pictures_of_a_folder_have_all_their_problems_told() {
    let studio = Studio::plain().await;
    studio.photos(2);
    studio.write(
        "m.jsonl",
        "{\"id\": \"a\", \"content\": {\"file\": 1}, \"style\": \"none.jpg\", \"steps\": 99, \"colour\": 1}\n\
         {\"id\": \"b\", \"content\"\n\
         {\"id\": \"a\", \"content\": \"photos/none.jpg\", \"prompt\": \"x\", \"seed\": 1, \"seed\": 2, \"size\": \"huge\"}\n\
         [1]\n",
    );
    let told = problems(&studio.run(&["batch", "run", "m.jsonl", "--json"]).await);
    for expected in [
        "1 content: a value is a text, a number",
        "1 style: ",
        "1 steps: 99 is not between",
        "1 colour: there is no such option",
        "2 -: it is not a JSON object",
        "3 id: row 1 has the id \"a\" as well",
        "3 content: ",
        "3 seed: it is there more than once",
        "3 size: \"huge\" is refused",
        "4 -: it is not a JSON object",
    ] {
        let count = told.iter().filter(|one| one.starts_with(expected)).count();
        assert_eq!(count, 1, "{expected}\n--\n{}", told.join("\n"));
    }
    studio.write("photos/p0002.jpg", "not a picture");
    studio.write("photos/p0003.jpg", "not a picture either");
    let run = ["batch", "run", "photos", "--set", "steps=99", "--json"];
    let told = problems(&studio.run(&run).await);
    for expected in [
        "1 steps: 99 is not between",
        "1 -: there is neither a prompt nor a style",
        "2 steps: 99 is not between",
        "2 content: ",
        "3 content: ",
    ] {
        let is_told = told.iter().any(|problem| problem.starts_with(expected));
        assert!(is_told, "{expected}\n--\n{}", told.join("\n"));
    }
    assert_eq!(studio.rig.operations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_about_ten_thousand_wrong_rows_stays_short_and_names_the_rare_problem() {
    const ROWS: usize = 10_000;
    let studio = Studio::plain().await;
    studio.photos(1);
    let mut rows = "id,content,style,colour\n".to_owned();
    for row in 1..ROWS {
        rows.push_str(&format!("r{row},photos/none{row}.jpg,ink.jpg,red\n"));
    }
    rows.push_str("r1,photos/p0001.jpg,ink.jpg,red\n");
    studio.write("m.csv", rows);
    let run = studio.run(&["batch", "run", "m.csv"]).await;
    assert_eq!(run.code, 3);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert!(lines.len() < 40, "{}", run.stderr);
    for expected in [
        "rows 2, 3, 4, 5, 6, 7, 8, 9 and 9992 more, column colour: there is no such option",
        "row 2, column content: ",
        "column content: 9979 more problems",
        "row 10001, column id: row 2 has the id \"r1\" as well",
        "the manifest has 20000 problems; nothing was sent",
    ] {
        assert!(
            run.stderr.contains(expected),
            "{expected}\n--\n{}",
            run.stderr
        );
    }
    let run = studio.run(&["batch", "run", "m.csv", "--json"]).await;
    let document = run.json();
    assert_eq!(document["problem_count"], 20_000);
    let listed = document["problems"].as_array().unwrap().len();
    assert!((1_000..3_000).contains(&listed), "{listed}");
    assert_eq!(studio.bought(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_quotation_mark_is_named_by_row_and_column_with_the_problems_before_it() {
    let studio = Studio::plain().await;
    studio.photos(1);
    studio.write(
        "m.csv",
        "id,content,prompt,steps\na,photos/p0001.jpg,x,99\nb,photos/p0001.jpg,\"never closed,20\nc,photos/none.jpg,x,20\n",
    );
    let told = problems(&studio.run(&["batch", "run", "m.csv", "--json"]).await);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("2 steps: 99"), "{told:?}");
    assert!(
        told[1].starts_with("3 prompt: its quotation mark"),
        "{told:?}"
    );
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
    studio.write("inch.csv", "content,prompt\na.jpg,a 5\" nail\n");
    studio.write("array.json", "[{\"content\": \"a.jpg\"}]");
    studio.write("twice.csv", "content,steps,steps\na.jpg,1,2\n");
    studio.write("empty.csv", "content,style\n");
    for (name, expected) in [
        ("utf16.csv", "CSV UTF-8"),
        ("latin.csv", "line 2 has another encoding"),
        ("quote.csv", "quotation mark is most likely not closed"),
        ("inch.csv", "odd number of quotation marks"),
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
