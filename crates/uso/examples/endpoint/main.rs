//! Another endpoint of fal, `fal-ai/flux/schnell`, with generated types.
//!
//! The types were written by
//! `cargo xtask codegen --schema flux-schnell.json --for-uso --out flux.rs` from the document that
//! fal publishes for the endpoint. To run the example without an account:
//!
//! ```sh
//! uso emulator --endpoint flux-schnell.json &
//! export USO_BASE_URL=http://127.0.0.1:7700 FAL_KEY=any:key
//! cargo run --example endpoint -- "a lighthouse at dusk" lighthouse.png
//! ```

#[allow(dead_code, unreachable_pub, reason = "the example uses few of the types")]
#[rustfmt::skip]
mod flux;

use flux::{ENDPOINT_ID, FluxSchnellInput, FluxSchnellOutput};
use uso::Client;
use uso::endpoint::Endpoint;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [prompt, path] = arguments.as_slice() else {
        return Err("arguments: PROMPT FILE".into());
    };
    let client = Client::from_env()?;
    let flux = Endpoint::<FluxSchnellInput, FluxSchnellOutput>::new(&client, ENDPOINT_ID)?;
    let mut input = FluxSchnellInput::new(prompt);
    input.seed = Some(7);
    input.validate()?;
    let job = flux.submit(&input).await?;
    println!("{}", job.request_id());
    let output = job.wait().await?;
    let image = output.value.images.iter().flatten().next();
    let image = image.ok_or("the output has no picture")?;
    output.save(&image.url, path).await?;
    Ok(())
}
