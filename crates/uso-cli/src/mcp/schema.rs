//! JSON schemas of arguments and outputs, without what costs context and constrains nothing.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value};

/// Schema of arguments, with a description of each.
pub(crate) fn of_arguments<T: JsonSchema>() -> JsonObject {
    let mut schema = generated::<T>(Contract::Deserialize);
    // The tool's own description says what the whole is.
    schema.remove("description");
    schema
}

/// Schema of an output.
pub(crate) fn of_output<T: JsonSchema>() -> JsonObject {
    let mut schema = Value::Object(generated::<T>(Contract::Serialize));
    visit(&mut schema, &|schema| {
        schema.remove("description");
        // Any object has more fields than its schema says, unless the schema forbids them.
        schema.remove("additionalProperties");
    });
    object(schema)
}

/// Schema of arguments that are those of both.
pub(crate) fn of_both<A: JsonSchema, B: JsonSchema>() -> JsonObject {
    let (mut both, mut more) = (of_arguments::<A>(), of_arguments::<B>());
    for part in ["properties", "required"] {
        match (both.get_mut(part), more.get_mut(part)) {
            (Some(Value::Object(both)), Some(Value::Object(more))) => both.append(more),
            (Some(Value::Array(both)), Some(Value::Array(more))) => both.append(more),
            _ => {}
        }
    }
    both
}

fn generated<T: JsonSchema>(contract: Contract) -> JsonObject {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        settings.contract = contract;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().into();
    visit(&mut schema, &|schema| {
        for needless in ["title", "format", "default", "minimum"] {
            // A field of this name is no keyword.
            if !schema.get(needless).is_some_and(Value::is_object) {
                schema.remove(needless);
            }
        }
        absent_not_null(schema);
    });
    object(schema)
}

/// A field without a value is left out and never null.
fn absent_not_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(forms)) = schema.get("anyOf") {
        let is_null = |form: &&Value| form.get("type").is_some_and(|name| name == "null");
        let kept: Vec<&Value> = forms.iter().filter(|form| !is_null(form)).collect();
        if let [Value::Object(only)] = kept.as_slice() {
            let mut only = only.clone();
            schema.remove("anyOf");
            schema.append(&mut only);
        }
    }
}

fn visit(schema: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match schema {
        Value::Object(fields) => {
            change(fields);
            fields.values_mut().for_each(|value| visit(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
        _ => {}
    }
}

fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    }
}
