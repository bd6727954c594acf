//! Password file: the lines `host:port:database:user:password` that PostgreSQL's own programs read.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;

use super::servers::servers;
use crate::error::Error;

/// The password that `PGPASSFILE` or `~/.pgpass` has for a server.
pub(super) fn password(
    config: &Config,
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Error> {
    let named = variable("PGPASSFILE").map(PathBuf::from);
    let usual = || variable("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let Some(path) = named.clone().or_else(usual) else {
        return Ok(None);
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_some() => return Err(Error::io(&path, "read", error)),
        Err(_) => return Ok(None),
    };
    check_private(&path)?;
    let (database, user) = (config.get_dbname(), config.get_user());
    let wanted = |(host, port): &(String, u16)| {
        find(
            &text,
            [
                host,
                &port.to_string(),
                database.unwrap_or_default(),
                user.unwrap_or_default(),
            ],
        )
    };
    Ok(servers(config).iter().find_map(wanted))
}

/// Refuses a file that others can read, as PostgreSQL's own programs do.
fn check_private(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(path).map_err(|error| Error::io(path, "read", error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(Error::Address(format!(
                "others can read the password file {0}; run: chmod 600 {0}",
                path.display()
            )));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// The password of the first line that matches host, port, database and user.
fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|mut fields| {
        let password = (fields.len() == 5).then(|| fields.pop()).flatten()?;
        let is_match = |(field, wanted): (&String, &str)| field == "*" || field == wanted;
        fields.iter().zip(wanted).all(is_match).then_some(password)
    })
}

/// Fields between colons; a backslash makes the next character a plain one.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        // A password may hold colons only with a backslash before them.
        let plain = match letter {
            ':' => {
                fields.push(String::new());
                continue;
            }
            '\\' => letters.next().unwrap_or(letter),
            letter => letter,
        };
        if let Some(field) = fields.last_mut() {
            field.push(plain);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_matches_has_the_password() {
        let text = "# h:5432:uso:ann:comment\n\
            h:5432:other:ann:one\n\
            h:5432:uso:ann:se\\:cr\\\\et\n\
            *:*:*:*:last\n";
        let of = |wanted| find(text, wanted);
        assert_eq!(
            of(["h", "5432", "uso", "ann"]).as_deref(),
            Some("se:cr\\et")
        );
        assert_eq!(of(["h", "5433", "uso", "ann"]).as_deref(), Some("last"));
        assert_eq!(find("h:5432:uso:ann", ["h", "5432", "uso", "ann"]), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwords");
        fs::write(&path, "h:5432:uso:ann:hunter2\n").unwrap();
        let config: Config = "postgres://ann@h/uso".parse().unwrap();
        let variable = |name: &str| (name == "PGPASSFILE").then(|| path.clone().into_os_string());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = password(&config, &variable).unwrap_err().to_string();
        assert!(
            refused.contains("chmod 600") && !refused.contains("hunter2"),
            "{refused}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(
            password(&config, &variable).unwrap().as_deref(),
            Some("hunter2")
        );
    }
}
