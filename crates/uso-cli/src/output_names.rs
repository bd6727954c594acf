//! Names of output files: templates, numbers, and free names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use uso::pictures::escaped;

use crate::failure::Failure;

/// Longest value that is filled into a name, in characters.
const LONGEST_VALUE: usize = 80;

/// Longest name of a picture, in bytes. File systems take 255: the rest is for the number of a
/// picture, the number behind a name that is taken, and a sidecar's `.json`.
const LONGEST_NAME: usize = 240;

/// Fields that only the purchase tells, at their longest: fal's request ids have 36 bytes.
const LONGEST_ID: &str = "00000000-0000-0000-0000-000000000000";
const LONGEST_EXTENSION: &str = "webp";

/// What fills the fields of a template; what is not known yet is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) content: Option<String>,
    pub(crate) style: Option<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) id: Option<String>,
    pub(crate) extension: Option<&'static str>,
}

impl Names {
    /// These names, with the longest value for each that is not known yet.
    pub(crate) fn longest(&self) -> Self {
        Self {
            seed: self.seed.or(Some(u64::MAX)),
            id: self.id.clone().or_else(|| Some(LONGEST_ID.to_owned())),
            extension: Some(LONGEST_EXTENSION),
            ..self.clone()
        }
    }
}

/// A file name with fields such as `{content}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Content,
    Style,
    Number,
    Seed,
    Id,
    Extension,
}

const FIELDS: [(&str, Field); 7] = [
    ("content", Field::Content),
    ("style", Field::Style),
    ("number", Field::Number),
    ("n", Field::Number),
    ("seed", Field::Seed),
    ("id", Field::Id),
    ("ext", Field::Extension),
];

impl Template {
    /// Reads a template; `{{` and `}}` stand for braces.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            Failure::usage(format!("--name: {text:?} {why}; nothing was sent")).with_hint(
                "a name has fields such as {content}-{style}-{number}.{ext}; {seed} and {id} are the others",
            )
        };
        if text.contains(['/', '\\', '\0']) {
            return Err(refuse("names more than a file: a folder goes to -o"));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '{' | '}' if rest.peek() == Some(&character) => {
                    rest.next();
                    literal.push(character);
                }
                '}' => return Err(refuse("has a } without its {")),
                '{' => {
                    let name: String = rest.by_ref().take_while(|next| *next != '}').collect();
                    if !text.contains(&format!("{{{name}}}")) {
                        return Err(refuse("has a { without its }"));
                    }
                    let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
                        return Err(refuse(&format!("has the unknown field {{{name}}}")));
                    };
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                    parts.push(Part::Field(*field));
                }
                character => literal.push(character),
            }
        }
        parts.push(Part::Text(literal));
        parts.retain(|part| *part != Part::Text(String::new()));
        let template = Self(parts);
        let sample = template.fill(&Names::default(), 1);
        match sample.trim_matches(['.', ' ']).is_empty() {
            true => Err(refuse("is not a file name")),
            false => Ok(template),
        }
    }

    /// Names made of the names of what goes in, such as `photo-ink.png`, and of the request id where
    /// those are not known.
    pub(crate) fn usual(names: &Names) -> Self {
        let text = |text: &str| Part::Text(text.to_owned());
        let (content, style) = (Part::Field(Field::Content), Part::Field(Field::Style));
        let [first, second] = match (&names.content, &names.style) {
            (None, _) => [text("uso"), Part::Field(Field::Id)],
            (Some(_), None) => [content, text("uso")],
            (Some(_), Some(_)) => [content, style],
        };
        let extension = Part::Field(Field::Extension);
        Self(vec![first, text("-"), second, text("."), extension])
    }

    /// The names with those of content and style shortened, so that a file system takes every name
    /// that this template can make of them.
    pub(crate) fn fitted(&self, names: &Names) -> Result<Names, Failure> {
        let mut fitted = names.clone();
        loop {
            let bytes = self.fill(&fitted.longest(), 1).len();
            if bytes <= LONGEST_NAME {
                return Ok(fitted);
            }
            let values = [&mut fitted.content, &mut fitted.style];
            let longer = values.into_iter().flatten().max_by_key(|value| value.len());
            if longer.and_then(String::pop).is_none() {
                return Err(Failure::usage(format!(
                    "--name: the file name can have {bytes} bytes, and {LONGEST_NAME} at most; nothing was sent"
                ))
                .with_hint("shorten --name, or name the file with -o FILE"));
            }
        }
    }

    /// Whether the name needs what only the purchase or its response tells.
    pub(crate) fn is_open(&self, names: &Names) -> bool {
        self.has(Field::Id) && names.id.is_none() || self.has(Field::Seed) && names.seed.is_none()
    }

    /// Whether each of several pictures gets a name of its own.
    pub(crate) fn is_numbered(&self) -> bool {
        self.has(Field::Number)
    }

    fn has(&self, field: Field) -> bool {
        self.0.contains(&Part::Field(field))
    }

    /// The name of one file. Values only add letters: they cannot name a folder, and braces in
    /// them are not read again.
    pub(crate) fn fill(&self, names: &Names, number: usize) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => {
                value(*field, names, number).unwrap_or_else(|| "unknown".to_owned())
            }
        };
        self.0.iter().map(part).collect()
    }

    /// The template's text with what is known filled in, to be read again later.
    pub(crate) fn narrowed(&self, names: &Names) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => escaped(text),
            Part::Field(field) => match value(*field, names, 0) {
                Some(value) if *field != Field::Number => escaped(&value),
                _ => {
                    let name = FIELDS.iter().find(|(_, known)| known == field);
                    name.map_or_else(String::new, |(name, _)| format!("{{{name}}}"))
                }
            },
        };
        self.0.iter().map(part).collect()
    }
}

fn value(field: Field, names: &Names, number: usize) -> Option<String> {
    let plain = |text: &String| {
        let safe = text.chars().map(|character| match character {
            '/' | '\\' | '\0' | ':' => '_',
            character if character.is_control() => '_',
            character => character,
        });
        safe.take(LONGEST_VALUE).collect()
    };
    match field {
        Field::Content => names.content.as_ref().map(plain),
        Field::Style => names.style.as_ref().map(plain),
        Field::Number => Some(number.to_string()),
        Field::Seed => names.seed.map(|seed| seed.to_string()),
        Field::Id => names.id.as_deref().map(plain_id),
        Field::Extension => names.extension.map(str::to_owned),
    }
}

/// A request id as part of a file name.
pub(crate) fn plain_id(request_id: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
        _ => '_',
    };
    request_id.chars().take(LONGEST_VALUE).map(plain).collect()
}

pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// `out.png` becomes `out-2.png` for the second of several.
pub(crate) fn numbered(file: &Path, number: Option<usize>) -> PathBuf {
    let Some(number) = number else {
        return file.to_owned();
    };
    let mut name = OsString::from(file.file_stem().unwrap_or_default());
    name.push(format!("-{number}"));
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

/// The path, or the first numbered one beside it that is free.
pub(crate) fn free(path: &Path) -> PathBuf {
    let mut candidates =
        std::iter::once(path.to_owned()).chain((2..).map(|number| numbered(path, Some(number))));
    candidates
        .find(|candidate| candidate.symlink_metadata().is_err())
        .unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            content: Some("pho{n}to".to_owned()),
            style: Some("../ink".to_owned()),
            seed: None,
            id: None,
            extension: Some("jpg"),
        }
    }

    #[test]
    fn values_are_filled_in_once_and_name_no_folder() {
        let template = Template::parse("{{{content}}}-{style}-{n}.{ext}").unwrap();
        assert_eq!(template.fill(&names(), 2), "{pho{n}to}-.._ink-2.jpg");
        assert_eq!(
            Template::usual(&names()).fill(&names(), 1),
            "pho{n}to-.._ink.jpg"
        );
        assert!(!template.is_open(&names()));
    }

    #[test]
    fn what_is_not_known_yet_is_filled_in_later() {
        let template = Template::parse("{content}-{id}-{n}.{ext}").unwrap();
        assert!(template.is_open(&names()));
        let narrowed = template.narrowed(&names());
        assert_eq!(narrowed, "pho{{n}}to-{id}-{number}.jpg");
        let later = Names {
            id: Some("a/b:c".to_owned()),
            ..Names::default()
        };
        let name = Template::parse(&narrowed).unwrap().fill(&later, 3);
        assert_eq!(name, "pho{n}to-a_b_c-3.jpg");
    }

    #[test]
    fn a_template_that_is_no_file_name_is_refused() {
        for (text, why) in [
            ("a/{n}.png", "a folder goes to -o"),
            ("..\\{n}", "a folder goes to -o"),
            ("a{n", "without its }"),
            ("{prompt}.png", "{prompt}"),
            ("a}.png", "without its {"),
            ("", "not a file name"),
            ("..", "not a file name"),
        ] {
            let refused = Template::parse(text).err();
            let message = refused.map(|failure| failure.chain()).unwrap_or_default();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn the_second_of_several_is_numbered() {
        let second = |path: &str| numbered(Path::new(path), Some(2));
        assert_eq!(
            numbered(Path::new("a/out.png"), None),
            Path::new("a/out.png")
        );
        assert_eq!(second("a/out.png"), Path::new("a/out-2.png"));
        assert_eq!(second("out"), Path::new("out-2"));
    }
}
