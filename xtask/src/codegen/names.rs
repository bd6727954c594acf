//! Names that a person would choose, out of names that a service chose.

use heck::{ToPascalCase, ToShoutySnakeCase, ToSnakeCase};

/// Words that Rust keeps for itself.
const KEYWORDS: &[&str] = &[
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Words whose inner capitals do not start a new word.
const WORDS: &[(&str, &str)] = &[("LoRA", "Lora")];

/// A type's name.
pub fn type_name(text: &str) -> String {
    let text = WORDS.iter().fold(text.to_owned(), |text, (word, plain)| {
        text.replace(word, plain)
    });
    let name = identifier(&text.to_pascal_case());
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("T{name}")
    } else {
        name
    }
}

/// A component's name without the namespace that some documents put before it, like
/// `FalAiUno_Image` or `registry__image__models__Image`. Only a part that begins with a capital
/// can be the name proper.
pub fn without_namespace(component: &str) -> Option<&str> {
    let (_, name) = component.rsplit_once('_')?;
    name.starts_with(|first: char| first.is_ascii_uppercase())
        .then_some(name)
}

/// A field's name.
pub fn field_name(text: &str) -> String {
    let name = identifier(&text.to_snake_case());
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

/// A constant's name, after the field that it belongs to.
pub fn constant_name(field: &str, suffix: &str) -> String {
    format!(
        "{}_{suffix}",
        field.trim_matches('_').to_shouty_snake_case()
    )
}

/// The name of one item of a list, after the list's name.
pub fn singular(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("ies") {
        format!("{stem}y")
    } else if let Some(stem) = name.strip_suffix('s').filter(|stem| !stem.ends_with('s')) {
        stem.to_owned()
    } else {
        format!("{name}_item")
    }
}

/// The names of an enumeration's values, all different.
///
/// A value that starts with a digit takes the last word of the enumeration's name, so `16:9` of
/// `AspectRatio` is `Ratio16_9`; digits that stood apart stay apart.
pub fn variant_names<'a>(
    type_name: &str,
    values: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for value in values {
        let base = variant_name(type_name, value);
        let mut name = base.clone();
        let mut count = 1;
        while names.contains(&name) {
            count += 1;
            let joint = if base.ends_with(|last: char| last.is_numeric()) {
                "_"
            } else {
                ""
            };
            name = format!("{base}{joint}{count}");
        }
        names.push(name);
    }
    names
}

fn variant_name(type_name: &str, value: &str) -> String {
    let spelled = spell_symbols(value);
    let mut name = String::new();
    for word in spelled.split(|character: char| !character.is_alphanumeric()) {
        let word = word.to_pascal_case();
        let digits_meet = name.ends_with(|last: char| last.is_numeric())
            && word.starts_with(|first: char| first.is_numeric());
        if digits_meet {
            name.push('_');
        }
        name.push_str(&word);
    }
    if name.is_empty() {
        return if value.is_empty() { "Empty" } else { "Symbol" }.to_owned();
    }
    if name.starts_with(|first: char| first.is_numeric()) {
        let snake = type_name.to_snake_case();
        let mut words = snake
            .rsplit('_')
            .filter(|word| word.starts_with(char::is_alphabetic));
        let word = words.find(|word| *word != "preset").unwrap_or("value");
        name = format!("{}{name}", word.to_pascal_case());
    }
    identifier(&name)
}

/// Symbols that carry meaning, in words; the others only separate.
fn spell_symbols(value: &str) -> String {
    let mut spelled = String::new();
    let mut previous: Option<char> = None;
    let mut rest = value.chars().peekable();
    while let Some(character) = rest.next() {
        let before_digit = rest.peek().is_some_and(char::is_ascii_digit);
        let word = match character {
            '+' => Some("plus"),
            '%' => Some("percent"),
            '#' => Some("sharp"),
            '&' => Some("and"),
            '-' if before_digit && previous.is_none_or(char::is_whitespace) => Some("minus"),
            _ => None,
        };
        match word {
            Some(word) => spelled.extend([" ", word, " "]),
            None => spelled.push(character),
        }
        previous = Some(character);
    }
    spelled
}

/// Makes a cased text a valid identifier.
fn identifier(text: &str) -> String {
    let name: String = text
        .chars()
        .filter(|character| *character == '_' || is_continue(*character))
        .collect();
    if name.is_empty() {
        "unnamed".to_owned()
    } else if KEYWORDS.contains(&name.as_str()) {
        format!("{name}_")
    } else {
        name
    }
}

fn is_continue(character: char) -> bool {
    // Two letters before the character, so that the word is no keyword.
    syn::parse_str::<syn::Ident>(&format!("xx{character}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_named_as_a_person_would() {
        let ratios = variant_names("AspectRatio", ["16:9", "auto", "9:16"]);
        assert_eq!(ratios, ["Ratio16_9", "Auto", "Ratio9_16"]);
        let sizes = variant_names(
            "ImageSizePreset",
            ["square_hd", "portrait_4_3", "1024x1024"],
        );
        assert_eq!(sizes, ["SquareHd", "Portrait4_3", "Size1024x1024"]);
    }

    #[test]
    fn variants_that_would_collide_are_numbered() {
        let names = variant_names("Voice", ["hope", "Hope ", "v1", "V1"]);
        assert_eq!(names, ["Hope", "Hope2", "V1", "V1_2"]);
    }

    #[test]
    fn a_namespace_is_what_stands_before_a_capital() {
        assert_eq!(
            without_namespace("registry__image__models__Image"),
            Some("Image")
        );
        assert_eq!(without_namespace("GenerateStructured_promptInput"), None);
    }

    #[test]
    fn one_of_many_is_named_in_the_singular() {
        assert_eq!(singular("images"), "image");
        assert_eq!(singular("categories"), "category");
        assert_eq!(singular("palette"), "palette_item");
        assert_eq!(singular("glass"), "glass_item");
    }
}
