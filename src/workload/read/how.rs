//! `How`: what a file of prompts looks like, and how to read it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a file of prompts looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataFormat {
    /// One JSON object a line, or all in one list: `prompt` (text or token ids) or `messages`,
    /// optional `output_tokens`. A line may also be a list of messages.
    #[default]
    Jsonl,
    /// A header and the same columns; `messages` holds JSON.
    Csv,
    /// One prompt a line.
    Lines,
    /// Conversations, of which the first prompt and reply count.
    ShareGpt,
    /// One request body a line, as for the batch API of OpenAI.
    OpenAiBatch,
    /// `Request tokens` and `Response tokens`; the text is made.
    BurstGpt,
    /// A table whose columns of prompts and replies are named, or have usual names.
    Parquet,
    /// The same from a data set of the hub: a file, a folder with splits, the local cache.
    Hf,
}

/// How to read a file.
#[derive(Debug, Clone, Default)]
pub struct How {
    pub format: DataFormat,
    /// The column that holds prompts or messages, and the one that holds replies or their tokens.
    pub prompt_column: Option<String>,
    pub reply_column: Option<String>,
    /// Which files of a data set of the hub: `train` and the only subset, unless they are named.
    pub split: Option<String>,
    pub subset: Option<String>,
    /// Conversations are read with all their turns, and an entry that is none asks nothing.
    pub all_turns: bool,
    /// An entry that asks nothing is an error.
    pub strict: bool,
    /// Set by Ctrl-C.
    pub stop: Option<Arc<AtomicBool>>,
}

impl DataFormat {
    /// The name that scripts and the command line use, and its format.
    pub const NAMES: [(&str, DataFormat); 8] = [
        ("jsonl", DataFormat::Jsonl),
        ("csv", DataFormat::Csv),
        ("lines", DataFormat::Lines),
        ("sharegpt", DataFormat::ShareGpt),
        ("openai-batch", DataFormat::OpenAiBatch),
        ("burstgpt", DataFormat::BurstGpt),
        ("parquet", DataFormat::Parquet),
        ("hf", DataFormat::Hf),
    ];

    pub fn named(name: &str) -> Option<DataFormat> {
        DataFormat::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// The ending of a file's name, without that of its packing.
pub fn ending(name: &str) -> &str {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}
