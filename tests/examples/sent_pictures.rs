//! The pictures of folders as the service would get them, for a comparison with other programs:
//! `cargo run -p uso-tests --example sent_pictures -- OUTPUT FOLDER...`
//!
//! Each file of the folders is prepared for an emulator, and what arrives there is written to the
//! output folder. Each line of stdout has the path of a file, the name of its picture in the output
//! folder or nothing, and the changes or the reason of the refusal, with tabs between them.

use std::error::Error;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use uso::pictures::PreparedPicture;
use uso::{Reference, Request};
use uso_tests::rig::Rig;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let output = arguments.next().ok_or("the output folder is missing")?;
    std::fs::create_dir_all(&output)?;
    let mut files = Vec::new();
    for folder in arguments {
        list(&folder, &mut files)?;
    }
    files.sort();
    for (number, file) in files.iter().enumerate() {
        let row = match sent(file).await {
            Ok((picture, bytes)) => {
                let name = number.to_string();
                std::fs::write(output.join(&name), bytes)?;
                let changes: Vec<String> =
                    picture.changes.iter().map(ToString::to_string).collect();
                format!("{name}\t{}", changes.join(", "))
            }
            Err(error) => format!("\t{}", error.to_string().replace(['\t', '\n'], " ")),
        };
        println!("{}\t{row}", file.display());
    }
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => list(&entry.path(), files)?,
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

/// The picture as it arrives, by upload or inside of the request.
async fn sent(file: &Path) -> Result<(PreparedPicture, Vec<u8>), Box<dyn Error>> {
    let rig = Rig::plain().await;
    let request = Request::reimagine(Reference::path(file), "x");
    let preview = rig.client.preview(request).await?;
    let url = preview.input.input_image_urls.first();
    let inline = url.and_then(|url| url.split_once("base64,"));
    let inline = inline.map(|(_, encoded)| base64::prelude::BASE64_STANDARD.decode(encoded));
    let prepared = rig.client.complete(preview).await?;
    let picture = prepared.pictures().first().ok_or("no picture")?.clone();
    if let Some(bytes) = inline {
        return Ok((picture, bytes?));
    }
    let known = rig.client.known_upload(&picture).ok_or("no upload")?;
    let transport = uso_transport::Transport::new(rig.client.config().clone())?;
    let anything = uso_transport::Expected::anything();
    let bytes = transport.fetch(known.url(), &anything).await?;
    Ok((picture, bytes.to_vec()))
}
