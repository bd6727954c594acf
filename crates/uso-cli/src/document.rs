//! Documents that commands print as their data.

use serde_json::Value;

/// Both documents as one; the fields of the second win.
pub(crate) fn merged(mut document: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut document, more) {
        fields.extend(more);
    }
    document
}
