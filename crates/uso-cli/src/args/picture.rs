//! The arguments of `generate`, `restyle` and `estimate`: the same words for all three.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use uso::types::ImageSizeChoice;
use uso::{MicroDollars, OutputFormat, UsoInput};

use super::values;

/// The pictures that go in, and every option.
#[derive(Debug, Args)]
pub(crate) struct PictureArgs {
    /// Content picture: a path, a URL, a data URI, or - for standard input.
    #[arg(value_name = "CONTENT", value_hint = ValueHint::FilePath)]
    pub(crate) first: Option<OsString>,
    /// Style pictures, one or two; two are mixed. With uso generate they are given with --style.
    #[arg(value_name = "STYLE", value_hint = ValueHint::FilePath)]
    pub(crate) rest: Vec<OsString>,
    #[command(flatten)]
    pub(crate) picture: PictureOptions,
    #[command(flatten)]
    pub(crate) money: MoneyOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) waiting: WaitingOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Picture")]
pub(crate) struct PictureOptions {
    /// Content picture, in place of the argument CONTENT.
    #[arg(long, value_name = "REF", value_hint = ValueHint::FilePath)]
    pub(crate) content: Option<OsString>,
    /// Style picture; given twice, two are mixed.
    #[arg(long, value_name = "REF", value_hint = ValueHint::FilePath)]
    pub(crate) style: Vec<OsString>,
    /// What the picture shows; @FILE reads the text from a file, @- from standard input, and @@
    /// stands for a leading @.
    #[arg(short, long, value_name = "TEXT|@FILE", value_hint = ValueHint::FilePath)]
    pub(crate) prompt: Option<String>,
    /// What the picture does not show.
    #[arg(long, value_name = "TEXT")]
    pub(crate) negative_prompt: Option<String>,
    #[arg(short, long, value_name = "SIZE", value_parser = values::size, help = size_help(),
        add = ArgValueCandidates::new(preset_candidates), conflicts_with = "keep_size")]
    pub(crate) size: Option<ImageSizeChoice>,
    /// Keeps the layout and the size of the content picture; uso restyle does so unless a size is
    /// given.
    #[arg(long)]
    pub(crate) keep_size: bool,
    #[arg(long, value_name = "N", help = format!(
        "Denoising steps, {} to {} [default: {}]", UsoInput::NUM_INFERENCE_STEPS_MIN,
        UsoInput::NUM_INFERENCE_STEPS_MAX, UsoInput::NUM_INFERENCE_STEPS_DEFAULT))]
    pub(crate) steps: Option<u32>,
    #[arg(long, value_name = "F", help = format!(
        "How closely the prompt is followed, {:.1} to {:.1} [default: {:.1}]",
        UsoInput::GUIDANCE_SCALE_MIN, UsoInput::GUIDANCE_SCALE_MAX,
        UsoInput::GUIDANCE_SCALE_DEFAULT))]
    pub(crate) guidance: Option<f64>,
    /// Seed: the same one gives the same picture [default: a random one, which is printed].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[arg(short = 'n', long, visible_alias = "count", value_name = "N", help = format!(
        "Number of pictures, {} to {}; each is billed [default: {}]", UsoInput::NUM_IMAGES_MIN,
        UsoInput::NUM_IMAGES_MAX, UsoInput::NUM_IMAGES_DEFAULT))]
    pub(crate) images: Option<u32>,
    #[arg(long, value_parser = values::format(), value_name = "FORMAT", help = format!(
        "File format [default: the one that the name in -o has, otherwise {}]",
        UsoInput::OUTPUT_FORMAT_DEFAULT.as_str()))]
    pub(crate) format: Option<OutputFormat>,
    #[arg(long, help = format!(
        "Switches the service's safety checker off, which is {} by default",
        if UsoInput::ENABLE_SAFETY_CHECKER_DEFAULT { "on" } else { "off" }))]
    pub(crate) no_safety_checker: bool,
    /// Sends local pictures as they are. By default they are turned upright, shrunk to 2048 pixels
    /// a side, freed of metadata such as the place of a photo, and converted to sRGB.
    #[arg(long)]
    pub(crate) no_fit: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Money")]
pub(crate) struct MoneyOptions {
    /// Checks everything, prints what would be sent and its price, and sends nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuses to buy when the price can be higher: the upper bound of the estimate counts.
    #[arg(long, value_name = "USD", env = "USO_MAX_COST", hide_env_values = true,
        value_parser = values::dollars)]
    pub(crate) max_cost: Option<MicroDollars>,
    /// Asks before buying when the price can be higher: the upper bound of the estimate counts.
    /// Without a terminal the purchase is refused.
    #[arg(long, value_name = "USD", env = "USO_ASK_ABOVE", hide_env_values = true,
        value_parser = values::dollars)]
    pub(crate) ask_above: Option<MicroDollars>,
    /// Answers the question of --ask-above with yes.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Where the pictures go: a file, a folder, or - for standard output. Several pictures get
    /// numbers [default: a free name in this folder].
    #[arg(short, long, value_name = "FILE|DIR|-", value_hint = ValueHint::AnyPath)]
    pub(crate) output: Option<PathBuf>,
    /// Replaces an existing file; without it an existing file is refused before anything is bought.
    #[arg(long)]
    pub(crate) force: bool,
    /// File name in a folder, with {content}, {style}, {number}, {seed}, {id} and {ext} filled in
    /// [default: {content}-{style}.{ext}].
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) show: ShowOptions,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ShowOptions {
    /// Opens each saved picture in the system's viewer.
    #[arg(long)]
    pub(crate) open: bool,
    /// Shows each saved picture in the terminal; never where stderr is not a terminal.
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true,
        default_missing_value = "auto", default_value = "never")]
    pub(crate) preview: Preview,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct WaitingOptions {
    /// Submits, prints the request id, and does not wait.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Stops waiting after this time; the job is not affected, and can be collected later [default:
    /// 1h].
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// The service drops the job if it has not started by then [default: 10m].
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(crate) start_within: Option<Duration>,
    /// Where fal announces the end of the job: an https URL, or http to this machine. A last
    /// segment that cannot be guessed is appended. uso webhook listen receives the notification.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) webhook: Option<String>,
}

/// How a picture is shown in the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preview {
    Auto,
    Kitty,
    Iterm2,
    Blocks,
    Never,
}

fn size_help() -> String {
    format!(
        "A preset ({}) or WIDTHxHEIGHT, {} to {} pixels a side [default: {}]",
        values::presets().join(", "),
        uso::ImageSize::WIDTH_MIN,
        uso::ImageSize::WIDTH_MAX,
        match UsoInput::IMAGE_SIZE_DEFAULT {
            ImageSizeChoice::Preset(preset) => preset.as_str(),
            ImageSizeChoice::Custom(_) => "the endpoint's",
        }
    )
}

fn preset_candidates() -> Vec<CompletionCandidate> {
    let presets = values::presets().into_iter();
    presets.map(CompletionCandidate::new).collect()
}

impl PictureArgs {
    /// All style pictures, in order.
    pub(crate) fn styles(&self) -> impl Iterator<Item = &OsStr> {
        let all = self.rest.iter().chain(&self.picture.style);
        all.map(OsString::as_os_str)
    }
}
