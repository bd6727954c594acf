//! `uso rerun`: the picture of a sidecar again, as a new purchase.

use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use crate::args::{Global, RerunArgs};
use crate::batch::row_parser::{Parsed, RowParser};
use crate::batch::sidecar::{LARGEST, Sidecar};
use crate::bounded_file;
use crate::cmd;
use crate::failure::Failure;
use crate::printer::Printer;

pub(crate) async fn run(
    global: &Global,
    args: &RerunArgs,
    printer: &Printer,
) -> Result<ExitCode, Failure> {
    let sidecar = read(&args.sidecar)?;
    let mut row = sidecar.row.clone();
    if let Some(seed) = args.seed.or(sidecar.seed) {
        row.set("seed", seed.to_string());
    }
    let (parsed, problems) = RowParser::new().parse(&row);
    let parsed = parsed.filter(|_| problems.is_empty()).ok_or_else(|| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::input(problems.join("; "))
    })?;
    refuse_changed(&sidecar, &parsed).await?;
    let Parsed {
        kind,
        args: mut picture,
    } = parsed;
    picture.money = args.money.clone();
    picture.output = args.output.clone();
    cmd::generate::run(global, kind, &picture, printer).await
}

fn read(path: &Path) -> Result<Sidecar, Failure> {
    let shown = path.display();
    let refused = |why: String| {
        Failure::input(format!("{shown} {why}")).with_hint(
            "give the JSON file that uso batch wrote beside a picture, such as photo.png.json",
        )
    };
    let text = bounded_file::read(path, LARGEST)
        .map_err(|error| refused(format!("cannot be read: {error}")))?;
    serde_json::from_slice(&text).map_err(|error| match error.is_data() {
        true => refused(format!("is not a sidecar: {error}")),
        false => refused("is not a sidecar: the file is not JSON".to_owned()),
    })
}

/// Refuses pictures that are no longer those that the sidecar names.
async fn refuse_changed(sidecar: &Sidecar, parsed: &Parsed) -> Result<(), Failure> {
    let request = RowParser::new().request(parsed, sidecar.row.number);
    let request = request
        .map_err(|problem| Failure::input(problem.message))?
        .request;
    let recipe = request.recipe().await?;
    let pictures = |recipe: &Value| {
        let pictures = recipe.get("pictures").and_then(Value::as_array).cloned();
        pictures.unwrap_or_default()
    };
    let before = sidecar.input.as_ref().map(pictures).unwrap_or_default();
    let text = |picture: &Value, field: &str| {
        let text = picture.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    for (old, new) in before.iter().zip(pictures(recipe.json())) {
        if text(old, "sha256") != text(&new, "sha256") {
            return Err(Failure::input(format!(
                "{} is not the picture that the sidecar names: its content has changed; nothing was sent",
                text(&new, "file")
            ))
            .with_hint("restore the file, or buy a new picture with uso restyle or uso generate"));
        }
    }
    Ok(())
}
