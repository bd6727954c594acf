//! Random names: request ids, secrets and file names.

/// A random UUID of version 4, the form of fal's request ids.
pub(crate) fn uuid() -> String {
    let bits = fastrand::u128(..);
    let bits = bits & !(0xf << 76) | (4 << 76);
    let bits = bits & !(0x3 << 62) | (2 << 62);
    let hex = format!("{bits:032x}");
    let mut text = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// A secret of 32 hex digits.
pub(crate) fn secret() -> String {
    uuid().replace('-', "")
}

/// Eight hex digits, the folder of a file on fal's CDN.
pub(crate) fn folder() -> String {
    format!("{:08x}", fastrand::u32(..))
}

/// A file name without its extension.
pub(crate) fn name() -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(21)
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn uuids_are_well_formed() {
        let id = super::uuid();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.chars().nth(14), Some('4'));
        assert!(matches!(id.chars().nth(19), Some('8' | '9' | 'a' | 'b')));
    }
}
