use super::super::parts::{part_name, requests_folder, unfinished_name};
use super::super::writer::RowWriter;
use super::super::{column, sample, table};
use super::*;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use std::fs;

#[test]
fn a_journal_that_becomes_a_part_while_a_folder_is_read_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let of = sample::identity("c1", 0);
    let mut journal = journal::Journal::create(folder.path(), &of, 5, 0).unwrap();
    journal.add(&sample::parcels(&sample::records(10))).unwrap();
    journal.flush().unwrap();
    // Listed before, read after.
    let parts = parts::list(folder.path()).unwrap();
    assert!(parts.live[0].journal);
    super::super::seal::seal(folder.path(), 0, 0).unwrap();
    let whole: Vec<Piece> = parts.live.iter().map(|part| Piece { part, groups: None }).collect();
    let mut seen = 0;
    let taken = read_pieces(&whole, None, Fields::ALL, &mut |_: &str, _: &mut Record| seen += 1).unwrap();
    assert_eq!((seen, warnings(&parts, &taken)), (10, vec![]));
    assert_eq!(rows_of(&parts.live[0]).unwrap(), 10);
}

#[test]
fn a_folder_that_is_being_written_never_shows_fewer_rows_than_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let (of, records) = (sample::identity("c1", 0), sample::records(3));
    let written = std::sync::atomic::AtomicU64::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let write = scope.spawn(|| {
            for part in 0..60 {
                let mut journal = journal::Journal::create(folder.path(), &of, 5, part).unwrap();
                for _ in 0..3 {
                    journal.add(&sample::parcels(&records)).unwrap();
                    journal.flush().unwrap();
                    written.fetch_add(3, order);
                }
                drop(journal);
                super::super::seal::seal(folder.path(), 0, part).unwrap();
            }
            over.store(true, order);
        });
        while !over.load(order) && !write.is_finished() {
            let before = written.load(order);
            let mut seen = 0;
            let warnings = requests(folder.path(), None, |_, _| seen += 1).unwrap();
            let after = written.load(order);
            // A batch may be in the file, and not be counted yet.
            assert!((before..=after + 3).contains(&seen), "{before} <= {seen} <= {after}: {warnings:?}");
        }
    });
    assert_eq!(count(folder.path(), None).0.len(), 540);
}

fn folder_with_runs(runs: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (index, run) in runs.iter().enumerate() {
        let mut writer = RowWriter::start(folder.path(), sample::identity(run, index as u32)).unwrap();
        writer.write(sample::parcels(&sample::records(10))).unwrap();
        writer.finish().unwrap();
    }
    folder
}

fn count(folder: &Path, run: Option<&str>) -> (Vec<String>, Vec<String>) {
    let mut runs = Vec::new();
    let warnings = requests(folder, run, |run, _| runs.push(run.to_string())).unwrap();
    (runs, warnings)
}

#[test]
fn one_run_can_be_asked_for() {
    let folder = folder_with_runs(&["c1", "c2", "c3"]);
    assert_eq!(count(folder.path(), Some("c2")), (vec!["c2".to_string(); 10], vec![]));
    assert_eq!(count(folder.path(), None).0.len(), 30);
    assert!(count(folder.path(), Some("c9")).0.is_empty());
}

#[test]
fn the_halves_of_a_long_run_are_its_rows_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RowWriter::start(folder.path(), sample::identity("long", 0)).unwrap();
    let all = HALVES_ROWS as u64 + 4_000;
    for from in (0..all).step_by(4_000) {
        let records =
            sample::records(4_000).into_iter().map(|record| Record { seq: record.seq + from, ..record });
        writer.write(sample::parcels(&records.collect::<Vec<_>>())).unwrap();
    }
    writer.finish().unwrap();
    let seen = |folder: &Path| {
        let each = |seen: &mut Vec<u64>, record: &mut Record| seen.push(record.seq);
        let (states, warnings) = scan_halves(folder, "long", Fields::NONE, Vec::new, each).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        states
    };
    let halves = seen(folder.path());
    // By whole row groups, of which there are more or fewer with the time that writing took.
    assert!(halves.len() == 2 && halves.iter().all(|half| !half.is_empty()));
    let mut rows = halves.concat();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), halves.concat().len());
    assert_eq!(halves.concat().len() as u64, all.div_ceil(4_000) * 4_000);
    let short = folder_with_runs(&["long", "other"]);
    assert_eq!(seen(short.path()).iter().map(Vec::len).collect::<Vec<_>>(), [10]);
}

#[test]
fn records_of_a_class_share_its_name() {
    let folder = folder_with_runs(&["c1", "c2"]);
    let mut classes = Vec::new();
    requests(folder.path(), None, |_, record| classes.push(record.class)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&classes[0], &classes[18]));
}

#[test]
fn a_list_that_is_zero_throughout_is_not_read_and_comes_back() {
    for told in [true, false] {
        let mut records = sample::records(40);
        if !told {
            records.iter_mut().for_each(|record| record.timeline.events.tokens.fill(0));
        }
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RowWriter::start(folder.path(), sample::identity("c1", 0)).unwrap();
        writer.write(sample::parcels(&records)).unwrap();
        writer.finish().unwrap();
        let footer = footer(&requests_folder(folder.path()).join(part_name(0, 0, 0))).unwrap();
        assert_eq!(tells_no_tokens(&footer), !told);
        for fields in [Fields::ALL, Fields::EVENTS, Fields::EVENTS.with(Fields::EVENT_TOKENS)] {
            let mut back = Vec::new();
            scan(folder.path(), None, fields, |_, record| back.push(record.timeline.events.tokens.clone()))
                .unwrap();
            let all = records.iter().map(|record| record.timeline.events.tokens.clone());
            let wanted = fields.has(Fields::EVENT_TOKENS);
            assert!(back.into_iter().eq(all.map(|tokens| if wanted { tokens } else { Vec::new() })));
        }
    }
}

#[test]
fn row_groups_say_what_their_filters_ask_for() {
    let folder = folder_with_runs(&["c1"]);
    let footer = footer(&requests_folder(folder.path()).join(part_name(0, 0, 0))).unwrap();
    for wanted in ["experiment_id", "run_id", "cell", "class", "phase", "outcome", "seq", "planned_ns"] {
        let column =
            footer.row_group(0).columns().iter().find(|column| column.column_path().string() == wanted);
        let range =
            column.and_then(|column| column.statistics()).map(|of| (of.min_bytes_opt(), of.max_bytes_opt()));
        assert!(range.is_some_and(|(min, max)| min.is_some() && max.is_some()), "{wanted}");
    }
}

#[test]
fn an_unfinished_part_is_skipped_and_named() {
    let folder = folder_with_runs(&["c1"]);
    let name = unfinished_name(&part_name(0, 1, 1));
    fs::write(requests_folder(folder.path()).join(&name), "PAR1 and half a row group").unwrap();
    let (runs, warnings) = count(folder.path(), None);
    assert_eq!((runs.len(), warnings.len()), (10, 1));
    assert!(warnings[0].starts_with("skipped the unfinished part") && warnings[0].contains(&name));
}

#[test]
fn a_part_without_its_end_is_skipped_and_the_others_are_read() {
    let folder = folder_with_runs(&["c1", "c2"]);
    let path = requests_folder(folder.path()).join(part_name(0, 0, 0));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let (runs, warnings) = count(folder.path(), None);
    assert_eq!((runs, warnings.len()), (vec!["c2".to_string(); 10], 1));
    assert!(warnings[0].contains("part-000-0000.parquet"), "{warnings:?}");
}

#[test]
fn a_part_with_broken_pages_is_named() {
    let folder = folder_with_runs(&["c1"]);
    let path = requests_folder(folder.path()).join(part_name(0, 0, 0));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[4..middle].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let (runs, warnings) = count(folder.path(), None);
    assert!(runs.is_empty());
    assert!(warnings[0].contains("part-000-0000.parquet"), "{warnings:?}");
}

#[test]
fn a_bit_that_flipped_is_found_by_the_checksum_of_its_page() {
    let folder = folder_with_runs(&["c1"]);
    let path = requests_folder(folder.path()).join(part_name(0, 0, 0));
    let whole = fs::read(&path).unwrap();
    let footer = footer(&path).unwrap();
    let raw = ["planned_ns", "request_id", "event_us.list.element"];
    let read = || {
        let mut records = Vec::new();
        let warnings = requests(folder.path(), None, |_, record| records.push(format!("{record:?}")));
        (records, warnings.unwrap())
    };
    let (before, _) = read();
    let columns = footer.row_group(0).columns().iter();
    for column in columns.filter(|column| raw.contains(&&*column.column_path().string())) {
        let (start, length) = column.byte_range();
        let mut unnoticed = 0;
        for at in start as usize..(start + length) as usize {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            let (records, warnings) = read();
            // A few bits of a header mean nothing.
            let same = records == before && warnings.is_empty();
            let name = column.column_path().string();
            assert!(same || warnings.len() == 1, "byte {at} of {name}");
            unnoticed += usize::from(same);
        }
        assert!(unnoticed <= 4, "{unnoticed} of {length} bytes");
    }
}

#[test]
fn a_foreign_parquet_file_is_named_with_the_column_it_lacks() {
    let folder = folder_with_runs(&[]);
    fs::create_dir(requests_folder(folder.path())).unwrap();
    let (unit, says) = (String::new(), String::new());
    let run = table::OwnColumn { name: "run".into(), kind: table::OwnKind::Text, unit, says };
    let row = serde_json::json!({"run": "x"}).as_object().unwrap().clone();
    let bytes = table::to_parquet(&[run], &[row], &[]).unwrap();
    fs::write(requests_folder(folder.path()).join(part_name(0, 0, 0)), bytes).unwrap();
    let (_, warnings) = count(folder.path(), None);
    assert!(warnings[0].ends_with("no column \"seq\""), "{warnings:?}");
}

#[test]
fn a_part_of_a_newer_version_is_an_error() {
    let folder = folder_with_runs(&["c1"]);
    let path = requests_folder(folder.path()).join(part_name(0, 0, 0));
    let newer = KeyValue::new(schema::KEY_VERSION.to_string(), (schema::VERSION + 1).to_string());
    let properties = column::packed().set_key_value_metadata(Some(vec![newer])).build();
    let file = File::create(&path).unwrap();
    let mut parquet = ArrowWriter::try_new(file, schema::schema(), Some(properties)).unwrap();
    parquet.write(&sample::batch(&sample::identity("c1", 0), 0, &sample::records(3))).unwrap();
    parquet.close().unwrap();
    let error = requests(folder.path(), None, |_, _| ()).unwrap_err();
    let told = format!("a newer rampant wrote it (schema version {}", schema::VERSION + 1);
    assert!(error.message.contains(&told), "{error}");
}
