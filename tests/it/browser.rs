//! A real browser, driven by a script in `official`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use uso_tests::rig::{file, skipped};

use crate::official::javascript;

/// Where the scripts' library and the browser are.
pub(crate) struct Browser {
    library: &'static Path,
    program: PathBuf,
}

impl Browser {
    /// The browser, where it is installed; skips the test where it is missing.
    pub(crate) fn found(test: &str) -> Option<Self> {
        let library = javascript(test)?;
        let Some(program) = program() else {
            skipped(test, "chromium");
            return None;
        };
        Some(Self { library, program })
    }

    /// A script with the browser. The folder is its home.
    pub(crate) fn script(&self, script: &str, home: &Path) -> Command {
        let mut node = Command::new("node");
        node.arg(file(&format!("official/{script}")))
            .arg(self.library)
            .arg(&self.program)
            .env("HOME", home);
        node
    }

    /// What the script saw of a page; screenshots go to the folder that `USO_SHOTS` names.
    pub(crate) async fn saw(&self, script: &str, page: impl AsRef<OsStr>) -> Value {
        let home = tempfile::tempdir().unwrap();
        let mut node = self.script(script, home.path());
        node.arg(page).args(std::env::var_os("USO_SHOTS"));
        let output = node.output().await.unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// The whole path of the browser, which its driver wants.
fn program() -> Option<PathBuf> {
    let works = |program: &PathBuf| {
        let mut command = std::process::Command::new(program);
        let output = command.arg("--version").stderr(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(works)
}
