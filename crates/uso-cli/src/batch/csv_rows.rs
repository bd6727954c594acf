//! Rows of a CSV file, with commas, semicolons or tabs between the values.

use csv::{ReaderBuilder, StringRecord};

use super::manifest_rows::{Manifest, column_name};
use super::problem::Problem;
use super::problems::Problems;
use super::row::Row;

/// What is said of a quotation mark that the text leaves open.
const OPEN: &str =
    "a value with a quotation mark is written in quotation marks, with each one in it doubled";

/// The rows of the text. The first row holds the names of the columns, and is row 1.
pub(crate) fn read(text: &str) -> Manifest {
    let mut manifest = Manifest::default();
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .flexible(true)
        .from_reader(text.as_bytes());
    let columns: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(column_name).collect(),
        Err(error) => {
            manifest.problems.add(Problem::of_row(1, error.to_string()));
            return manifest;
        }
    };
    refuse_repeated(&columns, &mut manifest.problems);
    let has_open_quote = text.bytes().filter(|byte| *byte == b'"').count() % 2 != 0;
    let mut blank = blank_lines(text, 0);
    for (number, record) in (2..).zip(reader.records()) {
        let begin = record.as_ref().ok().and_then(StringRecord::position);
        blank += begin.map_or(0, |begin| blank_lines(text, begin.byte()));
        let number = number + blank;
        match record {
            // The open value has swallowed the rows behind it.
            Ok(record) if has_open_quote && let Some(index) = with_line_break(&record) => {
                let column = columns.get(index).cloned();
                manifest.problems.add(Problem {
                    row: Some(number),
                    column: column.filter(|column| !column.is_empty()),
                    message: format!("its quotation mark is most likely not closed, so that no row from here on is read; {OPEN}"),
                });
                return manifest;
            }
            Ok(record) => row(number, &columns, &record, &mut manifest),
            Err(error) => manifest
                .problems
                .add(Problem::of_row(number, error.to_string())),
        }
    }
    if has_open_quote {
        manifest.problems.add(Problem::whole(format!(
            "it has an odd number of quotation marks, so that one is not closed; {OPEN}"
        )));
    }
    manifest
}

/// Blank lines from this byte on, which are no rows, and which a spreadsheet numbers all the same.
fn blank_lines(text: &str, begin: u64) -> u64 {
    let begin = usize::try_from(begin).unwrap_or(usize::MAX);
    let (before, rest) = text.as_bytes().split_at(begin.min(text.len()));
    // The record before ends with the first byte of its CRLF.
    let rest = match before.ends_with(b"\r") {
        true => rest.strip_prefix(b"\n").unwrap_or(rest),
        false => rest,
    };
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    blank.filter(|byte| **byte == b'\n').map(|_| 1).sum()
}

fn with_line_break(record: &StringRecord) -> Option<usize> {
    record.iter().position(|value| value.contains('\n'))
}

fn row(number: u64, columns: &[String], record: &StringRecord, manifest: &mut Manifest) {
    let mut row = Row::new(number, Vec::new());
    let mut without_column = Vec::new();
    for (index, value) in record.iter().enumerate() {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        match columns.get(index).filter(|column| !column.is_empty()) {
            Some(column) if is_repeated(columns, index).is_none() => {
                row.values.push((column.clone(), value.to_owned()));
            }
            Some(_) => {}
            None => without_column.push((index + 1, value)),
        }
    }
    if let Some((index, value)) = without_column.first() {
        let more = match without_column.len() {
            1 => String::new(),
            2 => ", nor has another one".to_owned(),
            several => format!(", nor have {} others", several - 1),
        };
        manifest.problems.add(Problem::of_row(
            number,
            format!(
                "value {index} ({value:?}) has no column{more}: the first row names {}; a value with the separator in it is written in quotation marks",
                columns.len()
            ),
        ));
    }
    // A spreadsheet may end with rows of empty cells.
    if !row.values.is_empty() {
        manifest.rows.push(row);
    }
}

fn refuse_repeated(columns: &[String], problems: &mut Problems) {
    for (index, column) in columns.iter().enumerate() {
        if let Some(why) = is_repeated(columns, index) {
            problems.add(Problem::in_column(1, column, why));
        }
    }
}

/// Why a column is one too many.
fn is_repeated(columns: &[String], index: usize) -> Option<&'static str> {
    let column = columns.get(index).filter(|column| !column.is_empty())?;
    let before = columns.iter().take(index).filter(|other| *other == column);
    match (column.as_str(), before.count()) {
        (_, 0) | ("style", 1) => None,
        ("style", _) => Some("it is there more than twice; the endpoint takes two styles"),
        _ => Some("it is there more than once"),
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
    fn rows_have_the_numbers_of_a_spreadsheet() {
        for ending in ["\n", "\r\n"] {
            let text = "\ncontent,prompt\na,x\n\n\nb,\"two\nlines\"\nc,x\n\nd,x";
            let rows = read(&text.replace('\n', ending)).rows;
            let numbers: Vec<u64> = rows.iter().map(|row| row.number).collect();
            assert_eq!(numbers, [3, 6, 7, 9], "{ending:?}");
        }
    }

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
