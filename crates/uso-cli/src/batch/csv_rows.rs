//! Rows of a CSV file, with commas, semicolons or tabs between the values.

use csv::{ReaderBuilder, StringRecord};

use super::manifest_rows::{Manifest, column_name};
use super::problem::Problem;
use super::row::Row;

/// The rows of the text. The first row holds the names of the columns, and is row 1.
pub(crate) fn read(text: &str) -> Manifest {
    let mut manifest = Manifest::default();
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 != 0 {
        manifest.problems.push(Problem::whole(
            "it has an odd number of quotation marks, so that one is not closed; a value with a quotation mark is written in quotation marks, with each one in it doubled",
        ));
        return manifest;
    }
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .flexible(true)
        .from_reader(text.as_bytes());
    let columns: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(column_name).collect(),
        Err(error) => {
            manifest
                .problems
                .push(Problem::of_row(1, error.to_string()));
            return manifest;
        }
    };
    refuse_repeated(&columns, &mut manifest.problems);
    for (number, record) in (2..).zip(reader.records()) {
        match record {
            Ok(record) => row(number, &columns, &record, &mut manifest),
            Err(error) => manifest
                .problems
                .push(Problem::of_row(number, error.to_string())),
        }
    }
    manifest
}

fn row(number: u64, columns: &[String], record: &StringRecord, manifest: &mut Manifest) {
    let mut values = Vec::new();
    for (index, value) in record.iter().enumerate() {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let Some(column) = columns.get(index).filter(|column| !column.is_empty()) else {
            // The values before it are most likely those of other columns.
            manifest.problems.push(Problem::of_row(
                number,
                format!(
                    "value {} ({value:?}) has no column: the first row names {}; a value with the separator in it is written in quotation marks",
                    index + 1,
                    columns.len()
                ),
            ));
            return;
        };
        values.push((column.clone(), value.to_owned()));
    }
    // A spreadsheet may end with rows of empty cells.
    if !values.is_empty() {
        manifest.rows.push(Row { number, values });
    }
}

fn refuse_repeated(columns: &[String], problems: &mut Vec<Problem>) {
    for (index, column) in columns.iter().enumerate() {
        let most = if column == "style" { 2 } else { 1 };
        let before = columns.iter().take(index).filter(|other| *other == column);
        if !column.is_empty() && before.count() == most {
            problems.push(Problem {
                row: Some(1),
                column: Some(column.clone()),
                message: match most {
                    2 => "it is there more than twice; the endpoint takes two styles".to_owned(),
                    _ => "it is there more than once".to_owned(),
                },
            });
        }
    }
}

/// The separator that the header has most of, outside of quotation marks.
fn delimiter(text: &str) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ => {
                for (separator, count) in &mut counts {
                    *count += u32::from(byte == *separator && !quoted);
                }
            }
        }
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    most.map_or(b',', |(separator, _)| *separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_one_that_the_header_has_most_of() {
        for (header, separator) in [
            ("content", b','),
            ("content,style", b','),
            ("content;style;prompt", b';'),
            ("content\tstyle", b'\t'),
            ("\"a;b;c\",style\nx;y;z;z", b','),
        ] {
            assert_eq!(delimiter(header), separator, "{header}");
        }
    }
}
