//! `Recorded`: how many different prompts a workload has that were recorded and not made.

use super::read::Skipped;
use super::{Ask, Workload};
use std::sync::Arc;

/// One data set of a workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The file or folder, as a person knows it.
    pub name: Arc<str>,
    /// `None`: only lengths were recorded, and the words are fresh in each request.
    pub prompts: Option<u64>,
    /// Entries of the file that were used.
    pub entries: u64,
    /// Entries of the file that were left out.
    pub skipped: Option<Skipped>,
    /// The part of all requests that ask it, from 0 to 1.
    pub share: f64,
}

impl Recorded {
    /// How many of a run's requests ask this data set.
    pub fn asked(&self, requests: u64) -> u64 {
        (requests as f64 * self.share).round() as u64
    }
}

impl Workload {
    /// The data sets of all its parts.
    pub fn recorded(&self) -> Vec<Recorded> {
        let mut found = Vec::new();
        self.gather(1.0, &mut found);
        found
    }

    fn gather(&self, share: f64, found: &mut Vec<Recorded>) {
        match self {
            Workload::Prompts(_) | Workload::Sonnet(_) | Workload::Chat(_) => {}
            #[cfg(test)]
            Workload::Talks(_) => {}
            Workload::Models(models) => models.workload.gather(share, found),
            Workload::Marked(marked) => marked.workload.gather(share, found),
            Workload::Mix(parts) => {
                let all: f64 = parts.iter().map(|(weight, _)| weight).sum();
                parts.iter().for_each(|(weight, part)| part.gather(share * weight / all, found));
            }
            Workload::Dataset(set) => {
                let entries = set.rows.len() as u64;
                let made = set.rows.iter().all(|row| matches!(row.ask, Ask::Tokens(_)));
                found.push(Recorded {
                    name: set.name.clone(),
                    prompts: (!made).then_some(entries),
                    entries,
                    skipped: set.skipped.clone(),
                    share,
                });
            }
            Workload::Trace(replay) => found.push(Recorded {
                name: replay.trace.name.clone(),
                prompts: None,
                entries: replay.trace.rows() as u64,
                skipped: None,
                share,
            }),
            Workload::Clips(set) => found.push(Recorded {
                name: set.name.clone(),
                prompts: Some(set.clips.len() as u64),
                entries: set.clips.len() as u64,
                skipped: None,
                share,
            }),
        }
    }
}
