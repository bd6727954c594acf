//! Shared tokens: callers that authenticate with a bearer token or the cookie of a session.

use std::fmt;
use std::sync::Arc;
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
use crate::cors;
use crate::headers::single;
use crate::proxy::Proxy;
use crate::refusal::Refusal;
use crate::shared_state::Shared;

/// The cookie of a session. Browsers accept a name with this prefix from the very host alone, with
/// `Secure`: a page of a sibling domain cannot plant such a cookie. Browsers treat loopback hosts as
/// secure, so pages in clear text on the visitor's own machine get the cookie as well.
const COOKIE_NAME: &str = "__Host-uso_session";

/// Lifetime of a session: a working day, after which the page needs the token again.
const SESSION: Duration = Duration::from_secs(12 * 3600);

/// Hex digits of the proof in a session's cookie.
const PROOF: usize = 64;

/// Hex digits of a caller's name.
const NAME: usize = 16;

/// Lengths of a token. Shorter ones could be guessed.
const SHORTEST: usize = 16;
const LONGEST: usize = 512;

/// Shared tokens that authenticate callers, for a proxy without accounts of its own.
///
/// A caller is named after its token: `token-` and 16 hex digits of a digest from which the token
/// cannot be computed. The name stays the same when other tokens are added, removed or reordered, so
/// that durable [`Records`](crate::Records) give a request to no other caller. A new token is a new
/// caller.
///
/// All holders of a token are one caller: they share the limits, and may collect each other's
/// requests if they know the ids. Give each person or page a token of its own where that matters.
///
/// A caller sends the token as `Authorization: Bearer TOKEN`, or once, to the route of
/// [`SharedTokens::sessions`], for a cookie that scripts cannot read and that no page of another
/// site can use. Neither is sent to the service.
///
/// ```
/// use http::{HeaderMap, header::AUTHORIZATION};
/// use uso_proxy::SharedTokens;
///
/// let tokens = SharedTokens::new(["a-long-random-string"])?;
/// let mut headers = HeaderMap::new();
/// assert_eq!(tokens.caller(&headers), None);
/// headers.insert(AUTHORIZATION, "Bearer a-long-random-string".parse().unwrap());
/// assert_eq!(tokens.caller(&headers).unwrap().as_str(), "token-efd81412f5475343");
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
    /// The callers with these tokens.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when there is no token, and for a token that is given twice, is not of 16
    /// to 512 characters, or has a character that a cookie or a header may not carry.
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
                caller: Caller::new(name_of(token)),
                secret: SecretString::from(token),
            });
        }
        if kept.is_empty() {
            return Err(refuse("there is no token".to_owned()));
        }
        Ok(Self(kept))
    }

    /// The callers, in the order of their tokens.
    pub fn callers(&self) -> impl Iterator<Item = &Caller> {
        self.0.iter().map(|token| &token.caller)
    }

    /// The caller that these headers authenticate, by a bearer token or by the cookie of a session. Of
    /// several cookies the first valid one counts.
    pub fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        match bearer(headers) {
            Some(token) => self.by_token(token),
            None => self.by_session(headers, SystemTime::now()),
        }
    }

    /// The route of the sessions: `POST` with the bearer token sets the cookie `__Host-uso_session`
    /// (`HttpOnly`, `Secure`, `SameSite=Strict`, 12 hours) and responds 204. `DELETE` has the browser
    /// forget the cookie; a copy of it stays valid for its 12 hours, or until the token is removed.
    /// The same origins as for the proxy may call.
    ///
    /// The cookie reaches the proxy only from pages of its own origin, since the official client
    /// sends none across origins: let the page's server pass `/api/fal/` on to the proxy.
    pub fn sessions(&self, proxy: &Proxy) -> Router {
        Router::new()
            .route("/", axum::routing::any(session))
            .with_state((self.clone(), Arc::clone(&proxy.shared)))
    }

    fn by_token(&self, shown: &str) -> Option<Caller> {
        // Digests are of one length and no caller can choose one, so that comparing them says
        // nothing of how much was right; and every token is compared.
        let shown = Hash::hash(shown.as_bytes());
        self.find(|token| Hash::hash(token.secret.expose_secret().as_bytes()).ct_eq(&shown))
    }

    fn by_session(&self, headers: &HeaderMap, now: SystemTime) -> Option<Caller> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        cookies(headers).find_map(|value| {
            // Planted cookies may come in any number, so what can be no session is not hashed.
            let (expires, proof) = value.split_once('.')?;
            let until: u64 = expires.parse().ok()?;
            if !(now + 1..=now + SESSION.as_secs()).contains(&until) || proof.len() != PROOF {
                return None;
            }
            self.find(|token| token.proof(expires).as_bytes().ct_eq(proof.as_bytes()))
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

    /// The value of the cookie for a caller with a bearer token.
    fn open_session(&self, headers: &HeaderMap, now: SystemTime) -> Option<String> {
        let caller = self.by_token(bearer(headers)?)?;
        let token = self.0.iter().find(|token| token.caller == caller)?;
        let expires = now.duration_since(UNIX_EPOCH).unwrap_or_default() + SESSION;
        let expires = expires.as_secs().to_string();
        let proof = token.proof(&expires);
        Some(format!("{expires}.{proof}"))
    }
}

impl Token {
    /// The proof of a session until this time, which only a holder of the token can make.
    fn proof(&self, expires: &str) -> String {
        let message = format!("uso-proxy {COOKIE_NAME} until {expires}");
        digest(self.secret.expose_secret(), &message)
    }
}

/// The name of the caller with a token. It is in durable records, so it must never change.
fn name_of(token: &str) -> String {
    let digits = digest(token, "uso-proxy caller");
    format!("token-{}", digits.get(..NAME).unwrap_or(&digits))
}

/// Hex digits of a digest of a message that only a holder of the token can make.
fn digest(token: &str, message: &str) -> String {
    let mac = HMAC::mac(message, token);
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = single(headers, &AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The values of the session cookies. There may be several, from other paths, and nothing tells
/// which is which.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.filter_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

async fn session(
    State((tokens, shared)): State<(SharedTokens, Arc<Shared>)>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let responding = async {
        match parts.method {
            Method::POST => match tokens.open_session(&parts.headers, SystemTime::now()) {
                Some(value) => set_cookie(&value, SESSION.as_secs()),
                None => Refusal::unauthorized().into_response(),
            },
            Method::DELETE => set_cookie("", 0),
            _ => Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "a session is opened with POST and ended with DELETE",
            )
            .into_response(),
        }
    };
    cors::guard(&shared.settings.origins, &parts, responding).await
}

fn set_cookie(value: &str, seconds: u64) -> Response {
    let cookie = format!(
        "{COOKIE_NAME}={value}; Max-Age={seconds}; HttpOnly; SameSite=Strict; Path=/; Secure"
    );
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "first-token-0123456789";
    const SECOND: &str = "second-token-0123456789";
    // HMAC-SHA-256 with the token as the key, as another implementation computes it.
    const FIRST_NAME: &str = "token-b0844587598da53d";
    const SECOND_NAME: &str = "token-e938e57fd6679e5e";

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
        assert_eq!(of(&format!("Bearer {FIRST}")).as_deref(), Some(FIRST_NAME));
        assert_eq!(
            of(&format!("bearer {SECOND}")).as_deref(),
            Some(SECOND_NAME)
        );
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
    fn a_caller_keeps_its_name_when_other_tokens_come_and_go() {
        for (given, names) in [
            (vec![FIRST, SECOND], vec![FIRST_NAME, SECOND_NAME]),
            (vec![SECOND, FIRST], vec![SECOND_NAME, FIRST_NAME]),
            (vec![SECOND], vec![SECOND_NAME]),
        ] {
            let tokens = SharedTokens::new(given).unwrap();
            let callers: Vec<_> = tokens.callers().map(Caller::as_str).collect();
            assert_eq!(callers, names);
        }
    }

    #[test]
    fn a_session_is_its_tokens_until_its_time() {
        let tokens = tokens();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let bearer = format!("Bearer {SECOND}");
        let bearer = headers(&[(AUTHORIZATION, &bearer)]);
        let value = tokens.open_session(&bearer, now).unwrap();
        let at = |cookie: &str, at: SystemTime| {
            let caller = tokens.by_session(&headers(&[(COOKIE, cookie)]), at);
            caller.map(|caller| caller.as_str().to_owned())
        };
        let cookie = format!("theme=dark; {COOKIE_NAME}={value}; other=1");
        assert_eq!(at(&cookie, now).as_deref(), Some(SECOND_NAME));
        assert_eq!(at(&cookie, now + SESSION), None);
        // Planted cookies before it do not hide it, however many.
        let crafted = format!("{}.{}", 1_000_001, "0".repeat(PROOF));
        for planted in ["", "1.0", "9999999999.0", &crafted] {
            let planted = format!("{COOKIE_NAME}={planted}; ").repeat(300);
            let cookie = format!("{planted}{cookie}");
            assert_eq!(at(&cookie, now).as_deref(), Some(SECOND_NAME), "{cookie}");
        }
        let (expires, proof) = value.split_once('.').unwrap();
        let later = expires.parse::<u64>().unwrap() + 1;
        for forged in [
            format!("{COOKIE_NAME}={later}.{proof}"),
            format!("{COOKIE_NAME}={expires}."),
            format!("{COOKIE_NAME}={expires}.{}", proof.to_uppercase()),
            format!("{COOKIE_NAME}={SECOND}"),
            format!("other_{COOKIE_NAME}={value}"),
            format!("{COOKIE_NAME}="),
            // A sibling domain can plant this name, with a session of its own.
            format!("uso_session={value}"),
        ] {
            assert_eq!(at(&forged, now), None, "{forged}");
        }
        let fewer = SharedTokens::new([FIRST]).unwrap();
        let cookie = headers(&[(COOKIE, &cookie)]);
        assert_eq!(fewer.by_session(&cookie, now), None);
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
