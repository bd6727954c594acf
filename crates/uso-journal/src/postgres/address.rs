//! Address of a journal on a server: a `postgres://` URL, what the environment adds, and which
//! connections need TLS.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use url::form_urlencoded;

use super::pgpass;
use super::servers::{DEFAULT_PORT, servers};
use crate::error::Error;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a server may leave sent data unacknowledged before the connection counts as lost.
const SILENT_FOR: Duration = Duration::from_secs(20);

/// Address of a journal on a server.
pub(super) struct Address {
    pub(super) config: Config,
    /// Whether connections are encrypted, and the server's certificate verified.
    pub(super) is_encrypted: bool,
    /// PEM file of the certificate authorities to trust in place of the system's.
    pub(super) root_certificates: Option<PathBuf>,
    /// Server and database, without user and password.
    pub(super) location: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.location).finish()
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::Address(message.into())
}

impl Address {
    /// Reads a URL, with what the environment says about what the URL leaves out: `PGUSER`,
    /// `PGPASSWORD`, `PGPASSFILE` and `PGSSLROOTCERT`.
    pub(super) fn of(url: &str) -> Result<Self, Error> {
        Self::with(url, |name| {
            std::env::var_os(name).filter(|value| !value.is_empty())
        })
    }

    fn with(
        url: &str,
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, Error> {
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut root_certificates = variable("PGSSLROOTCERT").map(PathBuf::from);
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => root_certificates = Some(PathBuf::from(value.as_ref())),
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        let rest = rest.finish().replace('+', "%20");
        let url = match rest.is_empty() {
            true => base.to_owned(),
            false => format!("{base}?{rest}"),
        };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            // The parser's reason names an option or a part of the URL, and no value.
            let why = std::error::Error::source(&error).map(ToString::to_string);
            refuse(why.unwrap_or_else(|| error.to_string()))
        })?;
        if config.get_hosts().is_empty() {
            return Err(refuse(
                "it names no host; write postgres://HOST/DATABASE, or ?host=FOLDER of a socket",
            ));
        }
        if config.get_user().is_none()
            && let Some(user) = text("PGUSER").or_else(|| text("USER"))
        {
            config.user(user);
        }
        let user = config.get_user().map(str::to_owned);
        let user = user.ok_or_else(|| {
            refuse("it names no user; write postgres://USER@HOST/DATABASE, or set PGUSER")
        })?;
        if config.get_dbname().is_none() {
            config.dbname(&user);
        }
        let is_encrypted = is_encrypted(&config, mode.as_deref())?;
        config.ssl_mode(match is_encrypted {
            true => SslMode::Require,
            false => SslMode::Disable,
        });
        if config.get_password().is_none() {
            match text("PGPASSWORD") {
                Some(password) => config.password(password),
                None => match pgpass::password(&config, &variable)? {
                    Some(password) => config.password(password),
                    None => &mut config,
                },
            };
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENT_FOR);
        }
        if config.get_application_name().is_none() {
            config.application_name("uso");
        }
        Ok(Self {
            is_encrypted,
            root_certificates: root_certificates.filter(|path| path.as_os_str() != "system"),
            location: location(&config),
            config,
        })
    }
}

/// Whether connections are encrypted. Those to other machines always are, with a verified
/// certificate.
fn is_encrypted(config: &Config, mode: Option<&str>) -> Result<bool, Error> {
    let wants = match mode {
        None => None,
        Some("disable" | "allow") => Some(false),
        // Every encrypted connection is verified, so that these mean the same.
        Some("prefer") => None,
        Some("require" | "verify-ca" | "verify-full") => Some(true),
        Some(other) => {
            return Err(refuse(format!(
                "sslmode={other:?} is not known; use verify-full, or disable for a server on this machine"
            )));
        }
    };
    let addresses = config.get_hostaddrs();
    let is_local = match addresses.is_empty() {
        true => config.get_hosts().iter().all(is_local),
        false => addresses.iter().all(IpAddr::is_loopback),
    };
    match (is_local, wants) {
        (true, wants) => Ok(wants.unwrap_or(false)),
        (false, Some(false)) => Err(refuse(
            "the server is another machine, and sslmode=disable would send prompts and the password \
             unencrypted; leave sslmode out, and name a private authority with sslrootcert=FILE",
        )),
        (false, _) => Ok(true),
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn location(config: &Config) -> String {
    let servers = servers(config).into_iter().map(|(host, port)| {
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host,
        };
        match port {
            DEFAULT_PORT => host,
            port => format!("{host}:{port}"),
        }
    });
    let servers: Vec<String> = servers.collect();
    let database = config.get_dbname().unwrap_or_default();
    format!("postgres://{}/{database}", servers.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Address, Error> {
        Address::with(url, |name| (name == "PGUSER").then(|| "ann".into()))
    }

    #[test]
    fn another_machine_is_reached_with_verified_tls_alone() {
        for mode in [
            "",
            "?sslmode=prefer",
            "?sslmode=require",
            "?sslmode=verify-ca",
            "?sslmode=verify-full",
        ] {
            let address = of(&format!("postgres://db.example.org/uso{mode}")).unwrap();
            assert!(address.is_encrypted, "{mode}");
            assert_eq!(address.config.get_ssl_mode(), SslMode::Require, "{mode}");
        }
        for mode in ["disable", "allow"] {
            let refused = of(&format!("postgres://db.example.org/uso?sslmode={mode}"));
            let message = refused.unwrap_err().to_string();
            assert!(message.contains("sslrootcert"), "{message}");
        }
        // One of several servers is enough, and so is the address behind a name.
        assert!(
            of("postgres://localhost,10.0.0.1/uso")
                .unwrap()
                .is_encrypted
        );
        assert!(
            of("postgres://localhost/uso?hostaddr=10.0.0.1")
                .unwrap()
                .is_encrypted
        );
    }

    #[test]
    fn this_machine_is_reached_without_tls_unless_it_is_asked_for() {
        for host in ["localhost", "127.0.0.1", "[::1]", "127.8.0.1"] {
            let plain = of(&format!("postgres://{host}/uso")).unwrap();
            assert!(!plain.is_encrypted, "{host}");
            let encrypted = of(&format!("postgres://{host}/uso?sslmode=verify-full")).unwrap();
            assert!(encrypted.is_encrypted, "{host}");
        }
        assert!(
            !of("postgres:///uso?host=/run/postgresql")
                .unwrap()
                .is_encrypted
        );
    }

    #[test]
    fn a_location_has_no_user_and_no_password() {
        let address =
            of("postgres://eve:hunter2@db.example.org:5433/uso?application_name=x").unwrap();
        assert_eq!(address.location, "postgres://db.example.org:5433/uso");
        assert_eq!(
            format!("{address:?}"),
            "Address(\"postgres://db.example.org:5433/uso\")"
        );
        for broken in [
            "postgres://eve:hunter2@db.example.org:port/uso",
            "postgres://eve:hunter2@h/uso?no=1",
        ] {
            let message = of(broken).unwrap_err().to_string();
            assert!(
                !message.contains("hunter2") && !message.contains("eve"),
                "{message}"
            );
        }
    }

    #[test]
    fn what_the_url_leaves_out_comes_from_the_environment() {
        let address = of("postgres://db.example.org").unwrap();
        assert_eq!(address.config.get_user(), Some("ann"));
        assert_eq!(address.config.get_dbname(), Some("ann"));
        let set = |name: &str| match name {
            "PGPASSWORD" => Some("hunter2".into()),
            "PGSSLROOTCERT" => Some("/etc/ca.pem".into()),
            _ => None,
        };
        let address = Address::with("postgres://eve@db.example.org/uso", set).unwrap();
        assert_eq!(address.config.get_password(), Some(&b"hunter2"[..]));
        assert_eq!(address.root_certificates, Some("/etc/ca.pem".into()));
        let address = Address::with("postgres://eve@h/uso?sslrootcert=%2Fx%20y.pem", set).unwrap();
        assert_eq!(address.root_certificates, Some("/x y.pem".into()));
    }
}
