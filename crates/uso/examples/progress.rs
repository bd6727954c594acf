//! Live progress of several jobs. The number of a job, followed by Enter, cancels the job.
//!
//! ```sh
//! uso emulator &                                            # or a real key, without these two lines
//! export USO_BASE_URL=http://127.0.0.1:7700 FAL_KEY=any:key
//! cargo run --example progress -- restyled ink.webp one.jpg two.jpg three.jpg
//! ```

use std::error::Error;

use futures_util::StreamExt as _;
use futures_util::stream::select_all;
use tokio::sync::mpsc;
use uso::{Client, Event, Job, Request};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, style, photos @ ..] = arguments.as_slice() else {
        return Err("arguments: FOLDER STYLE PHOTO...".into());
    };
    let client = Client::from_env()?;
    let mut jobs = Vec::new();
    for photo in photos {
        let job = client.submit(Request::restyle(photo, style)).await?;
        println!(
            "{}: {photo} is bought as {}",
            jobs.len() + 1,
            job.request_id()
        );
        jobs.push(job);
    }

    let events = jobs.iter().zip(1..).map(|(job, number)| {
        let numbered = move |event| (number, job, event);
        job.events().map(numbered)
    });
    let mut events = select_all(events);
    let mut cancels = numbers_from_stdin();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some((number, job, Ok(Event::Completed(_)))) => collect(number, job, folder).await,
                Some((number, _, Ok(Event::Log(line)))) => println!("{number}: {}", line.message),
                Some((number, _, event)) => println!("{number}: {event:?}"),
                None => return Ok(()),
            },
            // Dropping the future of `next` loses no event.
            Some(number) = cancels.recv() => match jobs.get(number.wrapping_sub(1)) {
                Some(job) => println!("{number}: cancel: {:?}", job.cancel().await),
                None => println!("{number}: there is no such job"),
            },
        }
    }
}

/// Saves the pictures of a job that has ended, or prints why there are none.
async fn collect(number: usize, job: &Job, folder: &str) {
    let saved = match job.collect().await {
        Ok(output) => output.save_all(folder, "{id}-{n}.{ext}").await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(pictures) => println!("{number}: saved: {pictures:?}"),
        Err(error) => println!("{number}: {error}"),
    }
}

/// Numbers that are typed. The thread is not joined, so that the program ends while it reads.
fn numbers_from_stdin() -> mpsc::UnboundedReceiver<usize> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if let Ok(number) = line.trim().parse() {
                // An error means that the program ends.
                let _ = sender.send(number);
            }
        }
    });
    receiver
}
