//! `uso batch`: planned as a whole, bought once a row, collected after every kind of end.

mod files;
#[cfg(unix)]
mod kills;
mod manifests;
mod notifications;
#[cfg(target_os = "linux")]
mod records;
mod report;
mod runs;
#[cfg(unix)]
mod signals;

use std::fs;
use std::path::PathBuf;

use uso_emulator::EmulatorBuilder;
use uso_tests::rig::{Cli, Rig, Run, content, style};

/// The command line with a folder of content pictures, against an emulator.
struct Studio {
    rig: Rig,
    cli: Cli,
}

impl Studio {
    async fn of(builder: EmulatorBuilder) -> Self {
        let rig = Rig::of(builder).await;
        let cli = Cli::new(env!("CARGO_BIN_EXE_uso-under-test")).at(&rig.emulator.origin());
        fs::copy(style(), cli.folder().join("ink.jpg")).unwrap();
        Self { rig, cli }
    }

    async fn plain() -> Self {
        Self::of(Rig::plain_builder()).await
    }

    /// Content pictures of this many different rows, all of the same size.
    fn photos(&self, count: usize) {
        fs::create_dir_all(self.path("photos")).unwrap();
        let picture = fs::read(content()).unwrap();
        for number in 1..=count {
            let mut bytes = picture.clone();
            // Bytes behind the end of a JPEG are no part of the picture.
            bytes.extend(format!("{number}").bytes());
            fs::write(self.path(&format!("photos/p{number:04}.jpg")), bytes).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.cli.folder().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs the command line in a thread, so that the emulator can answer.
    async fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.cli.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        Run::of(&output.await.unwrap().unwrap())
    }

    fn bought(&self) -> usize {
        self.rig.emulator.ledger().purchases().len()
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}
