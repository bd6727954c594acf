//! The command line.

mod proxy;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uso::types::ImageSizeChoice;
use uso::{ImageSize, ImageSizePreset, MicroDollars, OutputFormat, Reference, Request};

pub(crate) use self::proxy::ProxyArgs;
pub(crate) use self::webhook::{ListenArgs, VerifyArgs, WebhookArgs, WebhookCommand};
use crate::exit::Failure;

/// Pictures from fal's endpoint fal-ai/uso: a content picture in the look of a style picture.
#[derive(Debug, Parser)]
#[command(
    name = "uso",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 ok, 1 other, 2 usage, 3 input refused, 4 auth, 5 account locked, 6 outcome unknown, \
7 deadline, 8 job failed, 9 budget, 10 result flagged by the safety checker."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Starts an emulator in this process and uses it: free, offline, and no key is needed.
    #[arg(long, global = true, conflicts_with = "base_url")]
    pub(crate) emulator: bool,
    /// An emulator or gateway that serves all of fal's hosts under this one origin.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Prints JSON to stdout, errors included.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Prints no progress.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Prints what is sent and why; twice for more. Never a key, a prompt or a picture.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes pictures from a content picture, with styles, a prompt, or both.
    Generate(GenerateArgs),
    /// Gives a picture the look of another; layout and size stay.
    Restyle(RestyleArgs),
    /// Says what a generate would make and cost; nothing is sent.
    Estimate(GenerateArgs),
    /// Asks once where a job stands.
    Status(JobArgs),
    /// Follows a job until it has ended; with --json, one document a line.
    Watch(JobArgs),
    /// Fetches the pictures of a job that has ended.
    Result(ResultArgs),
    /// Asks the service to cancel a job.
    Cancel(JobArgs),
    /// Finishes everything that was bought and not saved: after a crash, a Ctrl-C or --detach.
    Resume(ResumeArgs),
    /// Uploads a file and prints its URL.
    Upload(UploadArgs),
    /// Receives the deliveries that --webhook asks for, or checks a captured one.
    Webhook(WebhookArgs),
    /// Serves web pages in fal's place, so that the key stays on this machine.
    Proxy(ProxyArgs),
    /// Runs an emulator of the service on this machine.
    Emulator(EmulatorArgs),
    /// Prints the completion script for a shell.
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The content picture: a path, a URL, a data URI, or - for standard input.
    #[arg(long, value_name = "REF")]
    content: String,
    /// A style picture; give it twice to mix two.
    #[arg(long, value_name = "REF")]
    style: Vec<String>,
    #[command(flatten)]
    pub(crate) knobs: Knobs,
}

#[derive(Debug, Args)]
pub(crate) struct RestyleArgs {
    /// The content picture: a path, a URL, a data URI, or - for standard input.
    content: String,
    /// The style picture, and one more to mix in.
    #[arg(num_args = 1..=2, required = true)]
    style: Vec<String>,
    #[command(flatten)]
    pub(crate) knobs: Knobs,
}

#[derive(Debug, Args)]
pub(crate) struct Knobs {
    /// What the picture should show.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// What the picture should not show.
    #[arg(long, value_name = "TEXT")]
    negative_prompt: Option<String>,
    /// A preset (square_hd, square, portrait_4_3, portrait_16_9, landscape_4_3, landscape_16_9)
    /// or WIDTHxHEIGHT in pixels.
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "keep_size")]
    size: Option<ImageSizeChoice>,
    /// Keeps layout and size of the content picture.
    #[arg(long)]
    keep_size: bool,
    /// Denoising steps.
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// How closely to follow the prompt.
    #[arg(long, value_name = "F")]
    guidance: Option<f64>,
    /// The seed; the same one gives the same picture.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many pictures; each is billed.
    #[arg(long, value_name = "N")]
    images: Option<u32>,
    /// The file format; told by the name of the output file when it is not given.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Switches the service's safety checker off.
    #[arg(long)]
    no_safety_checker: bool,
    /// Where the pictures go: a file, which is replaced, or a directory. Without it, a free name
    /// in this directory is taken.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Sends local pictures as they are. Otherwise they are turned upright, shrunk to 2048 pixels a
    /// side, freed of metadata such as the place of a photo, and brought to sRGB.
    #[arg(long)]
    no_fit: bool,
    /// Submits, prints the request id, and does not wait.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Prints what would be sent, and sends nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuses to buy what is estimated to cost more.
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub(crate) max_cost: Option<MicroDollars>,
    /// Where the end of the job is announced: https, or http to this machine. A last segment that
    /// nobody can guess is added. uso webhook listen receives it.
    #[arg(long, value_name = "URL")]
    pub(crate) webhook: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Png,
    Jpeg,
}

#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// The id that a submit printed.
    pub(crate) request_id: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// The id that a submit printed.
    pub(crate) request_id: String,
    /// Where the pictures go: a file, which is replaced, or a directory. Without it, a free name
    /// in this directory is taken.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The ids that submits printed; without one, everything unfinished.
    pub(crate) request_id: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// The file, or - for standard input.
    pub(crate) file: PathBuf,
    /// Deletes it after this time: 90s, 1h, 1d, 7d, 30d, 1y and the like, or never. Without it, the
    /// account's setting holds.
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    pub(crate) expires: Option<Expiry>,
}

/// When an upload expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    After(Duration),
}

#[derive(Debug, Args)]
pub(crate) struct EmulatorArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7700")]
    pub(crate) listen: SocketAddr,
    /// A file of faults to play.
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
    /// How many times faster than life the emulated jobs run.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub(crate) speed: f64,
    /// Answers pages of every origin and every Host name, not only those of this machine.
    #[arg(long)]
    pub(crate) allow_any_origin: bool,
    /// Serves HTTPS with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: Shell,
}

impl GenerateArgs {
    /// A content picture alone says nothing about what to make of it, and is billed all the same.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let prompt = self.knobs.prompt.as_deref().unwrap_or_default().trim();
        if self.style.is_empty() && prompt.is_empty() {
            return Err(Failure::usage("there is neither a style nor a prompt")
                .with_hint("nothing was sent; say what to make with --prompt, or give a picture with --style"));
        }
        Ok(())
    }

    pub(crate) fn request(&self) -> Result<Request, Failure> {
        one_standard_input(&self.content, &self.style)?;
        let content = reference("--content", &self.content)?;
        let prompt = self.knobs.prompt.clone().unwrap_or_default();
        let request = match self.style.as_slice() {
            [] => Request::subject(content, prompt),
            [style] => Request::styled_scene(content, reference("--style", style)?, prompt),
            [style, extra] => {
                let styles = [reference("--style", style)?, reference("--style", extra)?];
                Request::styled_scene(content, styles, prompt)
            }
            more => {
                let message = format!(
                    "--style is given {} times, and the model takes two styles at the most",
                    more.len()
                );
                return Err(Failure::usage(message));
            }
        };
        self.knobs.apply(request)
    }
}

impl RestyleArgs {
    pub(crate) fn request(&self) -> Result<Request, Failure> {
        one_standard_input(&self.content, &self.style)?;
        let content = reference("CONTENT", &self.content)?;
        let mut styles = self.style.iter().map(|style| reference("STYLE", style));
        let (Some(style), extra) = (styles.next(), styles.next()) else {
            return Err(Failure::usage("STYLE is missing"));
        };
        let styles = (style?, extra.transpose()?);
        self.knobs.apply(Request::restyle(content, styles))
    }
}

impl Knobs {
    fn apply(&self, mut request: Request) -> Result<Request, Failure> {
        if let Some(prompt) = &self.prompt {
            request = request.prompt(prompt);
        }
        if let Some(size) = &self.size {
            request = request.size(size.clone());
        }
        if self.keep_size {
            request = request.keep_size(true);
        }
        if self.no_fit {
            request = request.without_fit();
        }
        let format = self.format()?.map(|format| match format {
            Format::Png => OutputFormat::Png,
            Format::Jpeg => OutputFormat::Jpeg,
        });
        Ok(request
            .negative_prompt(self.negative_prompt.as_deref())
            .steps(self.steps)
            .guidance(self.guidance)
            .seed(self.seed)
            .images(self.images)
            .webhook(self.webhook.as_deref())
            .safety_checker(self.no_safety_checker.then_some(false))
            .format(format))
    }

    /// The extension of pictures whose type the service does not tell.
    pub(crate) fn extension(&self) -> Result<Option<&'static str>, Failure> {
        Ok(self.format()?.map(|format| match format {
            Format::Png => "png",
            Format::Jpeg => "jpg",
        }))
    }

    /// The format that was asked for, by name or by the name of the output file.
    fn format(&self) -> Result<Option<Format>, Failure> {
        let extension = self
            .output
            .as_deref()
            .filter(|path| !path.is_dir())
            .and_then(|path| path.extension());
        let extension = extension.map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let named = match extension.as_deref() {
            Some("png") => Some(Format::Png),
            Some("jpg" | "jpeg") => Some(Format::Jpeg),
            Some(other @ ("webp" | "gif" | "avif" | "tif" | "tiff" | "bmp" | "heic")) => {
                let message = format!(
                    "the endpoint makes png and jpeg, and the output file is named .{other}"
                );
                return Err(Failure::usage(message));
            }
            _ => None,
        };
        match (self.format, named) {
            (Some(format), Some(named)) if format != named => Err(Failure::usage(
                "--format and the name of the output file contradict each other",
            )),
            (format, named) => Ok(format.or(named)),
        }
    }
}

/// An empty reference is refused here already, where the argument has a name.
fn reference(argument: &str, text: &str) -> Result<Reference, Failure> {
    if text.is_empty() {
        return Err(Failure::usage(format!(
            "{argument} is empty; give a path, a URL or a data URI"
        )));
    }
    Ok(match text {
        "-" => Reference::reader(tokio::io::stdin()),
        text => Reference::from(text),
    })
}

/// Standard input can be read once.
fn one_standard_input(content: &str, styles: &[String]) -> Result<(), Failure> {
    let references = std::iter::once(content).chain(styles.iter().map(String::as_str));
    match references.filter(|text| *text == "-").count() {
        0 | 1 => Ok(()),
        more => Err(Failure::usage(format!(
            "{more} pictures are to come from standard input, and there is only one"
        ))
        .with_hint("nothing was sent; give the others as files or URLs")),
    }
}

/// The words of fal's own clients, or any number of days, hours and the like.
fn expiry(text: &str) -> Result<Expiry, String> {
    const YEAR: Duration = Duration::from_secs(31_536_000);
    let after = match text {
        "never" => return Ok(Expiry::Never),
        "immediate" => Duration::from_secs(60),
        "1y" => YEAR,
        text => humantime::parse_duration(text).map_err(|_| {
            "a time is a number with s, m, h or d behind it, such as 1h, 7d or 1y, or never"
                .to_owned()
        })?,
    };
    if after.as_secs() == 0 {
        return Err("a file is kept for at least a second".to_owned());
    }
    Ok(Expiry::After(after))
}

fn size(text: &str) -> Result<ImageSizeChoice, String> {
    if let Ok(preset) = text.parse::<ImageSizePreset>() {
        return Ok(preset.into());
    }
    let form = || {
        let presets: Vec<&str> = ImageSizePreset::ALL
            .iter()
            .map(|preset| preset.as_str())
            .collect();
        format!(
            "a size is WIDTHxHEIGHT in pixels, or one of {}",
            presets.join(", ")
        )
    };
    let (width, height) = text.split_once(['x', 'X']).ok_or_else(form)?;
    let side = |side: &str| side.parse::<u32>().map_err(|_| form());
    Ok(ImageSize {
        width: Some(side(width)?),
        height: Some(side(height)?),
    }
    .into())
}

fn dollars(text: &str) -> Result<MicroDollars, String> {
    text.parse::<MicroDollars>()
        .map_err(|error| error.to_string())
}
