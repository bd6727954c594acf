//! Query strings.

use url::form_urlencoded;

/// The first value of a parameter, decoded.
pub(crate) fn get(query: &str, name: &str) -> Option<String> {
    pairs(query)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

/// Every value of a parameter that may be repeated or comma-separated.
pub(crate) fn list(query: &str, name: &str) -> Vec<String> {
    pairs(query)
        .filter(|(key, _)| key == name)
        .flat_map(|(_, value)| value.split(',').map(str::to_owned).collect::<Vec<_>>())
        .filter(|value| !value.is_empty())
        .collect()
}

fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_are_repeated_or_comma_separated() {
        let query = "a=1,2&b=x%2Cy&a=3&c=";
        assert_eq!(super::list(query, "a"), ["1", "2", "3"]);
        assert_eq!(super::list(query, "c"), Vec::<String>::new());
        assert_eq!(super::get(query, "b").as_deref(), Some("x,y"));
    }
}
