//! What the benchmarks share: parties that run as processes of their own, so that each one's CPU
//! time and memory are its own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure ends"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A runtime of one thread.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Prints what the work cost this process.
pub fn report(work: impl FnOnce()) {
    report_with(|| {
        work();
        json!({})
    });
}

/// Prints what the work cost this process, beside the figures that it gives itself.
pub fn report_with(work: impl FnOnce() -> Value) {
    let before = Cost::so_far();
    before.print_since(work());
}

/// As [`report_with`], for work in a runtime whose preparation does not count.
pub async fn report_of(work: impl Future<Output = Value>) {
    let before = Cost::so_far();
    before.print_since(work.await);
}

/// What a process has used.
struct Cost {
    cpu: Duration,
    at: Instant,
}

impl Cost {
    fn so_far() -> Self {
        Self {
            cpu: cpu_time(),
            at: Instant::now(),
        }
    }

    fn print_since(self, mut figures: Value) {
        figures["cpu_ns"] = json!((cpu_time() - self.cpu).as_nanos() as u64);
        figures["wall_s"] = json!(self.at.elapsed().as_secs_f64());
        figures["peak_kib"] = json!(peak_kib());
        println!("{figures}");
    }
}

/// CPU time of this process, with that of the threads that have ended.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().expect("a time after the start")
}

/// CPU time in seconds of a process and of its children, those that have ended included.
pub fn cpu_seconds_of_family(parent: u32) -> f64 {
    let processes = std::fs::read_dir("/proc").expect("the benchmark needs Linux's /proc");
    let ticks = |entry: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold blanks. After it come the state and the parent.
        let (before, after) = stat.rsplit_once(')')?;
        let id: u32 = before.split(' ').next()?.parse().ok()?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let is_child = fields[1].parse() == Ok(parent);
        let times = fields[11..15]
            .iter()
            .map(|field| field.parse().unwrap_or(0));
        (is_child || id == parent).then(|| times.sum::<u64>())
    };
    let ticks: u64 = processes.flatten().filter_map(ticks).sum();
    // The kernel tells these times in hundredths of a second on every platform.
    ticks as f64 / 100.0
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Starts this very program with these arguments.
pub fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The first line that a party prints, as JSON.
pub fn first_line(child: &mut Child) -> Value {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    serde_json::from_str(&line).unwrap()
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs two parties in turn, each against a server of its own, which is this program with the word
/// `serve`; `arguments` are what a party needs to know of its server. Gives what each party printed.
pub fn in_turns(
    names: [&'static str; 2],
    rounds: usize,
    arguments: impl Fn(&Value) -> Vec<String>,
) -> [(&'static str, Vec<Value>); 2] {
    let mut figures = names.map(|name| (name, Vec::new()));
    for _ in 0..rounds {
        for (name, runs) in &mut figures {
            let mut server = start(&["serve"]);
            let arguments = arguments(&first_line(&mut server));
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut client = start(&[&[*name][..], &arguments].concat());
            runs.push(first_line(&mut client));
            assert!(client.wait().unwrap().success(), "{name}");
            drop(server.stdin.take());
            server.wait().unwrap();
        }
    }
    figures
}

/// The median of one figure.
pub fn median_of(runs: &[Value], field: &str) -> f64 {
    let figures = runs.iter().map(|run| run[field].as_f64().unwrap());
    median(figures.collect())
}
