//! Restyles every picture of a folder, each at most once, for at most five dollars.
//!
//! `cargo run --example batch -- photos ink.webp out`, as often as one likes: a run goes on where
//! the last one stopped, whatever stopped it.

use uso::{Client, MicroDollars, Request};
use uso_journal::{BatchEvent, Journal, Stop, Target};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [photos, style, out] = arguments.as_slice() else {
        return Err("arguments: FOLDER STYLE OUT".into());
    };
    let mut files: Vec<_> = std::fs::read_dir(photos)?.flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let style = style.clone();
    let rows = files.into_iter().map(move |file| {
        let key = format!("ink/{}", file.file_name().display());
        (key, Request::restyle(file.path(), style.as_str()))
    });

    let (client, journal, stop) = (Client::from_env()?, Journal::open_default()?, Stop::new());
    let target = Target::named(out, "{key}-{n}.{ext}");
    let batch = journal.run(&client, rows).name("ink").target(target);
    let mut run = batch
        .budget(MicroDollars::new(5_000_000))
        .stop(&stop)
        .start();
    while let Some(event) = run.next().await {
        match event {
            BatchEvent::Ended { key, outcome } => println!("{key}: {outcome:?}"),
            BatchEvent::Paused { message, .. } => eprintln!("paused: {message}"),
            BatchEvent::Stopped(why) => eprintln!("stopped: {why:?}"),
            _ => {}
        }
    }
    println!("{:?}", run.summary());
    Ok(())
}
