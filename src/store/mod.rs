//! Results on disk: the folder of an invocation, Parquet parts of requests, `runs.parquet`,
//! the manifest, and the readers of all of them. Column names live only here.

pub mod folder;
pub mod manifest;
pub mod parts;
pub mod reader;
pub mod runs;
pub mod schema;
pub mod table;
pub mod writer;

mod decode;
mod encode;
mod merge;
mod queue;
#[cfg(test)]
mod sample;

pub use folder::Folder;

pub use table::save_table;
pub use writer::Writer;
