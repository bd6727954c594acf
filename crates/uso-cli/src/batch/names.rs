//! Names of the files of a batch: a template, filled as far as a plan can fill it.

use uso::pictures::escaped;

/// The fields, with the shorter names that the single commands use.
const FIELDS: [(&str, Field); 12] = [
    ("id", Field::Id),
    ("content_stem", Field::Content),
    ("style_stem", Field::Style),
    ("seed", Field::Seed),
    ("index", Field::Index),
    ("number", Field::Number),
    ("request_id", Field::RequestId),
    ("ext", Field::Extension),
    ("date", Field::Date),
    ("content", Field::Content),
    ("style", Field::Style),
    ("n", Field::Number),
];

/// Longest value that is filled into a name, in characters.
const LONGEST_VALUE: usize = 80;

/// Bytes of a request id of fal, and of a seed of 64 bits.
const LONGEST_REQUEST_ID: usize = 36;
const LONGEST_SEED: usize = 20;

/// Longest name of a picture, in bytes: file systems take 255, and the name of its sidecar is longer
/// by `.json`.
pub(crate) const LONGEST_NAME: usize = 250;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Content,
    Style,
    Seed,
    Index,
    Number,
    RequestId,
    Extension,
    Date,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// Template of file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameTemplate(Vec<Part>);

/// What a plan knows of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownNames {
    pub(crate) id: String,
    pub(crate) content: String,
    pub(crate) style: Option<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) index: usize,
    pub(crate) date: String,
    pub(crate) extension: &'static str,
}

impl KnownNames {
    /// Values that are no file name by themselves.
    fn sample() -> Self {
        let text = || "x".to_owned();
        Self {
            id: text(),
            content: text(),
            style: Some(text()),
            date: text(),
            extension: "png",
            ..Self::default()
        }
    }
}

impl NameTemplate {
    /// The template of a batch that names none: the content's file name.
    pub(crate) fn usual() -> Self {
        let text = Part::Text(".".to_owned());
        Self(vec![
            Part::Field(Field::Content),
            text,
            Part::Field(Field::Extension),
        ])
    }

    /// The template of a row whose usual name another row has too. An id that was made of the
    /// content's name says it already.
    pub(crate) fn with_id(known: &KnownNames) -> Self {
        let id = Part::Field(Field::Id);
        let beginning = match known.id.starts_with(&known.content) {
            true => vec![id],
            false => vec![Part::Field(Field::Content), Part::Text("-".to_owned()), id],
        };
        let ending = Self::usual().0.into_iter().skip(1);
        Self(beginning.into_iter().chain(ending).collect())
    }

    /// Reads a template; `Err` continues the phrase "the template …".
    pub(crate) fn parse(template: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template.chars();
        while let Some(letter) = rest.next() {
            match letter {
                '/' | '\\' | '\0' => {
                    return Err("has a folder in it; the folder goes to --output".to_owned());
                }
                '{' | '}' if rest.as_str().starts_with(letter) => {
                    rest.next();
                    text.push(letter);
                }
                '{' => {
                    let (name, after) = rest
                        .as_str()
                        .split_once('}')
                        .ok_or("has a { without its }; a brace of the name itself is doubled")?;
                    let known = FIELDS.iter().find(|(known, _)| *known == name);
                    let (_, field) = known.ok_or_else(|| {
                        let names: Vec<String> = FIELDS
                            .iter()
                            .take(9)
                            .map(|(name, _)| format!("{{{name}}}"))
                            .collect();
                        format!("has {{{name}}} in it; the fields are {}", names.join(" "))
                    })?;
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(Part::Field(*field));
                    rest = after.chars();
                }
                '}' => {
                    return Err(
                        "has a } without its {; a brace of the name itself is doubled".to_owned(),
                    );
                }
                _ => text.push(letter),
            }
        }
        let has_extension = parts.last() == Some(&Part::Field(Field::Extension)) && text.is_empty()
            || [".png", ".jpg", ".jpeg"]
                .iter()
                .any(|end| text.ends_with(end));
        parts.push(Part::Text(text));
        if !has_extension {
            parts.push(Part::Text(".".to_owned()));
            parts.push(Part::Field(Field::Extension));
        }
        let template = Self(parts);
        let sample = template.file_name(&KnownNames::sample(), 1);
        match sample.trim_matches(['.', ' ']).is_empty() {
            true => Err("is not a file name".to_owned()),
            false => Ok(template),
        }
    }

    /// Whether the name needs what only the purchase tells, so that it differs from all others.
    pub(crate) fn is_open(&self, known: &KnownNames) -> bool {
        self.has(Field::RequestId) || (self.has(Field::Seed) && known.seed.is_none())
    }

    /// The template for the journal, with what is known filled in.
    pub(crate) fn narrowed(&self, known: &KnownNames) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => escaped(text),
            Part::Field(Field::Number) => "{n}".to_owned(),
            Part::Field(Field::RequestId) => "{id}".to_owned(),
            Part::Field(Field::Extension) => "{ext}".to_owned(),
            Part::Field(field) => match value(*field, known) {
                Some(value) => escaped(&value),
                None => "{seed}".to_owned(),
            },
        };
        self.0.iter().map(part).collect()
    }

    /// The planned names of so many pictures.
    pub(crate) fn planned(&self, known: &KnownNames, images: u32) -> Vec<String> {
        let name = |number: u32| {
            let name = self.file_name(known, number);
            match number > 1 && !self.has(Field::Number) {
                true => match name.rsplit_once('.') {
                    Some((stem, extension)) => format!("{stem}-{number}.{extension}"),
                    None => format!("{name}-{number}"),
                },
                false => name,
            }
        };
        (1..=images.max(1)).map(name).collect()
    }

    fn file_name(&self, known: &KnownNames, number: u32) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(Field::Number) => number.to_string(),
            Part::Field(field) => value(*field, known).unwrap_or_default(),
        };
        self.0.iter().map(part).collect()
    }

    /// How many bytes the longest of the planned names can have.
    pub(crate) fn longest(&self, known: &KnownNames, images: u32) -> usize {
        let planned = self.planned(known, images).into_iter();
        let told_later = [
            (Field::RequestId, LONGEST_REQUEST_ID, true),
            (Field::Seed, LONGEST_SEED, known.seed.is_none()),
        ];
        let later = told_later.iter().filter(|(_, _, is_open)| *is_open);
        let later = later.map(|(field, bytes, _)| {
            let places = self.0.iter().filter(|part| **part == Part::Field(*field));
            places.count() * bytes
        });
        planned.map(|name| name.len()).max().unwrap_or_default() + later.sum::<usize>()
    }

    fn has(&self, field: Field) -> bool {
        self.0.contains(&Part::Field(field))
    }
}

fn value(field: Field, known: &KnownNames) -> Option<String> {
    match field {
        Field::Id => Some(plain(&known.id)),
        Field::Content => Some(plain(&known.content)),
        Field::Style => Some(plain(known.style.as_deref().unwrap_or("none"))),
        Field::Seed => known.seed.map(|seed| seed.to_string()),
        Field::Index => Some(known.index.to_string()),
        Field::Date => Some(known.date.clone()),
        Field::Extension => Some(known.extension.to_owned()),
        Field::Number | Field::RequestId => None,
    }
}

/// A value as part of a file name: it names no folder and no hidden file.
fn plain(text: &str) -> String {
    let safe = text.chars().map(|character| match character {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        character if character.is_control() => '_',
        character => character,
    });
    let plain: String = safe.take(LONGEST_VALUE).collect();
    match plain.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> KnownNames {
        KnownNames {
            id: "a/b{n}".to_owned(),
            content: "photo".to_owned(),
            style: Some("ink".to_owned()),
            index: 7,
            date: "2026-11-26".to_owned(),
            extension: "png",
            ..KnownNames::default()
        }
    }

    #[test]
    fn what_a_plan_knows_is_filled_in_once_and_the_rest_is_left_to_the_journal() {
        let template = NameTemplate::parse("{id}-{style_stem}-{seed}-{index}").unwrap();
        assert_eq!(template.narrowed(&known()), "a_b{{n}}-ink-{seed}-7.{ext}");
        assert!(template.is_open(&known()));
        let seeded = KnownNames {
            seed: Some(3),
            ..known()
        };
        assert!(!template.is_open(&seeded));
        assert_eq!(
            template.planned(&seeded, 2),
            ["a_b{n}-ink-3-7.png", "a_b{n}-ink-3-7-2.png"]
        );
    }

    #[test]
    fn a_template_that_is_no_file_name_is_refused() {
        for (template, why) in [
            ("{prompt}", "the fields are {id} {content_stem}"),
            ("a/{id}", "has a folder in it"),
            ("..\\{id}", "has a folder in it"),
            ("{id", "without its }"),
            ("id}", "without its {"),
        ] {
            let message = NameTemplate::parse(template).unwrap_err();
            assert!(message.contains(why), "{template}: {message}");
        }
    }
}
