//! What is asked of an export, what came of it, and the files that it writes.

use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// The result JSON of vLLM's benchmark with its lists, a file a run, by vLLM's definitions.
    Vllm,
    /// Chrome's trace events, which Perfetto opens.
    Perfetto,
    /// One row a request.
    Csv,
}

impl ExportFormat {
    pub const ALL: [(&'static str, ExportFormat); 3] =
        [("vllm", ExportFormat::Vllm), ("perfetto", ExportFormat::Perfetto), ("csv", ExportFormat::Csv)];
}

/// What is asked for.
pub struct Export {
    pub folder: PathBuf,
    /// Where the files go.
    pub output: PathBuf,
    pub format: ExportFormat,
    /// These runs alone; none: all.
    pub runs: Vec<String>,
}

/// The files that were written, and warnings about rows that could not be read.
#[derive(Debug, Default)]
pub struct Exported {
    pub files: Vec<PathBuf>,
    pub warnings: Vec<String>,
}

impl Exported {
    pub fn warn(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

/// A run, as `runs.parquet` has it.
pub struct Run(pub Map<String, Value>);

impl Run {
    pub fn name(&self) -> &str {
        self.0.get("run").and_then(Value::as_str).unwrap_or_default()
    }

    /// Wall clock of its zero, milliseconds since 1970.
    pub fn zero_ms(&self) -> i64 {
        self.0.get("zero_ms").and_then(Value::as_f64).unwrap_or_default() as i64
    }
}

/// A file that gets its name when it is whole, and takes none that is there: `-2` is put behind it.
pub struct NewFile {
    out: BufWriter<File>,
    aside: PathBuf,
    folder: PathBuf,
    name: String,
    ending: &'static str,
}

impl NewFile {
    pub fn create(folder: &Path, name: &str, ending: &'static str) -> Result<NewFile> {
        let aside = folder.join(format!(".{name}.{}.tmp", std::process::id()));
        let file = File::create(&aside).map_err(|error| cannot_write(&aside, &error))?;
        let out = BufWriter::with_capacity(1 << 16, file);
        Ok(NewFile { out, aside, folder: folder.into(), name: name.into(), ending })
    }

    pub fn put(&mut self, text: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.out.write_all(text.as_ref())
    }

    pub fn finish(mut self) -> Result<PathBuf> {
        let flushed = self.out.flush();
        flushed.map_err(|error| cannot_write(&self.aside, &error))?;
        for n in 1.. {
            let number = if n == 1 { String::new() } else { format!("-{n}") };
            let path = self.folder.join(format!("{}{number}.{}", self.name, self.ending));
            // A link fails where a name is taken; a rename would write over it.
            match fs::hard_link(&self.aside, &path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(_) if !path.exists() => {
                    fs::rename(&self.aside, &path).map_err(|error| cannot_write(&path, &error))?;
                    return Ok(path);
                }
                Err(error) => return Err(cannot_write(&path, &error)),
                Ok(()) => return Ok(path),
            }
        }
        unreachable!("the numbers do not end")
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Gone where it was renamed.
        let _ = fs::remove_file(&self.aside);
    }
}

pub fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::run(format!("cannot write {}: {error}", path.display()))
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
