//! What the benchmarks share: who runs on which core, and how options are read.

// Each benchmark is a crate of its own and uses a part of this.
#![allow(dead_code, reason = "each bench uses some of it")]

pub mod child;
pub mod client;
pub mod faulty;
pub mod floor;
pub mod load;
pub mod lossy;
pub mod saboteur;
pub mod server;

use std::fmt::Display;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The cores of this machine, shared out so that the server never takes time from the client.
#[derive(Debug, Clone)]
pub struct Cores {
    pub server: Vec<usize>,
    pub client: Vec<usize>,
}

impl Cores {
    /// The server gets the last core that this process may use and the client all others; with
    /// one core, or where a process cannot be tied to a core, nobody is tied.
    pub fn share() -> Cores {
        let mut all = child::cores();
        match (all.len() > 1).then(|| all.pop()).flatten() {
            Some(last) => Cores { server: vec![last], client: all },
            None => Cores { server: Vec::new(), client: Vec::new() },
        }
    }
}

/// What stands behind `cargo bench --bench NAME --`.
#[derive(Debug)]
pub struct Options {
    /// How often each measurement is repeated; the tables show medians.
    pub runs: usize,
    /// Only the sections whose name holds one of these words.
    pub only: Vec<String>,
    /// Another server than the built-in engine.
    pub server: Option<String>,
}

impl Options {
    /// Fails with a sentence that lists the options.
    pub fn read() -> Result<Options> {
        let mut options = Options { runs: 5, only: Vec::new(), server: None };
        let mut given = std::env::args().skip(1);
        while let Some(word) = given.next() {
            match &*word {
                // Cargo says so to every benchmark.
                "--bench" => {}
                "--runs" => options.runs = given.next().unwrap_or_default().parse::<usize>()?.max(1),
                "--server" => options.server = Some(given.next().ok_or("--server needs a URL")?),
                _ if word.starts_with('-') => {
                    return Err(format!(
                        "unknown option {word}: there are --runs N, --server URL, SECTION..."
                    )
                    .into());
                }
                _ => options.only.push(word),
            }
        }
        Ok(options)
    }

    pub fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| section.contains(&**word))
    }
}

/// The middle value; of an even number the mean of the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// A table with a title; the first column is text, the others are numbers.
pub fn print_table(title: &str, head: &[&str], rows: &[Vec<String>]) {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY).set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    println!("\n{title}\n{table}");
}

/// A number with so many digits behind the point; a dash where there is none.
pub fn digits(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "-".into() }
}

/// Says what is under way, on standard error, so that the tables can be piped away.
pub fn tell(what: impl Display) {
    eprintln!("  {what}");
}
