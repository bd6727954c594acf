//! Place of a journal: its default path, private files, and no network file system.

#[cfg(unix)]
use std::fs::File;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Name of the journal in a folder.
const NAME: &str = "journal.db";

/// The path that `USO_JOURNAL` names, or the platform's place for the state of programs.
pub(crate) fn default_path() -> Result<PathBuf, Error> {
    path_from(
        |name| std::env::var_os(name).map(PathBuf::from),
        std::env::home_dir,
    )
}

fn path_from(
    variable: impl Fn(&str) -> Option<PathBuf>,
    home: impl Fn() -> Option<PathBuf>,
) -> Result<PathBuf, Error> {
    let set = |name: &str| variable(name).filter(|value| !value.as_os_str().is_empty());
    if let Some(path) = set("USO_JOURNAL") {
        return Ok(path);
    }
    let home = || home().filter(|home| !home.as_os_str().is_empty());
    let folder = if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Application Support/uso"))
    } else if cfg!(windows) {
        set("LOCALAPPDATA").map(|folder| folder.join("uso"))
    } else {
        // A relative path there is to be ignored, as the specification of the variable says.
        let state = set("XDG_STATE_HOME").filter(|folder| folder.is_absolute());
        state
            .or_else(|| home().map(|home| home.join(".local/state")))
            .map(|folder| folder.join("uso"))
    };
    folder.map(|folder| folder.join(NAME)).ok_or(Error::NoPlace)
}

/// Whether a text names a journal on a server.
pub(crate) fn is_url(place: &str) -> bool {
    let scheme = place.split_once("://").map(|(scheme, _)| scheme);
    matches!(scheme, Some("postgres" | "postgresql"))
}

/// The path of a journal in a folder.
pub(crate) fn name_in(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// The path beside which this machine keeps what belongs to a journal on a server: a folder for each
/// server and database, in the platform's place for the state of programs.
#[cfg(feature = "postgres")]
pub(crate) fn beside(location: &str) -> Result<PathBuf, Error> {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(location.as_bytes());
    let name: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let not_set = |name: &str| std::env::var_os(name).filter(|_| name != "USO_JOURNAL");
    let usual = path_from(|name| not_set(name).map(PathBuf::from), std::env::home_dir)?;
    Ok(name_in(&usual.with_file_name("servers").join(name)))
}

/// The absolute path of a journal; a folder's is the one in it.
pub(crate) fn file_of(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io(path, "found", error))?;
    Ok(real(match absolute.is_dir() {
        true => absolute.join(NAME),
        false => absolute,
    }))
}

/// The one path of a file, however it is reached: the files beside a journal, which hold its locks
/// and the records of its batches, have to be the same for everyone who uses it.
fn real(path: PathBuf) -> PathBuf {
    // Windows gives such paths a prefix that people do not write.
    if cfg!(windows) {
        return path;
    }
    for folder in path.ancestors() {
        let Ok(real) = folder.canonicalize() else {
            continue;
        };
        return match path.strip_prefix(folder) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        };
    }
    path
}

/// Makes the folder and the file for their owner alone, where they are not there; says whether the
/// file is new. SQLite gives the files beside it the same permissions.
pub(crate) fn make_private(path: &Path) -> Result<bool, Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    refuse_network(path, folder)?;
    let made = private().write(true).create_new(true).open(path);
    match made {
        Ok(file) => {
            file.sync_all()
                .map_err(|error| Error::io(path, "made", error))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::metadata(path).map_err(|error| Error::io(path, "read", error))?;
            if !metadata.is_file() {
                return Err(Error::Damaged {
                    path: path.to_owned(),
                    why: "it is not a regular file".to_owned(),
                });
            }
            refuse_hard_links(path, &metadata)?;
            tighten(path, &metadata)?;
            Ok(false)
        }
        Err(error) => Err(Error::io(path, "made", error)),
    }
}

/// Options that make files for their owner alone.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder for its owner alone, and each new folder above it; a folder that is there keeps
/// its permissions. Each new name is on disk when this returns.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Error> {
    make(folder, true)
}

/// As [`make_folder`], with the usual permissions: for pictures.
pub(crate) fn make_folder_shared(folder: &Path) -> Result<(), Error> {
    make(folder, false)
}

fn make(folder: &Path, is_private: bool) -> Result<(), Error> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    #[cfg_attr(not(unix), expect(unused_mut, reason = "the mode is of Unix"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    if is_private {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    }
    #[cfg(not(unix))]
    let _ = is_private;
    for folder in missing.into_iter().rev() {
        match builder.create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io(folder, "made", error));
            }
            _ => sync_folder_of(folder)?,
        }
    }
    Ok(())
}

/// Makes sure that the name of a file or folder is on disk. Not every system can sync a folder.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| Error::io(folder, "synced", error))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// SQLite keeps the log of a file beside the name by which it is opened: under two names, one file has
/// two logs, and what is in one of them is lost.
#[cfg(unix)]
fn refuse_hard_links(path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    let names = std::os::unix::fs::MetadataExt::nlink(metadata);
    match names > 1 {
        true => Err(Error::Damaged {
            path: path.to_owned(),
            why: format!("the file has {names} names (hard links), and a journal has one"),
        }),
        false => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_hard_links(_path: &Path, _metadata: &fs::Metadata) -> Result<(), Error> {
    Ok(())
}

#[cfg(unix)]
fn tighten(path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let mine = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, mine).map_err(|error| Error::io(path, "made private", error))
}

#[cfg(not(unix))]
fn tighten(_path: &Path, _metadata: &fs::Metadata) -> Result<(), Error> {
    Ok(())
}

/// File systems whose files other machines may use at the same time. WAL needs memory that all
/// users of a file share.
const NETWORK: [&str; 25] = [
    "9p",
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fuse.ceph",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "fuse.vmhgfs-fuse",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
];

fn refuse_network(path: &Path, folder: &Path) -> Result<(), Error> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    // Only Linux has the table. UNC paths are those of other machines on Windows.
    let kind = match fs::read_to_string("/proc/self/mountinfo") {
        Ok(table) => network_of(&table, &folder),
        Err(_) if cfg!(windows) && is_unc(&folder) => Some("SMB".to_owned()),
        Err(_) => None,
    };
    match kind {
        Some(kind) => Err(Error::NetworkFileSystem {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

fn is_unc(folder: &Path) -> bool {
    let text = folder.to_string_lossy();
    text.starts_with(r"\\?\UNC\") || (text.starts_with(r"\\") && !text.starts_with(r"\\?\"))
}

/// The network file system that a folder lies on, by the system's table of mounts.
fn network_of(table: &str, folder: &Path) -> Option<String> {
    let mounts = table.lines().filter_map(|line| {
        let (mount, rest) = line.split_once(" - ")?;
        let point = unescaped(mount.split(' ').nth(4)?);
        let kind = rest.split(' ').next()?;
        folder
            .starts_with(&point)
            .then(|| (Path::new(&point).components().count(), kind.to_owned()))
    });
    // Of mounts at one point, the last one covers the others.
    let (_, kind) = mounts.max_by_key(|(depth, _)| *depth)?;
    NETWORK.contains(&kind.as_str()).then_some(kind)
}

/// Blanks and backslashes stand as three octal digits in the table.
fn unescaped(text: &str) -> String {
    text.replace(r"\040", " ")
        .replace(r"\011", "\t")
        .replace(r"\012", "\n")
        .replace(r"\134", r"\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:40 / /home rw shared:1 - nfs4 server:/home rw
31 30 0:41 / /home/me/local rw - xfs /dev/vdb rw
32 22 0:42 / /mnt/my\\040share rw - cifs //server/share rw
33 22 0:43 / /both rw - nfs server:/a rw
34 22 0:44 / /both rw - ext4 /dev/vdc rw
35 22 0:45 / /remote rw - fuse.sshfs host: rw
";

    #[test]
    fn the_deepest_and_latest_mount_decides() {
        let of = |folder: &str| network_of(TABLE, Path::new(folder));
        assert_eq!(of("/var/lib"), None);
        assert_eq!(of("/home/me"), Some("nfs4".to_owned()));
        assert_eq!(of("/home/me/local/state"), None);
        assert_eq!(of("/homes"), None);
        assert_eq!(of("/mnt/my share/x"), Some("cifs".to_owned()));
        assert_eq!(of("/both"), None);
        assert_eq!(of("/remote"), Some("fuse.sshfs".to_owned()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_place_follows_the_environment() {
        let of = |pairs: &'static [(&str, &str)]| {
            let find = |name: &str| {
                let pair = pairs.iter().find(|(known, _)| *known == name);
                pair.map(|(_, value)| PathBuf::from(value))
            };
            path_from(find, || Some(PathBuf::from("/home/me"))).unwrap()
        };
        assert_eq!(of(&[]), Path::new("/home/me/.local/state/uso/journal.db"));
        assert_eq!(
            of(&[("XDG_STATE_HOME", "/s")]),
            Path::new("/s/uso/journal.db")
        );
        assert_eq!(
            of(&[("XDG_STATE_HOME", "s")]),
            Path::new("/home/me/.local/state/uso/journal.db")
        );
        assert_eq!(
            of(&[("USO_JOURNAL", "/a.db"), ("XDG_STATE_HOME", "/s")]),
            Path::new("/a.db")
        );
    }
}
