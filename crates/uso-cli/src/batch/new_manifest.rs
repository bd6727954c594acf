//! Manifest from the files of a folder.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use super::row::Row;

/// Writes the rows as CSV. Paths below the manifest's folder become relative to it, and each row
/// gets an id of its own.
pub(crate) fn write(rows: &[Row], folder: &Path, to: impl io::Write) -> io::Result<()> {
    let styles = rows
        .iter()
        .map(|row| count(row, "style"))
        .max()
        .unwrap_or(0);
    let has_prompt = rows.iter().any(|row| row.get("prompt").is_some());
    let mut writer = csv::Writer::from_writer(to);
    let mut header = vec!["id", "content"];
    header.extend(std::iter::repeat_n("style", styles));
    header.extend(has_prompt.then_some("prompt"));
    writer.write_record(&header)?;
    let mut taken = HashSet::new();
    for row in rows {
        let id = row.id();
        let numbered = (2..).map(|number| format!("{id}-{number}"));
        let mut ids = std::iter::once(id.clone()).chain(numbered);
        let id = ids.find(|id| taken.insert(id.clone())).unwrap_or(id);
        let short = |text: &str| match Path::new(text).strip_prefix(folder) {
            Ok(path) => path.display().to_string(),
            Err(_) => text.to_owned(),
        };
        let mut record = vec![id, short(row.get("content").unwrap_or_default())];
        let own = row.values.iter().filter(|(column, _)| column == "style");
        record.extend(own.map(|(_, style)| short(style)));
        record.resize(2 + styles, String::new());
        if has_prompt {
            let prompt = row.get("prompt").unwrap_or_default();
            record.push(match prompt.strip_prefix('@') {
                Some(file) => format!("@{}", short(file)),
                None => prompt.to_owned(),
            });
        }
        writer.write_record(&record)?;
    }
    writer.flush()
}

fn count(row: &Row, column: &str) -> usize {
    let values = row.values.iter();
    values.filter(|(name, _)| name == column).count()
}
