//! Texts that are cut short.

/// The beginning of a text, of at most so many bytes, cut between two characters.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut ends = (0..=most.min(text.len())).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::beginning;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(beginning("short", 9), "short");
        assert_eq!(beginning("short", 2), "sh");
        assert_eq!(beginning("aé€", 2), "a");
        assert_eq!(beginning("aé€", 5), "aé");
        assert_eq!(beginning("€", 0), "");
    }
}
