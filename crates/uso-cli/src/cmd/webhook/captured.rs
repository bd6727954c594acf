//! The headers of a captured request, as tools write them.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Reads `Name: value` lines up to the first blank one. A request or status line may come first,
/// and lines may end with CRLF. `Err` has the line's number.
pub(super) fn headers(text: &[u8]) -> Result<HeaderMap, usize> {
    let mut headers = HeaderMap::new();
    let lines = text.split(|byte| *byte == b'\n').map(without_cr);
    for (position, line) in lines.enumerate() {
        if line.is_empty() {
            if headers.is_empty() {
                continue;
            }
            break;
        }
        if headers.is_empty() && is_start_line(line) {
            continue;
        }
        // HTTP/2 has the start line in headers of its own.
        if line.starts_with(b":") {
            continue;
        }
        let (name, value) = pair(line).ok_or(position + 1)?;
        headers.try_append(name, value).map_err(|_| position + 1)?;
    }
    Ok(headers)
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `POST /hook HTTP/1.1`, or `HTTP/1.1 200 OK`.
fn is_start_line(line: &[u8]) -> bool {
    let first = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    first.starts_with(b"HTTP/") || last.starts_with(b"HTTP/")
}

fn pair(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let name = HeaderName::from_bytes(name.trim_ascii()).ok()?;
    let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_write_is_read() {
        for text in [
            "A: 1\nB-c:  x: y \n",
            "POST /hook?a=b HTTP/1.1\r\na: 1\r\nB-C: x: y\r\n\r\nbody: not a header",
            "\nHTTP/1.1 200 OK\r\nA:1\r\nB-C:x: y",
            ":method: POST\n:path: /hook\na: 1\nb-c: x: y",
        ] {
            let read = headers(text.as_bytes()).unwrap();
            assert_eq!(read.len(), 2, "{text}");
            assert_eq!(
                (&read["a"], &read["b-c"]),
                (&"1".parse().unwrap(), &"x: y".parse().unwrap())
            );
        }
        let twice = headers(b"a: 1\na: 2\n").unwrap();
        assert_eq!(twice.get_all("a").iter().count(), 2);
    }

    #[test]
    fn another_line_is_named() {
        assert_eq!(headers(b"a: 1\nno header\n"), Err(2));
        assert_eq!(headers(b"{\"a\": 1}"), Err(1));
    }
}
