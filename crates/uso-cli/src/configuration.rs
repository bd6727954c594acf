//! The configuration file: defaults of options, in TOML.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::credentials;
use crate::environment::set;
use crate::failure::Failure;

/// Longest file that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// An option that the file may set.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The long option without its dashes, and the key in the file.
    pub(crate) key: &'static str,
    /// The variable that wins over the file.
    pub(crate) variable: Option<&'static str>,
    /// What holds when nothing sets it, for a person.
    pub(crate) default: &'static str,
}

const fn setting(
    key: &'static str,
    variable: Option<&'static str>,
    default: &'static str,
) -> Setting {
    Setting {
        key,
        variable,
        default,
    }
}

pub(crate) const SETTINGS: [Setting; 13] = [
    setting("base-url", Some("USO_BASE_URL"), "fal's own hosts"),
    setting("max-cost", Some("USO_MAX_COST"), "no limit"),
    setting("ask-above", Some("USO_ASK_ABOVE"), "never asks"),
    setting("size", None, "square_hd"),
    setting("steps", None, "28"),
    setting("guidance", None, "4.0"),
    setting("images", None, "1"),
    setting("format", None, "png"),
    setting("negative-prompt", None, "none"),
    setting("name", None, "{content}-{style}.{ext}"),
    setting("preview", None, "never"),
    setting("timeout", None, "1h"),
    setting("start-within", None, "10m"),
];

/// The values of the file.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    pub(crate) path: Option<PathBuf>,
    values: Vec<(&'static str, String)>,
}

impl Configuration {
    /// Reads the file; one that does not exist sets nothing.
    pub(crate) fn read() -> Result<Self, Failure> {
        let named = set("USO_CONFIG");
        let path = match &named {
            Some(path) => PathBuf::from(path),
            None => match credentials::folder() {
                Ok(folder) => folder.join("config.toml"),
                Err(_) => return Ok(Self::default()),
            },
        };
        match text(&path) {
            Ok(text) => Ok(Self {
                values: values(&path, &text)?,
                path: Some(path),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
                Ok(Self::default())
            }
            Err(error) => Err(Failure::usage(format!(
                "{} cannot be read: {error}",
                path.display()
            ))
            .with_hint("correct USO_CONFIG, or the permissions of the file")),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let mut values = self.values.iter();
        values
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value.as_str())
    }

    /// Makes the values defaults of the options of every command below this one. `USO_BASE_URL` is
    /// read elsewhere and wins.
    pub(crate) fn apply(&self, mut command: clap::Command) -> clap::Command {
        let has_base_url = set("USO_BASE_URL").is_some();
        for subcommand in command.get_subcommands_mut() {
            let owned = self.apply(std::mem::take(subcommand));
            // A batch records the template of its names, which the file must not replace.
            let is_batch = owned.get_name() == "run";
            *subcommand = owned.mut_args(|argument| {
                let key = argument.get_long().unwrap_or_default();
                let value = self
                    .get(key)
                    .filter(|_| argument.get_action().takes_values());
                match value {
                    Some(_) if key == "base-url" && has_base_url => argument,
                    Some(_) if key == "name" && is_batch => argument,
                    Some(value) => argument.default_value(value.to_owned()),
                    None => argument,
                }
            });
        }
        command
    }

    /// Whether a wrong value of this option is the file's.
    pub(crate) fn is_source_of(&self, error: &clap::Error) -> Option<&Path> {
        use clap::error::{ContextKind, ContextValue};
        let (Some(ContextValue::String(argument)), Some(ContextValue::String(wrong))) = (
            error.get(ContextKind::InvalidArg),
            error.get(ContextKind::InvalidValue),
        ) else {
            return None;
        };
        let long = argument.split([' ', '=', '[']).next()?;
        let value = self.get(long.trim_start_matches('-'))?;
        self.path.as_deref().filter(|_| value == wrong)
    }
}

fn text(path: &Path) -> io::Result<String> {
    let there = fs::metadata(path)?;
    if !there.is_file() || there.len() > LONGEST {
        return Err(io::Error::other("it is not a file of at most 64 KiB"));
    }
    fs::read_to_string(path)
}

fn values(path: &Path, text: &str) -> Result<Vec<(&'static str, String)>, Failure> {
    let shown = path.display();
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| {
            text.get(..span.start)
                .map_or(1, |before| before.lines().count().max(1))
        });
        Failure::usage(format!("{shown}, line {line}: {}", error.message()))
            .with_hint("the file has lines such as max-cost = \"0.50\"")
    })?;
    let mut values = Vec::new();
    for (name, value) in table {
        let key = name.replace('_', "-");
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
            return Err(Failure::usage(format!("{shown}: {name} is not a setting"))
                .with_hint(format!("the settings are {}", known.join(", "))));
        };
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            _ => {
                return Err(
                    Failure::usage(format!("{shown}: {name} must be a text or a number"))
                        .with_hint("write it as the option takes it, such as size = \"square\""),
                );
            }
        };
        values.push((setting.key, value));
    }
    Ok(values)
}
