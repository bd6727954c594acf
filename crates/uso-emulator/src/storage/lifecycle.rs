//! Lifecycle headers: expiry and access rules of files.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::files::{Access, Lifecycle};
use crate::server::respond::{self, Response, platform_error};

/// What a caller asks for. The CDN's own name of the header goes before the platform's.
pub(crate) fn lifecycle(headers: &HeaderMap) -> Result<Lifecycle, Box<Response>> {
    let given = respond::text(headers, "x-fal-object-lifecycle")
        .or_else(|| respond::text(headers, "x-fal-object-lifecycle-preference"));
    let Some(text) = given else {
        return Ok(Lifecycle::default());
    };
    read(text).ok_or_else(|| {
        let why = "The object lifecycle preference is not valid.";
        Box::new(platform_error(400, "bad_request", why))
    })
}

fn read(text: &str) -> Option<Lifecycle> {
    let value: Value = serde_json::from_str(text).ok()?;
    let fields = value.as_object()?;
    let expires_after = match fields.get("expiration_duration_seconds") {
        // The backends take zero for no expiry.
        None | Some(Value::Null) => None,
        Some(seconds) => match seconds.as_u64()? {
            0 => None,
            seconds => Some(Duration::from_secs(seconds)),
        },
    };
    let acl = fields.get("initial_acl").filter(|acl| !acl.is_null());
    // Rules name other accounts, of which there are none here: the default decides.
    let access = match acl
        .and_then(|acl| acl.get("default"))
        .and_then(Value::as_str)
    {
        None | Some("allow") => Access::Allow,
        Some("forbid") => Access::Forbid,
        Some("hide") => Access::Hide,
        Some(_) => return None,
    };
    Some(Lifecycle {
        expires_after,
        access,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_keys_are_optional_and_zero_is_never() {
        let of = |text| read(text).unwrap();
        assert_eq!(of("{}"), Lifecycle::default());
        let hour = of(r#"{"expiration_duration_seconds":3600,"initial_acl":{"default":"hide"}}"#);
        assert_eq!(hour.expires_after, Some(Duration::from_secs(3600)));
        assert_eq!(hour.access, Access::Hide);
        assert_eq!(
            of(r#"{"expiration_duration_seconds":0}"#).expires_after,
            None
        );
        for wrong in [
            "",
            "[]",
            r#"{"expiration_duration_seconds":-1}"#,
            r#"{"initial_acl":{"default":"perhaps"}}"#,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
