//! Parsers of option values.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use uso::types::ImageSizeChoice;
use uso::{ImageSize, ImageSizePreset, MicroDollars, OutputFormat};

/// When an upload expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    After(Duration),
}

/// The words of fal's own clients, or any number of days, hours and the like.
pub(crate) fn expiry(text: &str) -> Result<Expiry, String> {
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

/// A host of a page, with or without its port, or the origin of a TLS server.
pub(crate) fn page_host(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").unwrap_or(text);
    let is_other = |letter: char| letter.is_whitespace() || "/@?#".contains(letter);
    match host.is_empty() || host.contains(is_other) {
        false => Ok(text.to_owned()),
        true => Err(
            "a host is a name or an address, such as studio.lan or https://studio.example"
                .to_owned(),
        ),
    }
}

/// A time such as `90s` or `10m`; a bare number counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u64>().ok().map(Duration::from_secs);
    let time = seconds.or_else(|| humantime::parse_duration(text).ok());
    match time {
        Some(time) if time.is_zero() => Err("it must be longer than nothing".to_owned()),
        Some(time) => Ok(time),
        None => Err("a time is a number with s, m or h behind it, such as 90s or 10m".to_owned()),
    }
}

pub(crate) fn size(text: &str) -> Result<ImageSizeChoice, String> {
    if let Ok(preset) = text.parse::<ImageSizePreset>() {
        return Ok(preset.into());
    }
    let form = || {
        format!(
            "a size is WIDTHxHEIGHT in pixels, or one of {}",
            presets().join(", ")
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

pub(crate) fn format() -> impl TypedValueParser<Value = OutputFormat> {
    PossibleValuesParser::new(["png", "jpeg"]).try_map(|text| text.parse::<OutputFormat>())
}

/// The names of the sizes that the endpoint knows.
pub(crate) fn presets() -> Vec<&'static str> {
    let presets = ImageSizePreset::ALL.iter();
    presets.map(|preset| preset.as_str()).collect()
}

pub(crate) fn dollars(text: &str) -> Result<MicroDollars, String> {
    text.parse::<MicroDollars>()
        .map_err(|error| error.to_string())
}

/// A cap in dollars, or `none`.
pub(crate) fn cap(text: &str) -> Result<Cap, String> {
    match text {
        "none" => Ok(Cap(None)),
        text => dollars(text).map(|cap| Cap(Some(cap))),
    }
}

/// A cap, or that there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cap(pub(crate) Option<MicroDollars>);
