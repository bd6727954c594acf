//! Reader of server-sent events: incremental over bytes, in bounded memory.

use memchr::memchr2;

/// Splits a byte stream into the `data` of its events.
///
/// Chunks may end anywhere, also within a character or a line end. Comments, event names and ids
/// are passed over; an event that the stream ends in is dropped, as the format wants it.
pub(crate) struct EventReader {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_carriage_return: bool,
    limit: usize,
}

/// An event or a line is longer than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl EventReader {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_carriage_return: false,
            limit,
        }
    }

    /// Takes the next bytes and hands each event that they complete to `event`.
    pub(crate) fn push(
        &mut self,
        chunk: &[u8],
        mut event: impl FnMut(&[u8]),
    ) -> Result<(), TooLong> {
        let mut rest = chunk;
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (line, ending) = rest.split_at(end);
            let second_of_pair =
                self.after_carriage_return && line.is_empty() && ending.first() == Some(&b'\n');
            self.after_carriage_return = ending.first() == Some(&b'\r');
            rest = ending.get(1..).unwrap_or_default();
            if second_of_pair {
                continue;
            }
            self.extend_line(line)?;
            self.end_line(&mut event);
        }
        if !rest.is_empty() {
            self.after_carriage_return = false;
            self.extend_line(rest)?;
        }
        Ok(())
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + self.data.len() + bytes.len() > self.limit {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, event: &mut impl FnMut(&[u8])) {
        let line = self
            .line
            .strip_prefix("\u{feff}".as_bytes())
            .unwrap_or(&self.line);
        if line.is_empty() {
            if self.has_data {
                event(&self.data);
            }
            self.data.clear();
            self.has_data = false;
        } else if let Some(value) = line.strip_prefix(b"data") {
            let value = match value.strip_prefix(b":") {
                Some(value) => value.strip_prefix(b" ").unwrap_or(value),
                None if value.is_empty() => value,
                None => {
                    self.line.clear();
                    return;
                }
            };
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let mut reader = EventReader::new(1 << 16);
        let mut events = Vec::new();
        for chunk in chunks {
            let keep = |event: &[u8]| events.push(String::from_utf8(event.to_vec()).unwrap());
            reader.push(chunk, keep).unwrap();
        }
        events
    }

    const STREAM: &str = "\u{feff}data: {\"message\":\"Größe 図\"}\n\n: keep-alive\n\nevent: status\nid: 7\ndata: a\r\ndata:b\r\n\r\ndata\rdatabase: no\r\rdata: cut";

    #[test]
    fn chunks_may_end_anywhere() {
        let expected = ["{\"message\":\"Größe 図\"}", "a\nb", ""];
        let bytes = STREAM.as_bytes();
        assert_eq!(events(&[bytes]), expected);
        for end in 0..bytes.len() {
            let (head, tail) = bytes.split_at(end);
            assert_eq!(events(&[head, tail]), expected, "cut at {end}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single), expected);
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let mut reader = EventReader::new(10);
        assert_eq!(reader.push(b"data: 1234", |_| ()), Ok(()));
        assert_eq!(reader.push(b"5", |_| ()), Err(TooLong));
        let mut reader = EventReader::new(10);
        let long_event = b"data: 12\ndata: 34\ndata: 56\n";
        assert_eq!(reader.push(long_event, |_| ()), Err(TooLong));
    }
}
