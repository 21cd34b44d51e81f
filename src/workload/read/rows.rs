//! `PromptRows`: what a file became.

use super::skipped::Skipped;
use crate::workload::PromptRow;
use std::sync::Arc;

/// The rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptRows {
    /// The file or folder, as a person knows it.
    pub name: Arc<str>,
    pub rows: Arc<Vec<PromptRow>>,
    /// Entries that ask nothing: no JSON, a conversation without a reply, a failed request.
    pub skipped: Option<Skipped>,
    /// Which columns were taken, where the file does not use our names.
    pub note: Option<String>,
}
