//! Access of the page: a token in a private file, and what is derived from the token.
//!
//! The browser gets the token once, in the fragment of the URL, which no server and no `Referer`
//! sees. It exchanges the token for a cookie, which every read needs, and for a second value, which
//! every change carries in a header. Both are derived from the token, so that they outlive a restart
//! and end with the token's file.
//!
//! Browsers send a cookie to every port of its host, so that servers of other users of this machine
//! may see the cookie. The second value is given for the token alone, and the page keeps it in the
//! storage of its origin, which no other port can read.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use http::HeaderMap;
use http::header::COOKIE;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::headers::single;

/// Header of a change, and of the exchange of the token.
pub(crate) const HEADER: &str = "x-uso-token";

/// Bytes of a token.
const BYTES: usize = 32;

/// How long a browser keeps the cookie.
const COOKIE_SECONDS: u32 = 30 * 24 * 3600;

/// The token of a studio. `Debug` does not show it.
pub(crate) struct Access {
    token: String,
    cookie: String,
    key: hmac::Key,
}

impl Access {
    /// The token in this file, which is made for its owner alone if it is not there. The port is
    /// part of the cookie's name, so that several studios do not replace each other's cookies.
    pub(crate) fn open(file: &Path, port: u16) -> io::Result<Self> {
        let token = match read(file)? {
            Some(token) => token,
            None => {
                write_new(file, &random()?)?;
                // Another process may have been first.
                read(file)?.ok_or_else(|| io::Error::other("the file of the token is gone"))?
            }
        };
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()),
            cookie: format!("uso_studio_{port}"),
            token,
        })
    }

    /// The token, for the fragment of the page's URL.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The value that changes carry in [`HEADER`].
    pub(crate) fn change_token(&self) -> String {
        self.derived(b"change")
    }

    /// The `Set-Cookie` header that lets a browser read; by TLS only where the page came by TLS.
    pub(crate) fn set_cookie(&self, is_by_tls: bool) -> String {
        let (name, value) = (&self.cookie, self.derived(b"read"));
        let secure = if is_by_tls { "; Secure" } else { "" };
        format!(
            "{name}={value}; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict; Path=/{secure}"
        )
    }

    /// Whether the headers carry the token itself.
    pub(crate) fn has_token(&self, headers: &HeaderMap) -> bool {
        single(headers, HEADER).is_some_and(|shown| self.is_same(shown, &self.token))
    }

    /// Whether the headers carry the cookie.
    pub(crate) fn may_read(&self, headers: &HeaderMap) -> bool {
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .filter(|(name, _)| *name == self.cookie)
            .any(|(_, value)| self.is_same(value, &self.derived(b"read")))
    }

    /// Whether the headers carry the cookie and the value of a change.
    pub(crate) fn may_change(&self, headers: &HeaderMap) -> bool {
        let shown = single(headers, HEADER);
        self.may_read(headers)
            && shown.is_some_and(|shown| self.is_same(shown, &self.change_token()))
    }

    fn derived(&self, purpose: &[u8]) -> String {
        hexadecimal(hmac::sign(&self.key, purpose).as_ref())
    }

    /// Compares digests, so that the time tells nothing of the value.
    fn is_same(&self, shown: &str, value: &str) -> bool {
        let known = hmac::sign(&self.key, value.as_bytes());
        hmac::verify(&self.key, shown.as_bytes(), known.as_ref()).is_ok()
    }
}

fn read(file: &Path) -> io::Result<Option<String>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::metadata(file)?.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other(
                "other users can read it; remove the file, and a new token is made",
            ));
        }
    }
    let token = text.trim();
    match is_hexadecimal(token) {
        true => Ok(Some(token.to_owned())),
        false => Err(io::Error::other(
            "it holds no token; remove the file, and a new token is made",
        )),
    }
}

fn write_new(file: &Path, token: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    // Temporary files are created for their owner alone.
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(temporary, "{token}")?;
    temporary.as_file().sync_all()?;
    match temporary.persist_noclobber(file) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

/// Random bytes in hexadecimal, as many as a token has.
pub(crate) fn random() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(hexadecimal(&bytes))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is a token or a SHA-256: as many bytes in hexadecimal, in lower case.
pub(crate) fn is_hexadecimal(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 2 * BYTES && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_outlives_a_restart_and_ends_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let first = Access::open(&file, 1).unwrap();
        let cookie = first.set_cookie(false);
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.split(';').next().unwrap().parse().unwrap());
        headers.insert(HEADER, first.change_token().parse().unwrap());
        let again = Access::open(&file, 1).unwrap();
        assert_eq!(first.token(), again.token());
        assert!(again.may_change(&headers));
        assert!(
            !Access::open(&file, 2).unwrap().may_read(&headers),
            "another port"
        );
        fs::remove_file(&file).unwrap();
        let other = Access::open(&file, 1).unwrap();
        assert!(!other.may_read(&headers));
        assert!(!other.may_change(&headers));
    }

    #[test]
    fn a_cookie_alone_changes_nothing_and_the_values_are_not_exchangeable() {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::open(&folder.path().join("token"), 7).unwrap();
        let cookie = access.set_cookie(false);
        let (pair, value) = (cookie.split(';').next().unwrap(), access.change_token());
        let of = |header: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, pair.parse().unwrap());
            headers.insert(HEADER, header.parse().unwrap());
            headers
        };
        assert!(access.may_change(&of(&value)));
        let read = pair.split_once('=').unwrap().1;
        for wrong in [
            "",
            "x",
            read,
            access.token(),
            &value.chars().take(62).collect::<String>(),
            &format!("{value}00"),
        ] {
            assert!(!access.may_change(&of(wrong)), "{wrong}");
        }
        let mut twice = of(&value);
        twice.append(HEADER, value.parse().unwrap());
        assert!(!access.may_change(&twice));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        drop(Access::open(&file, 1).unwrap());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Access::open(&file, 1).is_err());
    }
}
