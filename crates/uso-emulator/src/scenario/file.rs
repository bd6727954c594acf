//! Scenario files: rules, and errors that name the place.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::fault::Fault;
use super::operation::Operation;

/// One fault for one operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Line")]
pub(super) struct Rule {
    pub(super) operation: Operation,
    pub(super) fault: Fault,
    /// How often it still strikes; without a number, always.
    pub(super) left: Option<u64>,
    /// How many requests it lets by first.
    pub(super) skip: u64,
}

/// Why a text is not a scenario: the place, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError(String);

impl fmt::Display for ScenarioError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "invalid scenario: {}", self.0)
    }
}

impl std::error::Error for ScenarioError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    on: Operation,
    fault: Fault,
    #[serde(default)]
    times: Times,
    #[serde(default)]
    after: u64,
}

#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Times(Option<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Some(1))
    }
}

impl TryFrom<Value> for Times {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(word) if word == "always" => Ok(Self(None)),
            Value::Number(number) if number.is_u64() => Ok(Self(number.as_u64())),
            other => Err(format!(
                "a whole number or \"always\" is expected, not {other}"
            )),
        }
    }
}

impl TryFrom<Line> for Rule {
    type Error = String;

    fn try_from(line: Line) -> Result<Self, String> {
        let Line {
            on: operation,
            fault,
            times,
            after: skip,
        } = line;
        if !fault.fits(operation) {
            let fits = Operation::ALL
                .into_iter()
                .filter(|other| fault.fits(*other));
            let fits: Vec<&str> = fits.map(Operation::as_str).collect();
            return Err(format!(
                "the fault `{fault}` cannot strike `{operation}`; it can strike {}",
                fits.join(", ")
            ));
        }
        Ok(Self {
            operation,
            fault,
            left: times.0,
            skip,
        })
    }
}

pub(super) fn read(text: &str) -> Result<Vec<Rule>, ScenarioError> {
    // Blank lines in place of comments keep the numbers of the lines.
    let kept = |line: &str| !line.trim_start().starts_with("//");
    let lines = text
        .split('\n')
        .map(|line| if kept(line) { line } else { "" });
    let json = lines.collect::<Vec<_>>().join("\n");
    let mut parser = serde_json::Deserializer::from_str(&json);
    let file: File = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = error.path().to_string();
        explain(&json, error.inner(), &path)
    })?;
    parser.end().map_err(|error| explain(&json, &error, "."))?;
    Ok(file.rules)
}

/// The place first, and words in place of the parser's own.
fn explain(json: &str, error: &serde_json::Error, path: &str) -> ScenarioError {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(what, _)| what);
    let text = text
        .replace("unknown variant", "unknown name")
        .replace("expected ident", "not JSON");
    // What could not be read has no name.
    let path = path.trim_end_matches(['?', '.']);
    let field = if path.is_empty() {
        String::new()
    } else {
        format!("{path}, ")
    };
    let mut place = format!("line {}, column {}", error.line(), error.column());
    if path.ends_with(']') {
        // A rule is judged when the parser is already behind it: at the next comma or bracket.
        let mut lines = json.lines();
        let mut passed: Vec<&str> = lines
            .by_ref()
            .take(error.line().saturating_sub(1))
            .collect();
        passed.extend(lines.next().and_then(|line| line.get(..error.column())));
        let end = passed.iter().rposition(|line| line.contains('}'));
        place = format!("line {}", end.map_or(error.line(), |line| line + 1));
    }
    // Names of the file are repeated, which can hold line ends and controls of a terminal.
    let message = format!("{field}{place}: {text}");
    ScenarioError(message.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn a_file_says_what_the_builder_says() {
        let text = r#"{ "rules": [
            { "on": "submit", "fault": "accept-then-drop" },
            { "on": "status", "fault": { "status": 503 }, "times": 3, "after": 2 },
            // A comment.
            { "on": "run", "fault": { "throttled": { "retry_after": 2 } }, "times": "always" },
            { "on": "result", "fault": { "delay": 1.5 } }
        ] }"#;
        let rules = read(text).unwrap();
        assert_eq!(rules.len(), 4);
        assert_eq!((rules[1].left, rules[1].skip), (Some(3), 2));
        assert_eq!(rules[2].left, None);
        assert_eq!(rules[3].fault, Fault::Delay(Duration::from_millis(1500)));
    }

    #[test]
    fn an_error_names_the_line_the_field_and_the_way_out() {
        let rule =
            |rule: &str| format!("{{\n  \"rules\": [\n    // One rule.\n    {rule}\n  ]\n}}");
        for (text, parts) in [
            ("{".to_owned(), ["line 1", "EOF", ""]),
            (
                "rules:\n".to_owned(),
                ["line 1, column 1", "expected value", ""],
            ),
            (
                "{ \"rules\": [] } []".to_owned(),
                ["line 1", "trailing", ""],
            ),
            (
                rule(r#"{ "on": "submit", "fault": "explode" }"#),
                ["rules[0].fault, line 4", "`explode`", "`accept-then-drop`"],
            ),
            (
                rule(r#"{ "on": "lunch", "fault": "drop" }"#),
                ["rules[0].on, line 4", "`lunch`", "`submit`"],
            ),
            (
                rule(r#"{ "on": "status", "fault": "cut-stream" }"#),
                [
                    "rules[0], line 4:",
                    "cannot strike `status`",
                    "it can strike stream",
                ],
            ),
            (
                "{ \"rules\": [\n{ \"on\": \"run\", \"fault\": \"tamper\" }, { \"on\": \"run\" } ] }".to_owned(),
                ["rules[0], line 2:", "cannot strike `run`", "webhook"],
            ),
            (
                rule(r#"{ "on": "status", "fault": "drop", "times": -1 }"#),
                ["rules[0].times, line 4", "whole number or \"always\"", "-1"],
            ),
            (
                rule(r#"{ "on": "status", "fault": "drop", "time": 1 }"#),
                ["rules[0].time, line 4", "`time`", "`times`"],
            ),
            (
                rule(r#"{ "on": "status", "fault": { "status": "x" } }"#),
                ["rules[0].fault.status, line 4", "u16", ""],
            ),
        ] {
            let error = Scenario::from_json(&text).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
    }

    #[test]
    fn the_example_is_a_scenario_and_names_everything() {
        let example = Scenario::example();
        assert!(read(example).unwrap().len() >= 5);
        let words: Vec<&str> = example
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
            .collect();
        for fault in Fault::samples() {
            assert!(words.contains(&fault.name()), "{fault}");
        }
        for operation in Operation::ALL {
            let strikes = Fault::samples().iter().any(|fault| fault.fits(operation));
            assert!(
                !strikes || words.contains(&operation.as_str()),
                "{operation}"
            );
        }
    }
}
