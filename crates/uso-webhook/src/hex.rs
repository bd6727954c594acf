//! Lower-case hexadecimal text.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(crate) fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble)));
    digits.map(|digit| char::from(*digit)).collect()
}

/// The bytes of a text in lower-case hex.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_lower_case_and_whole() {
        assert_eq!(unhex("00ff1a"), Some([0, 255, 26]));
        for wrong in ["00FF1a", "00ff1", "00ff1a00", "zzzzzz", "00ff"] {
            assert_eq!(unhex::<3>(wrong), None, "{wrong}");
        }
        assert_eq!(hex(&[0, 255, 26]), "00ff1a");
    }
}
