//! Callers that are known by a shared token, as bearer or as the cookie of a session.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use hmac_sha256::{HMAC, Hash};
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::{Choice, ConstantTimeEq as _};
use uso_transport::{Error, ErrorKind, Operation, Result};

use crate::caller::Caller;
use crate::headers::single;
use crate::origins::{self, is_local};
use crate::proxy::Proxy;
use crate::refusal::Refusal;

/// The cookie of a session. Browsers take a name with this prefix from the very host alone, over TLS:
/// a page of a neighbouring domain cannot plant one.
const SECURE_NAME: &str = "__Host-uso_session";

/// The same for pages in clear text on the visitor's own machine, where browsers would not take the
/// other. Its proof is another, so that it is worth nothing where no such page may call.
const LOCAL_NAME: &str = "uso_session";

/// A working day, after which the token is asked for again.
const SESSION: Duration = Duration::from_secs(12 * 3600);

/// Cookies that are looked at; each costs some hashing.
const COOKIES: usize = 8;

/// Shorter ones could be guessed.
const SHORTEST: usize = 16;
const LONGEST: usize = 512;

/// Tokens that let callers in, for a proxy without accounts of its own.
///
/// Whoever holds a token is one caller: its holders share the limits, and may collect each other's
/// requests if they know the ids. Give each person or page a token of its own where that matters.
///
/// A token is shown as `Authorization: Bearer TOKEN`, or once, to the route of
/// [`SharedTokens::sessions`], for a cookie that scripts cannot read and that no other site's page
/// can use. Neither ever goes to the service.
///
/// ```
/// use http::{HeaderMap, header::AUTHORIZATION};
/// use uso_proxy::SharedTokens;
///
/// let tokens = SharedTokens::new(["a-long-random-string"])?;
/// let mut headers = HeaderMap::new();
/// assert_eq!(tokens.caller(&headers), None);
/// headers.insert(AUTHORIZATION, "Bearer a-long-random-string".parse().unwrap());
/// assert_eq!(tokens.caller(&headers).unwrap().as_str(), "token-1");
/// # Ok::<(), uso_transport::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedTokens(Vec<Token>);

#[derive(Clone)]
struct Token {
    caller: Caller,
    secret: SecretString,
}

impl fmt::Debug for SharedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedTokens({} tokens)", self.0.len())
    }
}

impl SharedTokens {
    /// These tokens; the callers are named `token-1`, `token-2` and so on, in their order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is none, when one is given twice, is not of 16 to 512
    /// characters, or has one that a cookie or a header may not carry.
    pub fn new<T: AsRef<str>>(tokens: impl IntoIterator<Item = T>) -> Result<Self> {
        let refuse = |why: String| {
            Error::new(Operation::Configure, ErrorKind::Config, why)
                .with_hint("take a long random one, such as `openssl rand -hex 32` prints")
        };
        let mut kept: Vec<Token> = Vec::new();
        for token in tokens {
            let token = token.as_ref().trim();
            let place = kept.len() + 1;
            if !(SHORTEST..=LONGEST).contains(&token.len()) {
                return Err(refuse(format!(
                    "token {place} has {} characters, and must have {SHORTEST} to {LONGEST}",
                    token.len()
                )));
            }
            let plain = |byte: u8| byte.is_ascii_graphic() && !b",;\"\\".contains(&byte);
            if !token.bytes().all(plain) {
                return Err(refuse(format!(
                    "token {place} has a blank, a comma, a quote or another character that a token never has"
                )));
            }
            if kept
                .iter()
                .any(|other| other.secret.expose_secret() == token)
            {
                return Err(refuse(format!("token {place} is given twice")));
            }
            kept.push(Token {
                caller: Caller::new(format!("token-{place}")),
                secret: SecretString::from(token),
            });
        }
        if kept.is_empty() {
            return Err(refuse("there is no token".to_owned()));
        }
        Ok(Self(kept))
    }

    /// The caller whose token these headers show, as bearer or as a session's cookie.
    pub fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        match bearer(headers) {
            Some(token) => self.by_token(token),
            None => self.by_session(headers, SystemTime::now()),
        }
    }

    /// The route by which a page gets a session: `POST` with the token as bearer answers 204 with
    /// the cookie (`HttpOnly`, `SameSite=Strict`, 12 hours; `Secure` and bound to its host by its
    /// name, `__Host-uso_session`, unless the page is served by the visitor's own machine). `DELETE`
    /// has the browser forget it; a copy elsewhere is good for its 12 hours, or until the token is
    /// taken back. The same origins as for the proxy may call.
    ///
    /// The cookie reaches the proxy only from pages of its own origin, since the official client
    /// sends none across origins: let the page's server pass `/api/fal/` on to the proxy.
    pub fn sessions(&self, proxy: &Proxy) -> Router {
        Router::new()
            .route("/", axum::routing::any(session))
            .with_state((self.clone(), proxy.clone()))
    }

    fn by_token(&self, shown: &str) -> Option<Caller> {
        // Digests are of one length and no caller can choose one, so that comparing them says
        // nothing of how much was right; and every token is compared.
        let shown = Hash::hash(shown.as_bytes());
        self.find(|token| Hash::hash(token.secret.expose_secret().as_bytes()).ct_eq(&shown))
    }

    fn by_session(&self, headers: &HeaderMap, now: SystemTime) -> Option<Caller> {
        cookies(headers).find_map(|(name, value)| {
            let (expires, proof) = value.split_once('.')?;
            let until = UNIX_EPOCH.checked_add(Duration::from_secs(expires.parse().ok()?))?;
            if until <= now {
                return None;
            }
            self.find(|token| {
                token
                    .proof(name, expires)
                    .as_bytes()
                    .ct_eq(proof.as_bytes())
            })
        })
    }

    fn find(&self, is_it: impl Fn(&Token) -> Choice) -> Option<Caller> {
        let mut found = None;
        for token in &self.0 {
            if bool::from(is_it(token)) {
                found = Some(token.caller.clone());
            }
        }
        found
    }

    /// The value of a session's cookie for who shows a token.
    fn open_session(&self, name: &str, headers: &HeaderMap, now: SystemTime) -> Option<String> {
        let caller = self.by_token(bearer(headers)?)?;
        let token = self.0.iter().find(|token| token.caller == caller)?;
        let expires = now.duration_since(UNIX_EPOCH).unwrap_or_default() + SESSION;
        let expires = expires.as_secs().to_string();
        let proof = token.proof(name, &expires);
        Some(format!("{expires}.{proof}"))
    }
}

impl Token {
    /// What only who knows the token can have made for a cookie of this name and time.
    fn proof(&self, name: &str, expires: &str) -> String {
        let message = format!("uso-proxy {name} until {expires}");
        let mac = HMAC::mac(message, self.secret.expose_secret());
        mac.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = single(headers, &AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The cookies that may be a session's. There may be several of one name, from other paths or from
/// a neighbour, and nothing says which is whose.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs
        .filter(|(name, _)| [SECURE_NAME, LOCAL_NAME].contains(name))
        .take(COOKIES)
}

async fn session(
    State((tokens, proxy)): State<(SharedTokens, Proxy)>,
    request: Request,
) -> Response {
    let (method, headers) = (request.method(), request.headers());
    let origin = match proxy.shared.settings.origins.of(headers) {
        Ok(origin) => origin,
        Err(refusal) => {
            let mut response = refusal.into_response();
            origins::open(&mut response, None);
            return response;
        }
    };
    let (name, attributes) = if origin.as_ref().is_some_and(is_local) {
        (LOCAL_NAME, "HttpOnly; SameSite=Strict; Path=/")
    } else {
        (SECURE_NAME, "HttpOnly; SameSite=Strict; Path=/; Secure")
    };
    let set = |value: &str, seconds: u64| {
        let cookie = format!("{name}={value}; Max-Age={seconds}; {attributes}");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
            cookie.set_sensitive(true);
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    };
    let mut response = if let Some(response) = origins::preflight(method, headers) {
        response
    } else {
        match *method {
            Method::POST => match tokens.open_session(name, headers, SystemTime::now()) {
                Some(value) => set(&value, SESSION.as_secs()),
                None => Refusal::unauthorized().into_response(),
            },
            Method::DELETE => set("", 0),
            _ => Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "a session is opened with POST and ended with DELETE",
            )
            .into_response(),
        }
    };
    origins::open(&mut response, origin);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "first-token-0123456789";
    const SECOND: &str = "second-token-0123456789";

    fn tokens() -> SharedTokens {
        SharedTokens::new([FIRST, SECOND]).unwrap()
    }

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    fn name(tokens: &SharedTokens, pairs: &[(http::HeaderName, &str)]) -> Option<String> {
        let caller = tokens.caller(&headers(pairs));
        caller.map(|caller| caller.as_str().to_owned())
    }

    #[test]
    fn a_token_is_taken_whole_as_bearer() {
        let tokens = tokens();
        let of = |value: &str| name(&tokens, &[(AUTHORIZATION, value)]);
        assert_eq!(of(&format!("Bearer {FIRST}")).as_deref(), Some("token-1"));
        assert_eq!(of(&format!("bearer {SECOND}")).as_deref(), Some("token-2"));
        for wrong in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Bearer {}", FIRST.get(1..).unwrap()),
            format!("Bearer {FIRST}x"),
            format!("Key {FIRST}"),
            FIRST.to_owned(),
        ] {
            assert_eq!(of(&wrong), None, "{wrong}");
        }
        let twice = [
            (AUTHORIZATION, format!("Bearer {FIRST}")),
            (AUTHORIZATION, format!("Bearer {SECOND}")),
        ];
        let twice: Vec<_> = twice.iter().map(|(n, v)| (n.clone(), v.as_str())).collect();
        assert_eq!(name(&tokens, &twice), None);
    }

    #[test]
    fn a_session_is_its_tokens_until_its_time() {
        let tokens = tokens();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let bearer = format!("Bearer {SECOND}");
        let bearer = headers(&[(AUTHORIZATION, &bearer)]);
        let value = tokens.open_session(SECURE_NAME, &bearer, now).unwrap();
        let at = |cookie: &str, at: SystemTime| {
            let caller = tokens.by_session(&headers(&[(COOKIE, cookie)]), at);
            caller.map(|caller| caller.as_str().to_owned())
        };
        let cookie = format!("theme=dark; {SECURE_NAME}={value}; other=1");
        assert_eq!(at(&cookie, now).as_deref(), Some("token-2"));
        assert_eq!(at(&cookie, now + SESSION), None);
        // One that somebody planted before it does not hide it.
        for planted in ["", "1.0", "9999999999.0"] {
            let cookie = format!("{SECURE_NAME}={planted}; {cookie}");
            assert_eq!(at(&cookie, now).as_deref(), Some("token-2"), "{cookie}");
        }
        let (expires, proof) = value.split_once('.').unwrap();
        let later = expires.parse::<u64>().unwrap() + 1;
        for forged in [
            format!("{SECURE_NAME}={later}.{proof}"),
            format!("{SECURE_NAME}={expires}."),
            format!("{SECURE_NAME}={expires}.{}", proof.to_uppercase()),
            format!("{SECURE_NAME}={SECOND}"),
            format!("other_{SECURE_NAME}={value}"),
            format!("{SECURE_NAME}="),
            // A neighbour can plant this name, with a session of its own.
            format!("{LOCAL_NAME}={value}"),
        ] {
            assert_eq!(at(&forged, now), None, "{forged}");
        }
        let fewer = SharedTokens::new([FIRST]).unwrap();
        let cookie = headers(&[(COOKIE, &cookie)]);
        assert_eq!(fewer.by_session(&cookie, now), None);
        let local = tokens.open_session(LOCAL_NAME, &bearer, now).unwrap();
        assert_eq!(at(&format!("{SECURE_NAME}={local}"), now), None);
        let local = at(&format!("{LOCAL_NAME}={local}"), now);
        assert_eq!(local.as_deref(), Some("token-2"));
    }

    #[test]
    fn a_weak_token_is_refused_and_none_is_shown() {
        let none: [&str; 0] = [];
        assert!(SharedTokens::new(none).is_err());
        for weak in ["", "short", "with a blank in it", "with,comma-0123456789"] {
            let error = SharedTokens::new([weak]).unwrap_err();
            assert!(
                weak.is_empty() || !error.to_string().contains(weak),
                "{error}"
            );
        }
        assert!(SharedTokens::new([FIRST, FIRST]).is_err());
        assert_eq!(format!("{:?}", tokens()), "SharedTokens(2 tokens)");
    }
}
