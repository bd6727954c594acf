//! Fixed-size numbers inside a file, and the file rebuilt from those of its parts that are kept.

use std::ops::Range;

use bytes::Bytes;

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

pub(super) fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let [low, middle, high] = *bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes([low, middle, high, 0]))
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

/// A part of the rebuilt file.
enum Part {
    Kept(Range<usize>),
    New(Vec<u8>),
}

/// A file that is rebuilt from the parts of another.
pub(super) struct Rebuilt<'a> {
    file: &'a Bytes,
    parts: Vec<Part>,
    length: usize,
}

impl<'a> Rebuilt<'a> {
    pub(super) fn new(file: &'a Bytes) -> Self {
        Self {
            file,
            parts: Vec::new(),
            length: 0,
        }
    }

    /// Appends a part of the old file.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        self.length += range.len();
        match self.parts.last_mut() {
            Some(Part::Kept(last)) if last.end == range.start => last.end = range.end,
            _ => self.parts.push(Part::Kept(range)),
        }
    }

    /// Appends these bytes, which stand at this place of the old file unless they were changed.
    pub(super) fn put(&mut self, at: usize, bytes: Vec<u8>) {
        let end = at.saturating_add(bytes.len());
        if self.file.get(at..end) == Some(&bytes[..]) {
            self.keep(at..end);
        } else {
            self.length += bytes.len();
            self.parts.push(Part::New(bytes));
        }
    }

    /// The length so far.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The file, and whether it differs from the old one.
    pub(super) fn finish(self) -> (Bytes, bool) {
        if let [Part::Kept(range)] = &self.parts[..]
            && *range == (0..self.file.len())
        {
            return (self.file.clone(), false);
        }
        let mut bytes = Vec::with_capacity(self.length);
        for part in &self.parts {
            bytes.extend_from_slice(match part {
                Part::Kept(range) => self.file.get(range.clone()).unwrap_or_default(),
                Part::New(new) => new,
            });
        }
        (bytes.into(), true)
    }
}
