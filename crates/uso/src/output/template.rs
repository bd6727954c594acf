//! File names made from a pattern. Nothing that the service says decides where a file goes: its
//! words only fill places in a name, and only with plain letters.

use uso_transport::Problem;

/// What fills the places of a template.
pub(super) struct Values<'a> {
    /// Counts from 1.
    pub(super) number: usize,
    pub(super) request_id: Option<&'a str>,
    pub(super) seed: Option<u64>,
    pub(super) extension: &'a str,
}

/// A checked pattern of a file name.
pub(super) struct Template<'a>(&'a str);

const PLACES: &str = "{n}, {id}, {seed} and {ext}";

impl<'a> Template<'a> {
    /// Reads a pattern for this many files.
    pub(super) fn new(text: &'a str, files: usize) -> Result<Self, Problem> {
        let refuse = |why: String| Problem::new("template", format!("{text:?} {why}"));
        if text.contains(['/', '\\', '\0']) {
            return Err(refuse(
                "names more than a file; folders go into the directory".to_owned(),
            ));
        }
        let mut rest = text;
        while let Some((_, after)) = rest.split_once('{') {
            let Some((place, after)) = after.split_once('}') else {
                return Err(refuse("has a { without its }".to_owned()));
            };
            if !matches!(place, "n" | "id" | "seed" | "ext") {
                return Err(refuse(format!(
                    "has {{{place}}} in it; the places are {PLACES}"
                )));
            }
            rest = after;
        }
        if files > 1 && !text.contains("{n}") {
            return Err(refuse(format!(
                "gives {files} pictures one name; put {{n}} into it"
            )));
        }
        let template = Self(text);
        let sample = template.name(&Values {
            number: 1,
            request_id: None,
            seed: None,
            extension: "png",
        });
        if sample.trim_matches(['.', ' ']).is_empty() {
            return Err(refuse("is no file name".to_owned()));
        }
        Ok(template)
    }

    /// The name of one file.
    pub(super) fn name(&self, values: &Values<'_>) -> String {
        let plain = |letter: char| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
            _ => '_',
        };
        let id: String = values
            .request_id
            .unwrap_or("unknown")
            .chars()
            .take(80)
            .map(plain)
            .collect();
        let seed = values
            .seed
            .map_or_else(|| "unknown".to_owned(), |seed| seed.to_string());
        self.0
            .replace("{n}", &values.number.to_string())
            .replace("{id}", &id)
            .replace("{seed}", &seed)
            .replace("{ext}", values.extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_with_plain_letters() {
        let values = Values {
            number: 2,
            request_id: Some("../a:b"),
            seed: Some(7),
            extension: "jpg",
        };
        let template = Template::new("{id}-{seed}-{n}.{ext}", 3).ok().unwrap();
        assert_eq!(template.name(&values), "___a_b-7-2.jpg");
    }

    #[test]
    fn a_template_that_is_no_file_name_is_refused() {
        for (text, files, why) in [
            ("a/{n}.png", 1, "more than a file"),
            ("..\\{n}", 1, "more than a file"),
            ("{n", 1, "without its }"),
            ("{number}.png", 1, "{number} in it"),
            ("a.png", 2, "put {n} into it"),
            ("", 1, "no file name"),
            ("..", 1, "no file name"),
        ] {
            let problem = Template::new(text, files).err().unwrap();
            assert!(problem.message.contains(why), "{text}: {}", problem.message);
        }
    }
}
