//! Synchronous program: restyles one picture, and says what to do after an error.
//!
//! ```sh
//! uso emulator &                                            # or a real key, without these two lines
//! export USO_BASE_URL=http://127.0.0.1:7700 FAL_KEY=any:key
//! cargo run --example blocking -- photo.jpg ink.webp restyled
//! ```

use std::error::Error;

use uso::error::NextStep;
use uso::{Client, Request};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [photo, style, folder] = arguments.as_slice() else {
        return Err("arguments: PHOTO STYLE FOLDER".into());
    };
    // The client needs a Tokio runtime; one thread is enough.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(restyle(photo, style, folder))
}

async fn restyle(photo: &str, style: &str, folder: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::from_env()?;
    let output = match client.generate(Request::restyle(photo, style)).await {
        Ok(output) => output,
        Err(error) => {
            match error.next_step() {
                NextStep::Repeat => eprintln!("nothing was bought: run the program again"),
                NextStep::Resume(ticket) => {
                    eprintln!("bought: {}", serde_json::to_string(&ticket)?);
                }
                NextStep::LookFor(intent) => eprintln!("{:?}", client.recover(&intent).await?),
                NextStep::Change(problems) => eprintln!("change the request: {problems:?}"),
                _ => {}
            }
            return Err(error.into());
        }
    };
    for saved in output.save_all(folder, "{id}-{n}.{ext}").await? {
        println!("{}", saved?.path.display());
    }
    Ok(())
}
