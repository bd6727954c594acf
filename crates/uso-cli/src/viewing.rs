//! Showing saved pictures: in the terminal, or in the system's viewer.

use std::fmt::Write as _;
use std::io::{self, Cursor, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::imageops::FilterType;
use uso_journal::SavedPicture;

use crate::args::Preview;
use crate::printer::Printer;

/// Width of a preview at most, in terminal cells.
const COLUMNS: u32 = 60;

/// A chunk of the kitty protocol, in base64 characters.
const CHUNK: usize = 4096;

/// Shows pictures on stderr, if it is a terminal. Only the content that was saved is shown.
pub(crate) fn preview(how: Preview, pictures: &[SavedPicture], printer: &Printer) {
    if how == Preview::Never || !printer.terminal || printer.quiet || !io::stderr().is_terminal() {
        return;
    }
    for picture in pictures {
        let shown = picture.read().map_err(|error| error.to_string());
        let shown = shown.and_then(|bytes| drawn(how, &bytes));
        match shown {
            // A terminal that is gone has no reader.
            Ok(text) => drop(writeln!(io::stderr(), "{text}")),
            Err(why) => printer.warn(&format!(
                "{} cannot be shown: {why}",
                picture.path.display()
            )),
        }
    }
}

fn drawn(how: Preview, bytes: &[u8]) -> Result<String, String> {
    match how {
        Preview::Auto => drawn(detected(), bytes),
        Preview::Kitty => kitty(bytes),
        Preview::Iterm2 => Ok(iterm2(bytes)),
        Preview::Blocks => blocks(bytes),
        Preview::Never => Ok(String::new()),
    }
}

/// Terminals say what they are in their environment; one that does not gets half blocks.
pub(crate) fn detected() -> Preview {
    let is = |name: &str, values: &[&str]| {
        let value = std::env::var(name).unwrap_or_default();
        values.iter().any(|known| value.contains(known))
    };
    // A multiplexer passes neither protocol on.
    if std::env::var_os("TMUX").is_some() || is("TERM", &["screen", "tmux"]) {
        return Preview::Blocks;
    }
    if std::env::var_os("KITTY_WINDOW_ID").is_some()
        || is("TERM", &["kitty", "ghostty"])
        || is("TERM_PROGRAM", &["ghostty"])
    {
        return Preview::Kitty;
    }
    if is("TERM_PROGRAM", &["iTerm", "WezTerm"]) || is("LC_TERMINAL", &["iTerm2"]) {
        return Preview::Iterm2;
    }
    Preview::Blocks
}

fn small(bytes: &[u8], width: u32, height: u32) -> Result<image::RgbImage, String> {
    let picture = image::load_from_memory(bytes).map_err(|error| error.to_string())?;
    Ok(picture
        .resize(width, height, FilterType::Triangle)
        .to_rgb8())
}

/// The protocol takes PNG; a small copy keeps the terminal's memory small.
fn kitty(bytes: &[u8]) -> Result<String, String> {
    let picture = small(bytes, 600, 600)?;
    let mut png = Cursor::new(Vec::new());
    let written = picture.write_to(&mut png, image::ImageFormat::Png);
    written.map_err(|error| error.to_string())?;
    let data = STANDARD.encode(png.into_inner());
    let chunks: Vec<&[u8]> = data.as_bytes().chunks(CHUNK).collect();
    let mut text = String::new();
    for (number, chunk) in chunks.iter().enumerate() {
        let head = if number == 0 { "a=T,f=100,q=2," } else { "" };
        let more = u8::from(number + 1 < chunks.len());
        let chunk = String::from_utf8_lossy(chunk);
        let _ = write!(text, "\x1b_G{head}m={more};{chunk}\x1b\\");
    }
    Ok(text)
}

fn iterm2(bytes: &[u8]) -> String {
    let data = STANDARD.encode(bytes);
    format!(
        "\x1b]1337;File=inline=1;size={};width={COLUMNS};preserveAspectRatio=1:{data}\x07",
        bytes.len()
    )
}

/// Two pixels a cell: the upper half block in the colour of the upper one, on the lower one's.
fn blocks(bytes: &[u8]) -> Result<String, String> {
    let (_, columns) = console::Term::stderr().size();
    let width = COLUMNS.min(u32::from(columns).saturating_sub(1)).max(1);
    let picture = small(bytes, width, width)?;
    let mut lines = Vec::new();
    for y in (0..picture.height()).step_by(2) {
        let mut line = String::new();
        for x in 0..picture.width() {
            let image::Rgb([r, g, b]) = *picture.get_pixel(x, y);
            let _ = write!(line, "\x1b[38;2;{r};{g};{b}m");
            if y + 1 < picture.height() {
                let image::Rgb([r, g, b]) = *picture.get_pixel(x, y + 1);
                let _ = write!(line, "\x1b[48;2;{r};{g};{b}m");
            }
            line.push('▀');
        }
        line.push_str("\x1b[0m");
        lines.push(line);
    }
    Ok(lines.join("\n"))
}

/// Opens pictures in the system's viewer, which outlives this command.
pub(crate) fn open(paths: &[PathBuf], printer: &Printer) {
    for path in paths {
        if let Err(error) = viewer(path).spawn() {
            printer.warn(&format!("{} could not be opened: {error}", path.display()));
        }
    }
}

fn viewer(path: &Path) -> Command {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let mut command = Command::new(program);
    // An absolute path is never taken for an option.
    command
        .arg(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
