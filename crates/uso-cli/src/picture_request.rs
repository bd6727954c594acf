//! The request that the arguments of `generate`, `restyle` and `estimate` describe.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use uso::{OutputFormat, Reference, Request};

use crate::args::PictureArgs;
use crate::failure::Failure;
use crate::given::{is_picture, local_path, name, prompt, prompt_file};

/// Which command the arguments belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Generate,
    Restyle,
}

/// A request, and what its arguments say about the files of this machine.
pub(crate) struct PictureRequest {
    pub(crate) request: Request,
    /// Whether there is neither a prompt nor a style: a purchase of it would be billed all the same.
    pub(crate) says_nothing: bool,
    /// Local files that are read; none of them is ever written.
    pub(crate) inputs: Vec<PathBuf>,
    /// The names of the pictures that go in, for the names of those that come out.
    pub(crate) content_name: String,
    pub(crate) style_name: Option<String>,
    /// The file name's extension of the format that is asked for.
    pub(crate) extension: &'static str,
}

impl Kind {
    /// The command that an estimate is for: a style as a second argument means `restyle`.
    pub(crate) fn of_estimate(args: &PictureArgs) -> Self {
        match args.rest.is_empty() {
            true => Self::Generate,
            false => Self::Restyle,
        }
    }
}

/// References to files by their paths, so that rows which name one file share its reading.
pub(crate) type Files = HashMap<PathBuf, Reference>;

impl PictureRequest {
    pub(crate) fn read(kind: Kind, args: &PictureArgs) -> Result<Self, Failure> {
        Self::sharing(&mut Files::new(), kind, args)
    }

    /// [`PictureRequest::read`], with the files of other requests.
    pub(crate) fn sharing(
        files: &mut Files,
        kind: Kind,
        args: &PictureArgs,
    ) -> Result<Self, Failure> {
        let content = content(args)?;
        refuse_surplus(kind, args)?;
        let styles: Vec<&OsStr> = args.styles().collect();
        one_standard_input(content, &styles, args)?;
        let prompt = args.picture.prompt.as_deref().map(prompt).transpose()?;
        let has_prompt = prompt
            .as_deref()
            .is_some_and(|text| !text.trim().is_empty());
        let file = args.picture.prompt.as_deref().and_then(prompt_file);
        let mut inputs: Vec<PathBuf> = file.map(PathBuf::from).into_iter().collect();
        let (content_argument, style_argument) = match (args.first.is_some(), args.rest.is_empty())
        {
            (true, true) => ("CONTENT", "--style"),
            (true, false) => ("CONTENT", "STYLE"),
            (false, _) => ("--content", "--style"),
        };
        let content_reference = reference(content_argument, content, files, &mut inputs)?;
        let mut references = Vec::new();
        for style in &styles {
            references.push(reference(style_argument, style, files, &mut inputs)?);
        }
        let mut references = references.into_iter();
        let request = match (kind, references.next(), references.next()) {
            (Kind::Restyle, None, _) => {
                return Err(Failure::usage("the style picture is missing").with_hint(
                    "give it as the second argument: uso restyle CONTENT STYLE; to make a picture from a prompt alone, use uso generate",
                ));
            }
            (Kind::Restyle, Some(style), extra) => {
                Request::restyle(content_reference, (style, extra))
            }
            (Kind::Generate, None, _) => {
                Request::subject(content_reference, prompt.clone().unwrap_or_default())
            }
            (Kind::Generate, Some(style), extra) => Request::styled_scene(
                content_reference,
                (style, extra),
                prompt.clone().unwrap_or_default(),
            ),
        };
        let format = format(args)?;
        Ok(Self {
            says_nothing: kind == Kind::Generate && styles.is_empty() && !has_prompt,
            request: with_options(request, prompt, format, args),
            inputs,
            content_name: name(content),
            style_name: styles.first().map(|style| name(style)),
            extension: match format {
                Some(OutputFormat::Jpeg) => "jpg",
                _ => "png",
            },
        })
    }
}

fn content(args: &PictureArgs) -> Result<&OsStr, Failure> {
    match (&args.first, &args.picture.content) {
        (Some(_), Some(_)) => Err(Failure::usage(
            "the content picture is given twice, as an argument and with --content",
        )),
        (Some(content), None) | (None, Some(content)) => Ok(content),
        (None, None) => Err(Failure::usage("the content picture is missing")
            .with_hint("give it as the first argument: a path, a URL, or - for standard input")),
    }
}

/// More pictures than the endpoint takes are most likely a text or a shell pattern.
fn refuse_surplus(kind: Kind, args: &PictureArgs) -> Result<(), Failure> {
    if kind == Kind::Generate
        && let Some(extra) = args.rest.first()
    {
        let shown = extra.to_string_lossy();
        let failure = Failure::usage(format!(
            "generate takes one argument, the content picture, and {shown:?} is a second one"
        ));
        return Err(failure.with_hint(match is_picture(extra) {
            true => "give a style picture with --style, or use uso restyle CONTENT STYLE",
            false => {
                "give the description in quotes with --prompt, or a style picture with --style"
            }
        }));
    }
    let not_a_picture = args.rest.iter().find(|argument| !is_picture(argument));
    let count = args.styles().count();
    if let Some(text) =
        not_a_picture.filter(|text| count > 1 || text.as_encoded_bytes().contains(&b' '))
    {
        return Err(Failure::usage(format!(
            "{:?} is taken for a style picture, and is neither a file nor a URL",
            text.to_string_lossy()
        ))
        .with_hint("nothing was sent; a description goes to --prompt, in quotes"));
    }
    if count > 2 {
        return Err(Failure::usage(format!(
            "{} pictures are given: the endpoint takes one content picture and one or two styles",
            count + 1
        ))
        .with_hint(
            "nothing was sent; to restyle many pictures, run uso batch run FOLDER --style STYLE",
        ));
    }
    Ok(())
}

/// Standard input can be read once.
fn one_standard_input(
    content: &OsStr,
    styles: &[&OsStr],
    args: &PictureArgs,
) -> Result<(), Failure> {
    let pictures = std::iter::once(&content).chain(styles);
    let pictures = pictures.filter(|argument| **argument == "-").count();
    let prompts = usize::from(args.picture.prompt.as_deref() == Some("@-"));
    match pictures + prompts {
        0 | 1 => Ok(()),
        more => Err(Failure::usage(format!(
            "standard input is named {more} times, and can be read once"
        ))
        .with_hint("nothing was sent; give the others as files or URLs")),
    }
}

/// The picture that an argument names; a local file is noted as an input.
fn reference(
    argument: &str,
    given: &OsStr,
    files: &mut Files,
    inputs: &mut Vec<PathBuf>,
) -> Result<Reference, Failure> {
    let Some(path) = local_path(argument, given)? else {
        return Ok(match given == "-" {
            true => Reference::reader(tokio::io::stdin()),
            false => Reference::from(given.to_string_lossy().as_ref()),
        });
    };
    inputs.push(path.clone());
    let file = files
        .entry(path)
        .or_insert_with_key(|path| Reference::path(path));
    Ok(file.clone())
}

fn with_options(
    mut request: Request,
    prompt: Option<String>,
    format: Option<OutputFormat>,
    args: &PictureArgs,
) -> Request {
    let picture = &args.picture;
    if let Some(prompt) = prompt {
        request = request.prompt(prompt);
    }
    if let Some(size) = &picture.size {
        request = request.size(size.clone());
    }
    if picture.keep_size {
        request = request.keep_size(true);
    }
    if picture.no_fit {
        request = request.without_fit();
    }
    request
        .negative_prompt(picture.negative_prompt.as_deref())
        .steps(picture.steps)
        .guidance(picture.guidance)
        .seed(picture.seed)
        .images(picture.images)
        .safety_checker(picture.no_safety_checker.then_some(false))
        .webhook(args.waiting.webhook.as_deref())
        .start_within(args.waiting.start_within)
        .format(format)
}

/// The format that was asked for, by name or by the name of the output file.
fn format(args: &PictureArgs) -> Result<Option<OutputFormat>, Failure> {
    let named = args.output.output.as_deref().filter(|path| !path.is_dir());
    let template = args.output.name.as_deref().map(Path::new);
    let extension = template.or(named).and_then(Path::extension);
    let extension = extension.map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let named = match extension.as_deref() {
        Some("png") => Some(OutputFormat::Png),
        Some("jpg" | "jpeg") => Some(OutputFormat::Jpeg),
        Some(other @ ("webp" | "gif" | "avif" | "tif" | "tiff" | "bmp" | "heic")) => {
            return Err(Failure::usage(format!(
                "the endpoint makes png and jpeg, and the output file is named .{other}"
            ))
            .with_hint("nothing was sent; name it .png or .jpg"));
        }
        _ => None,
    };
    match (args.picture.format, named) {
        (Some(format), Some(named)) if format != named => Err(Failure::usage(
            "--format and the name of the output file contradict each other; nothing was sent",
        )),
        (format, named) => Ok(format.or(named)),
    }
}
