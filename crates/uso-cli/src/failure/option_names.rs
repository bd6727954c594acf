//! The service's field names in the words of the command line.

use uso::error::Problem;

/// The option or argument that sets a field.
fn option(path: &str) -> Option<&'static str> {
    let field = path.strip_prefix("body.").unwrap_or(path);
    Some(match field.split(['.', '[']).next().unwrap_or(field) {
        "num_images" => "--images",
        "num_inference_steps" => "--steps",
        "guidance_scale" => "--guidance",
        "image_size" => "--size",
        "prompt" => "--prompt",
        "negative_prompt" => "--negative-prompt",
        "seed" => "--seed",
        "output_format" => "--format",
        "keep_size" => "--keep-size",
        "enable_safety_checker" => "--no-safety-checker",
        "webhook" => "--webhook",
        "start_within" => "--start-within",
        "content" => "CONTENT",
        "style" | "extra style" => "STYLE",
        "input_image_urls" => match field {
            "input_image_urls" | "input_image_urls[0]" | "input_image_urls.0" => "CONTENT",
            _ => "STYLE",
        },
        _ => return None,
    })
}

/// The column of a manifest that sets a field.
pub(crate) fn column(path: &str) -> Option<&'static str> {
    match option(path)? {
        "CONTENT" => Some("content"),
        "STYLE" => Some("style"),
        option => option.strip_prefix("--"),
    }
}

/// The message of a problem, with the side of a size that it is about.
pub(crate) fn message(problem: &Problem) -> String {
    let side = match problem.path.rsplit('.').next() {
        Some("width") => "the width ",
        Some("height") => "the height ",
        _ => "",
    };
    format!("{side}{}", problem.message)
}

/// Problems as one sentence such as `--images: 9 is not between 1 and 4`.
pub(super) fn sentence(problems: &[Problem]) -> String {
    let told = problems.iter().map(|problem| {
        let mut named = problem.clone();
        named.path = option(&problem.path).unwrap_or(&problem.path).to_owned();
        named.message = message(problem);
        named.to_string()
    });
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_endpoint_has_an_option() {
        let told = |path: &str| sentence(&[Problem::new(path, "9 is not between 1 and 4")]);
        assert_eq!(told("num_images"), "--images: 9 is not between 1 and 4");
        assert_eq!(
            told("image_size.width"),
            "--size: the width 9 is not between 1 and 4"
        );
        assert_eq!(
            told("input_image_urls[0]"),
            "CONTENT: 9 is not between 1 and 4"
        );
        assert_eq!(
            told("input_image_urls[1]"),
            "STYLE: 9 is not between 1 and 4"
        );
        assert_eq!(told("unheard_of"), "unheard_of: 9 is not between 1 and 4");
    }
}
