//! Validator of a JSON value against a schema.

use serde_json::{Map, Number, Value, json};

/// One entry of a 422's `detail` array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) kind: &'static str,
    pub(crate) loc: Vec<Value>,
    pub(crate) msg: String,
    pub(crate) input: Value,
    pub(crate) ctx: Option<Value>,
}

impl Problem {
    fn new(kind: &'static str, loc: &[Value], msg: impl Into<String>, input: &Value) -> Self {
        Self {
            kind,
            loc: loc.to_vec(),
            msg: msg.into(),
            input: input.clone(),
            ctx: None,
        }
    }

    fn with(mut self, name: &str, limit: Value) -> Self {
        let mut ctx = Map::new();
        ctx.insert(name.to_owned(), limit);
        self.ctx = Some(ctx.into());
        self
    }

    pub(crate) fn json(&self) -> Value {
        let mut body = Map::new();
        body.insert("type".into(), self.kind.into());
        body.insert("loc".into(), self.loc.clone().into());
        body.insert("msg".into(), self.msg.clone().into());
        body.insert("input".into(), self.input.clone());
        if let Some(ctx) = &self.ctx {
            body.insert("ctx".into(), ctx.clone());
        }
        body.into()
    }
}

type Checked = Result<Value, Vec<Problem>>;

pub(super) fn check(document: &Value, schema: &Value, value: &Value, loc: &[Value]) -> Checked {
    let schema = resolve(document, schema);
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        return any_of(document, branches, value, loc);
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        return one_of(allowed, value, loc);
    }
    let kind = schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match kind {
        "object" => object(document, schema, value, loc),
        "array" => list(document, schema, value, loc),
        "integer" => integer(value, loc).and_then(|number| bounds(schema, number, value, loc)),
        "number" => number(value, loc).and_then(|number| bounds(schema, number, value, loc)),
        "boolean" => boolean(value, loc),
        "string" => match value {
            Value::String(_) => Ok(value.clone()),
            _ => wrong("string_type", loc, "Input should be a valid string", value),
        },
        "null" => match value {
            Value::Null => Ok(Value::Null),
            _ => wrong("none_required", loc, "Input should be None", value),
        },
        _ => Ok(value.clone()),
    }
}

fn wrong(kind: &'static str, loc: &[Value], msg: &str, value: &Value) -> Checked {
    Err(vec![Problem::new(kind, loc, msg, value)])
}

/// Follows references within the document; a chain that leads nowhere allows everything.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    const CHAIN: usize = 16;
    let mut schema = schema;
    for _ in 0..CHAIN {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            break;
        };
        let Some(target) = reference
            .strip_prefix('#')
            .and_then(|to| document.pointer(to))
        else {
            return &Value::Null;
        };
        schema = target;
    }
    schema
}

fn object(document: &Value, schema: &Value, value: &Value, loc: &[Value]) -> Checked {
    let Value::Object(given) = value else {
        let msg = "Input should be a valid dictionary or object to extract fields from";
        return wrong("model_attributes_type", loc, msg, value);
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut fields = Map::new();
    let mut problems = Vec::new();
    for (name, field) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let place = within(loc, json!(name));
        match given.get(name) {
            // Documents before June 2026 hide that an optional field without a default is nullable.
            Some(Value::Null) if !required.contains(&name.as_str()) && is_bare(field) => {}
            Some(value) => match check(document, field, value, &place) {
                Ok(value) => {
                    fields.insert(name.clone(), value);
                }
                Err(found) => problems.extend(found),
            },
            None if required.contains(&name.as_str()) => {
                problems.push(Problem::new("missing", &place, "Field required", value));
            }
            None => {
                if let Some(default) = field.get("default") {
                    fields.insert(name.clone(), default.clone());
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(fields.into())
    } else {
        Err(problems)
    }
}

fn is_bare(field: &Value) -> bool {
    field.get("default").is_none()
}

fn list(document: &Value, schema: &Value, value: &Value, loc: &[Value]) -> Checked {
    let Value::Array(given) = value else {
        return wrong("list_type", loc, "Input should be a valid list", value);
    };
    let length = given.len() as u64;
    if let Some(limit) = schema
        .get("minItems")
        .and_then(Value::as_u64)
        .filter(|min| length < *min)
    {
        let msg =
            format!("List should have at least {limit} item(s) after validation, not {length}");
        let problem = Problem::new("too_short", loc, msg, value).with("min_length", json!(limit));
        return Err(vec![problem]);
    }
    if let Some(limit) = schema
        .get("maxItems")
        .and_then(Value::as_u64)
        .filter(|max| length > *max)
    {
        let msg =
            format!("List should have at most {limit} item(s) after validation, not {length}");
        let problem = Problem::new("too_long", loc, msg, value).with("max_length", json!(limit));
        return Err(vec![problem]);
    }
    let items = schema.get("items").unwrap_or(&Value::Null);
    let mut checked = Vec::with_capacity(given.len());
    let mut problems = Vec::new();
    for (index, item) in given.iter().enumerate() {
        match check(document, items, item, &within(loc, json!(index))) {
            Ok(item) => checked.push(item),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok(checked.into())
    } else {
        Err(problems)
    }
}

/// A union: the first branch that takes the value as it is, else the problems of all branches,
/// each under the branch's name.
fn any_of(document: &Value, branches: &[Value], value: &Value, loc: &[Value]) -> Checked {
    let mut problems = Vec::new();
    let nullable = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
    let several = branches.iter().filter(|branch| !nullable(branch)).count() > 1;
    for branch in branches {
        let schema = resolve(document, branch);
        let place = if several {
            within(loc, branch_name(schema))
        } else {
            loc.to_vec()
        };
        match check(document, branch, value, &place) {
            Ok(value) => return Ok(value),
            Err(found) if !nullable(schema) => problems.extend(found),
            Err(_) => {}
        }
    }
    Err(problems)
}

fn branch_name(schema: &Value) -> Value {
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = allowed.iter().map(quoted).collect();
        return json!(format!("literal[{}]", words.join(",")));
    }
    match (
        schema.get("title"),
        schema.get("type").and_then(Value::as_str),
    ) {
        (Some(title), _) => title.clone(),
        (None, Some("integer")) => json!("int"),
        (None, Some("number")) => json!("float"),
        (None, Some("boolean")) => json!("bool"),
        (None, Some("string")) => json!("str"),
        (None, Some("array")) => json!("list"),
        _ => json!("dict"),
    }
}

fn one_of(allowed: &[Value], value: &Value, loc: &[Value]) -> Checked {
    if allowed.contains(value) {
        return Ok(value.clone());
    }
    let words: Vec<String> = allowed.iter().map(quoted).collect();
    let expected = match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    };
    let problem = Problem::new(
        "literal_error",
        loc,
        format!("Input should be {expected}"),
        value,
    )
    .with("expected", json!(expected));
    Err(vec![problem])
}

fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

fn integer(value: &Value, loc: &[Value]) -> Result<Number, Vec<Problem>> {
    let problem = |kind, msg: &str| Err(vec![Problem::new(kind, loc, msg, value)]);
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.clone()),
        // Beyond 64 bits, or written with a zero fraction.
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 => Ok(whole(float).unwrap_or(number.clone())),
            _ => problem(
                "int_from_float",
                "Input should be a valid integer, got a number with a fractional part",
            ),
        },
        Value::Bool(truth) => Ok(Number::from(u8::from(*truth))),
        Value::String(text) => match text.trim().parse::<i128>() {
            Ok(number) => Ok(Number::from_i128(number)
                .or_else(|| Number::from_f64(number as f64))
                .unwrap_or(Number::from(0))),
            Err(_) => problem(
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
            ),
        },
        _ => problem("int_type", "Input should be a valid integer"),
    }
}

fn whole(float: f64) -> Option<Number> {
    (float.abs() < 9.0e15).then(|| Number::from(float as i64))
}

fn number(value: &Value, loc: &[Value]) -> Result<Number, Vec<Problem>> {
    let problem = |kind, msg: &str| Err(vec![Problem::new(kind, loc, msg, value)]);
    match value {
        Value::Number(number) => Ok(number.clone()),
        Value::Bool(truth) => Ok(Number::from(u8::from(*truth))),
        Value::String(text) => match text.trim().parse().ok().and_then(Number::from_f64) {
            Some(number) => Ok(number),
            None => problem(
                "float_parsing",
                "Input should be a valid number, unable to parse string as a number",
            ),
        },
        _ => problem("float_type", "Input should be a valid number"),
    }
}

fn boolean(value: &Value, loc: &[Value]) -> Checked {
    let msg = "Input should be a valid boolean, unable to interpret input";
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Ok(json!(false)),
            Some(1.0) => Ok(json!(true)),
            _ => wrong("bool_parsing", loc, msg, value),
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "0" | "off" | "f" | "false" | "n" | "no" => Ok(json!(false)),
            "1" | "on" | "t" | "true" | "y" | "yes" => Ok(json!(true)),
            _ => wrong("bool_parsing", loc, msg, value),
        },
        _ => wrong("bool_type", loc, "Input should be a valid boolean", value),
    }
}

/// A limit, the type of its problem, its name in `ctx`, its words, and what it demands.
type Rule<'a> = (
    Option<&'a Value>,
    &'static str,
    &'a str,
    &'a str,
    fn(f64, f64) -> bool,
);

/// Numeric limits. `exclusiveMinimum` is a number in fal's documents, a switch in OpenAPI 3.0.
fn bounds(schema: &Value, number: Number, value: &Value, loc: &[Value]) -> Checked {
    let limit = |name: &str| schema.get(name).filter(|limit| limit.is_number());
    let switch = |name: &str| {
        schema
            .get(name)
            .and_then(Value::as_bool)
            .unwrap_or_default()
    };
    let (minimum, maximum) = (limit("minimum"), limit("maximum"));
    let above = limit("exclusiveMinimum").or(minimum.filter(|_| switch("exclusiveMinimum")));
    let below = limit("exclusiveMaximum").or(maximum.filter(|_| switch("exclusiveMaximum")));
    let at_least = minimum.filter(|_| !switch("exclusiveMinimum"));
    let at_most = maximum.filter(|_| !switch("exclusiveMaximum"));
    let given = number.as_f64().unwrap_or(f64::NAN);
    let rules: [Rule<'_>; 4] = [
        (
            at_least,
            "greater_than_equal",
            "ge",
            "greater than or equal to",
            |a, b| a >= b,
        ),
        (
            at_most,
            "less_than_equal",
            "le",
            "less than or equal to",
            |a, b| a <= b,
        ),
        (above, "greater_than", "gt", "greater than", |a, b| a > b),
        (below, "less_than", "lt", "less than", |a, b| a < b),
    ];
    for (limit, kind, name, words, holds) in rules {
        let Some(limit) = limit else { continue };
        if !holds(given, limit.as_f64().unwrap_or(f64::NAN)) {
            let msg = format!("Input should be {words} {limit}");
            return Err(vec![
                Problem::new(kind, loc, msg, value).with(name, limit.clone()),
            ]);
        }
    }
    Ok(Value::Number(number))
}

fn within(loc: &[Value], step: Value) -> Vec<Value> {
    let mut place = loc.to_vec();
    place.push(step);
    place
}
