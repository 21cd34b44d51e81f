//! Results on disk: the folder of an invocation, Parquet parts of requests, `runs.parquet`,
//! the manifest, and the readers of all of them. Column names live only here.

pub mod column;
pub mod folder;
pub mod identity;
pub(crate) mod lock;
pub(crate) mod manifest;
pub mod own_metrics;
pub mod page;
pub(crate) mod parts;
pub mod reader;
pub mod rest;
pub mod runs;
pub mod saving;
pub mod schema;
pub mod series;
pub mod statistics;
pub(crate) mod superseded;
pub mod table;
pub mod tables;
pub(crate) mod writer;

mod aside;
mod decode;
mod encode;
mod event_column;
mod event_lists;
pub(crate) mod journal;
mod known_rows;
mod pack;
mod queue;
mod row_part;
#[cfg(test)]
mod sample;
mod saved_table;
mod seal;
mod series_journal;
mod unpack;
mod windows;

pub use folder::Folder;
pub use identity::RunIdentity;
pub use known_rows::KnownRows;
pub use saved_table::save_table;
pub use writer::RowWriter;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A small results folder with everything in it that this module writes.
    fn sample_folder(parent: &std::path::Path) -> Folder {
        let folder =
            Folder::create(parent, &folder::short_model_name("org/Tiny-1B-AWQ"), "20260102_030405").unwrap();
        let started_ms = 1_767_323_045_000;
        let facts = json!({
            "started_ms": started_ms,
            "model": "org/Tiny-1B-AWQ",
            "versions": manifest::versions(),
            "host": manifest::Machine::here().to_json(),
            "script_sha256": manifest::sha256("run(plan)"),
        });
        folder.manifest(|manifest| manifest.extend(facts.as_object().unwrap().clone())).unwrap();
        for (index, run) in ["c1", "c8"].into_iter().enumerate() {
            let mut writer =
                RowWriter::start(folder.path(), folder.identity(index as u32, run, run).unwrap()).unwrap();
            writer.begin(started_ms);
            writer.write(sample::parcels(&sample::records(100))).unwrap();
            let written = writer.finish().unwrap();
            let mut row = runs::blank(&folder.identity(index as u32, run, run).unwrap());
            row.insert("rows_written".into(), written.rows.into());
            runs::append(folder.path(), row).unwrap();
        }
        let rows = [json!({"rate": 1, "ok": true, "note": "好"}), json!({"rate": 2.5, "ok": false})];
        save_table(&folder, "points", &rows.map(|row| row.as_object().unwrap().clone()), &[]).unwrap();
        folder.save_in("charts", "ttft.svg", b"<svg/>").unwrap();
        folder
    }

    #[test]
    fn a_whole_folder_is_written_and_found_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = sample_folder(parent.path());
        let folder::FolderListing { found, broken, warnings } = folder::look(parent.path()).unwrap();
        assert!(warnings.is_empty() && broken.is_empty(), "{warnings:?} {broken:?}");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, folder.path());
        assert_eq!(found[0].name, "Tiny-1B_20260102_030405");
        assert_eq!((found[0].runs, found[0].requests), (2, 200));
        assert_eq!(found[0].model.as_deref(), Some("org/Tiny-1B-AWQ"));
        assert_eq!(runs::rows(folder.path()).unwrap()[1]["run"], "c8");
        let mut ttft = Vec::new();
        reader::requests(folder.path(), Some("c8"), |_, record| ttft.extend(record.ttft_ms())).unwrap();
        assert!(ttft.len() > 50);
    }
}
