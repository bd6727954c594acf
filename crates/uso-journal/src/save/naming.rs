//! Names of saved pictures: from the paths that the caller gave, or from a template.

use std::path::{Path, PathBuf};

use crate::row::Row;
use crate::target::Target;

/// The name that a picture should have.
pub(super) struct Name {
    pub(super) path: PathBuf,
    pub(super) taken: Taken,
}

/// What happens to a file that has the name already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Keep,
    /// An empty file was made to reserve the name.
    KeepUnlessEmpty,
    Replace,
}

pub(super) fn name(
    row: &Row,
    target: &Target,
    seed: Option<u64>,
    extension: &str,
    (number, several): (u32, bool),
) -> Name {
    match target {
        Target::Files { paths, replace } => {
            let taken = match replace {
                true => Taken::Replace,
                false => Taken::KeepUnlessEmpty,
            };
            let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
            let mut name = match (paths.get(index), paths.last()) {
                (Some(path), _) => Name {
                    path: path.clone(),
                    taken,
                },
                (None, last) => Name {
                    path: numbered(last.map_or(Path::new("picture"), PathBuf::as_path), number),
                    taken: if paths.len() == 1 { taken } else { Taken::Keep },
                },
            };
            // The result of another endpoint, after the files that it names: a name that was not given
            // is no leave to replace a file.
            if extension == "json" {
                name.path.set_extension(extension);
                name.taken = Taken::Keep;
            }
            name
        }
        Target::Folder { folder, name } => {
            let purchase = &row.purchase;
            let seed = seed.or(purchase.ticket.as_ref().and_then(uso::Ticket::seed));
            let filled = fill(name, |place| match place {
                "local" => Some(purchase.id.to_string()),
                "key" => Some(plain(&purchase.key)),
                "n" | "number" => Some(number.to_string()),
                "id" => Some(plain(purchase.request_id().unwrap_or("unknown"))),
                "seed" => Some(seed.map_or_else(|| "unknown".to_owned(), |seed| seed.to_string())),
                "ext" => Some(extension.to_owned()),
                _ => None,
            });
            let path = folder.join(plain_name(&filled));
            let has_number = name.contains("{n}") || name.contains("{number}");
            Name {
                path: match several && !has_number && number > 1 {
                    true => numbered(&path, number),
                    false => path,
                },
                taken: Taken::Keep,
            }
        }
    }
}

/// Fills the places of a template; `{{` and `}}` stand for braces. A value is never read as a
/// template.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, found)) = rest
        .find(['{', '}'])
        .and_then(|at| rest.split_at_checked(at))
    {
        filled.push_str(before);
        let doubled = found.strip_prefix("{{").map(|after| ("{", after));
        if let Some((brace, after)) =
            doubled.or_else(|| found.strip_prefix("}}").map(|after| ("}", after)))
        {
            filled.push_str(brace);
            rest = after;
            continue;
        }
        let place = found
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        match place.and_then(|(place, after)| Some((value(place)?, after))) {
            Some((value, after)) => {
                filled.push_str(&value);
                rest = after;
            }
            None => {
                let (brace, after) = found.split_at_checked(1).unwrap_or((found, ""));
                filled.push_str(brace);
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Letters, digits, '-', '_' and '.' of a value, so that it cannot lead to another folder.
fn plain(value: &str) -> String {
    let keep = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
        _ => '_',
    };
    value.chars().take(80).map(keep).collect()
}

/// A file's name without separators, and never empty or hidden.
fn plain_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|letter| match letter {
            '/' | '\\' | '\0' => '_',
            letter => letter,
        })
        .collect();
    match name.trim_matches(['.', ' ']).is_empty() {
        true => "picture".to_owned(),
        false => name,
    }
}

/// `out.png` becomes `out-2.png`.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_braces_is_no_template() {
        let value = |place: &str| (place == "key").then(|| "{n}".to_owned());
        assert_eq!(fill("{key}-{other}.{", value), "{n}-{other}.{");
        assert_eq!(fill("{{key}}-{{{key}}}}", value), "{key}-{{n}}}");
    }

    #[test]
    fn no_value_leads_to_another_folder() {
        assert_eq!(plain("../a b"), ".._a_b");
        assert_eq!(plain_name("../x"), ".._x");
        assert_eq!(plain_name(".."), "picture");
    }
}
