//! What an invocation came to, for a CI server: `--junit` and `--summary`.

mod facts;
mod junit;
mod markdown;

use super::Experiment;
use crate::error::{Error, Result};
use crate::host::Host;
use facts::Closing;
use std::fs;
use std::io::Write;
use std::path::Path;

/// GitHub's page of a job: what is appended to this file is shown on it.
const GITHUB_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Looks before any load whether the files can be written. Until the end the JUnit file says that the end was not
/// reached, which is what a CI server has to show of a process that was killed.
pub fn begin(experiment: &Experiment) -> Result<()> {
    let (host, switches) = (&experiment.host, &experiment.switches);
    let wrong = |flag: &str, error: Error| Error::usage(format!("{flag}: {}", error.message));
    if let Some(path) = &switches.junit {
        let unfinished = Error::run(switches.lang.unfinished());
        let text = junit::text(&Closing::of(experiment, Some(&unfinished)));
        write(host, path, text.as_bytes()).map_err(|error| wrong("--junit", error))?;
    }
    if let Some(path) = &switches.summary {
        write(host, path, b"").map_err(|error| wrong("--summary", error))?;
    }
    Ok(())
}

/// Writes the files. `error`: what the process ends with.
pub fn save(experiment: &Experiment, error: Option<&Error>) -> Result<()> {
    let (host, switches) = (&experiment.host, &experiment.switches);
    let closing = Closing::of(experiment, error);
    let scrub = |text: String| experiment.secrets.scrub(&text).into_owned();
    let junit =
        switches.junit.as_ref().map(|path| write(host, path, scrub(junit::text(&closing)).as_bytes()));
    let page = scrub(markdown::text(&closing));
    let summary = switches.summary.as_ref().map(|path| write(host, path, page.as_bytes()));
    let did_something = !closing.findings.runs.is_empty() || !closing.findings.checks.is_empty();
    if did_something && let Some(path) = host.env(GITHUB_SUMMARY).filter(|path| !path.is_empty()) {
        let file = fs::OpenOptions::new().create(true).append(true).open(host.cwd().join(&path));
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{page}")) {
            experiment.console.warn(&format!("cannot append to {path} ({GITHUB_SUMMARY}): {error}"));
        }
    }
    junit.into_iter().chain(summary).collect()
}

fn write(host: &Host, path: &Path, bytes: &[u8]) -> Result<()> {
    let path = host.cwd().join(path);
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(&path, bytes))
        .map_err(|error| Error::run(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests;
