use super::super::{lock, sample};
use super::*;
use crate::record::Record;

const ZERO_MS: i64 = 1_764_000_000_123;

fn rows_of(folder: &Path) -> (Vec<u64>, Vec<String>) {
    let mut rows = Vec::new();
    let warnings = super::super::reader::requests(folder, None, |_, record| rows.push(record.seq)).unwrap();
    (rows, warnings)
}

fn names(folder: &Path) -> Vec<String> {
    let read = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten();
    let entries = read(requests_folder(folder)).chain(read(journal::folder(folder)));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn writer(folder: &Path) -> RowWriter {
    let mut writer = RowWriter::start(folder, sample::identity("a", 0)).unwrap();
    writer.begin(ZERO_MS);
    writer
}

fn run_rows(folder: &Path) -> RunRows {
    RunRows::new(folder, sample::identity("a", 0), Arc::new(Queue::new()), Arc::default()).unwrap()
}

#[test]
fn what_is_written_is_read_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let records = sample::records(3_000);
    let mut writer = RowWriter::start(folder.path(), sample::identity("c8", 4)).unwrap();
    writer.begin(ZERO_MS);
    for some in records.chunks(700) {
        writer.hand_over(sample::parcels(some));
    }
    let written = writer.finish().unwrap();
    assert_eq!((written.rows, written.parts), (3_000, 1));

    let mut back = Vec::new();
    let warnings = super::super::reader::requests(folder.path(), Some("c8"), |run, record| {
        assert_eq!(run, "c8");
        back.push(record);
    });
    assert_eq!(warnings.unwrap(), Vec::<String>::new());
    assert_eq!(back.len(), records.len());
    for (there, here) in records.iter().zip(&back) {
        assert_eq!(format!("{there:?}"), format!("{here:?}"));
    }
    assert_eq!(names(folder.path()), ["part-004-0000.parquet"]);
    let part = requests_folder(folder.path()).join("part-004-0000.parquet");
    assert_eq!(super::super::reader::identity(&part).unwrap(), ("c8".to_string(), ZERO_MS));
}

#[test]
fn a_row_is_in_the_journal_half_a_second_after_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = run_rows(folder.path());
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    rows.add(sample::parcels(&sample::records(3)), start).unwrap();
    rows.add(sample::parcels(&sample::records(3)), after(499)).unwrap();
    assert!(rows_of(folder.path()).0.is_empty());
    rows.tick(after(500)).unwrap();
    assert_eq!(rows_of(folder.path()).0.len(), 6);
    // The next half second begins with its own first row.
    rows.tick(after(9_000)).unwrap();
    rows.add(sample::parcels(&sample::records(3)), after(9_100)).unwrap();
    rows.tick(after(9_599)).unwrap();
    assert_eq!(rows_of(folder.path()).0.len(), 6);
    rows.add(sample::parcels(&sample::records(3)), after(9_600)).unwrap();
    assert_eq!(rows_of(folder.path()).0.len(), 12);
    assert_eq!(names(folder.path()), ["rows-000-0000.arrows"], "and no part is to be seen");
}

#[test]
fn a_part_holds_at_most_65536_rows() {
    let folder = tempfile::tempdir().unwrap();
    let few_bytes =
        Record { timeline: crate::record::Timeline::planned(0, 0), ..sample::records(1)[0].clone() };
    let mut writer = writer(folder.path());
    writer.hand_over(sample::parcels(&vec![few_bytes; schema::GROUP_ROWS + 10]));
    let written = writer.finish().unwrap();
    assert_eq!((written.rows, written.parts), (schema::GROUP_ROWS as u64 + 10, 2));
    let first = requests_folder(folder.path()).join("part-000-0000.parquet");
    assert_eq!(super::super::reader::rows(&first).unwrap(), schema::GROUP_ROWS as u64);
    assert_eq!(rows_of(folder.path()).0.len(), schema::GROUP_ROWS + 10);
}

#[test]
fn a_journal_is_read_where_there_is_no_part_and_a_part_where_there_are_both() {
    let folder = tempfile::tempdir().unwrap();
    let records = sample::records(900);
    let mut rows = run_rows(folder.path());
    rows.zero_ms = ZERO_MS;
    rows.add(sample::parcels(&records), Instant::now()).unwrap();
    rows.flush().unwrap();
    let mut back = Vec::new();
    let read = super::super::reader::requests(folder.path(), Some("a"), |_, record| back.push(record));
    assert_eq!(read.unwrap(), Vec::<String>::new());
    assert_eq!(format!("{back:?}"), format!("{records:?}"));
    let kept = fs::read(journal::path(folder.path(), 0, 0)).unwrap();
    rows.seal(0).unwrap();
    // The process was killed before it deleted the journal.
    fs::write(journal::path(folder.path(), 0, 0), kept).unwrap();
    assert_eq!(names(folder.path()), ["part-000-0000.parquet", "rows-000-0000.arrows"]);
    assert_eq!(rows_of(folder.path()), ((0..900).collect(), vec![]));
    rows.seal(0).unwrap();
    assert_eq!(rows_of(folder.path()), ((0..900).collect(), vec![]));
}

#[test]
fn a_journal_that_is_cut_anywhere_gives_its_whole_batches_and_says_what_it_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = run_rows(folder.path());
    let mut ends = vec![(0, 0)];
    for some in sample::records(60).chunks(20) {
        rows.add(sample::parcels(some), Instant::now()).unwrap();
        rows.flush().unwrap();
        let journal = rows.open.as_ref().unwrap();
        ends.push((journal.bytes(), journal.rows()));
    }
    let path = journal::path(folder.path(), 0, 0);
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len() as u64, ends[3].0);
    for at in (0..=whole.len()).rev().step_by(911).chain([0]) {
        fs::create_dir_all(journal::folder(folder.path())).unwrap();
        fs::write(&path, &whole[..at]).unwrap();
        let (seen, warnings) = rows_of(folder.path());
        let (bytes, count) = ends.iter().rfind(|(bytes, _)| *bytes <= at as u64).unwrap();
        assert_eq!(seen.len() as u64, *count, "cut at {at}");
        let head_only = *count == 0;
        let torn = at as u64 > *bytes;
        assert!(
            head_only || torn == warnings.iter().any(|told| told.contains("cut off")),
            "cut at {at}: {warnings:?}"
        );
        // Sealed, the part has the same.
        let sealed = seal::seal(folder.path(), 0, 0).unwrap();
        assert_eq!((sealed.rows, sealed.torn > 0), (*count, torn && (!head_only || sealed.torn > 0)));
        assert_eq!(rows_of(folder.path()).0, seen);
        let _ = fs::remove_dir_all(requests_folder(folder.path()));
    }
}

#[test]
fn bytes_of_a_journal_that_changed_are_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = run_rows(folder.path());
    rows.add(sample::parcels(&sample::records(20)), Instant::now()).unwrap();
    rows.flush().unwrap();
    let path = journal::path(folder.path(), 0, 0);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(411) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x80;
        fs::write(&path, bytes).unwrap();
        let _ = super::super::reader::requests(folder.path(), None, |_, _| ());
        let _ = seal::seal(folder.path(), 0, 0);
    }
}

#[test]
fn while_somebody_writes_a_torn_end_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let lock = lock::take(folder.path());
    let mut rows = run_rows(folder.path());
    rows.add(sample::parcels(&sample::records(20)), Instant::now()).unwrap();
    rows.flush().unwrap();
    let path = journal::path(folder.path(), 0, 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(bytes.clone().iter().take(100));
    fs::write(&path, bytes).unwrap();
    assert_eq!(rows_of(folder.path()), ((0..20).collect(), vec![]));
    drop(lock);
    assert!(rows_of(folder.path()).1[0].contains("its last 100 bytes were cut off"));
}

#[test]
fn a_run_index_that_was_used_before_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut writer = writer(folder.path());
        writer.hand_over(sample::parcels(&sample::records(5)));
        writer.finish().unwrap();
    }
    assert_eq!(names(folder.path()), ["part-000-0000.parquet", "part-000-0001.parquet"]);
}

#[test]
fn a_writer_that_is_dropped_makes_its_last_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    writer.hand_over(sample::parcels(&sample::records(7)));
    drop(writer);
    assert_eq!(rows_of(folder.path()).0.len(), 7);
    assert_eq!(names(folder.path()), ["part-000-0000.parquet"]);
}

#[test]
fn a_run_without_requests_leaves_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let written = writer(folder.path()).finish().unwrap();
    assert_eq!((written.rows, written.parts), (0, 0));
    assert!(names(folder.path()).is_empty());
}

/// What a writer told, and whether it is over.
fn heard(writer: &RowWriter) -> Arc<std::sync::Mutex<Vec<Trouble>>> {
    let told: Arc<std::sync::Mutex<Vec<Trouble>>> = Arc::default();
    let theirs = told.clone();
    writer.saving().listen(move |trouble| theirs.lock().unwrap().push(trouble));
    told
}

fn until(happened: impl Fn() -> bool) {
    while !happened() {
        std::thread::yield_now();
    }
}

#[test]
fn a_write_that_fails_is_told_at_once_and_nothing_is_lost_when_it_works_again() {
    let parent = tempfile::tempdir().unwrap();
    let (there, away) = (parent.path().join("there"), parent.path().join("away"));
    fs::create_dir(&there).unwrap();
    let mut writer = writer(&there);
    let told = heard(&writer);
    writer.hand_over(sample::parcels(&sample::records(300)));
    until(|| rows_of(&there).0.len() >= 256);
    fs::rename(&there, &away).unwrap();
    writer.hand_over(sample::parcels(&sample::records(300)));
    until(|| !told.lock().unwrap().is_empty());
    let Trouble::Failing(sentence) = told.lock().unwrap()[0].clone() else { panic!("it failed") };
    assert!(
        sentence.starts_with("cannot write results to ") && sentence.ends_with("the results folder is gone")
    );
    for _ in 0..5 {
        writer.hand_over(sample::parcels(&sample::records(300)));
    }
    fs::rename(&away, &there).unwrap();
    until(|| told.lock().unwrap().contains(&Trouble::Over));
    assert_eq!(told.lock().unwrap().len(), 2, "each is told once");
    assert_eq!(writer.finish().unwrap().rows, 2_100);
    assert_eq!(rows_of(&there).0.len(), 2_100);
}

#[test]
fn a_journal_that_was_deleted_is_written_again_with_all_of_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    writer.hand_over(sample::parcels(&sample::records(300)));
    until(|| rows_of(folder.path()).0.len() >= 256);
    fs::remove_dir_all(journal::folder(folder.path())).unwrap();
    writer.hand_over(sample::parcels(&sample::records(300)));
    assert_eq!(writer.finish().unwrap().rows, 600);
    assert_eq!(rows_of(folder.path()).0.len(), 600);
}

#[test]
fn an_error_at_the_end_says_what_is_safe() {
    let parent = tempfile::tempdir().unwrap();
    let there = parent.path().join("there");
    fs::create_dir(&there).unwrap();
    let mut writer = writer(&there);
    writer.hand_over(sample::parcels(&sample::records(256)));
    until(|| rows_of(&there).0.len() == 256);
    fs::rename(&there, parent.path().join("away")).unwrap();
    writer.hand_over(sample::parcels(&sample::records(44)));
    let error = writer.finish_at_once().unwrap_err();
    assert!(error.message.starts_with("cannot write results to "), "{error}");
    let told = "the results folder is gone; it held 256 of 300 requests when it was moved or deleted";
    assert!(error.message.ends_with(told), "{error}");
}

#[test]
fn rows_that_cannot_be_written_are_held_up_to_a_bound() {
    let parent = tempfile::tempdir().unwrap();
    let there = parent.path().join("there");
    fs::create_dir(&there).unwrap();
    let mut writer = writer(&there);
    let told = heard(&writer);
    fs::remove_dir_all(&there).unwrap();
    let many = sample::records(2_000);
    for _ in 0..100_000 {
        writer.hand_over(sample::parcels(&many));
        if writer.saving().is_full() {
            break;
        }
    }
    let held = writer.queue.weight();
    assert!(writer.saving().is_full() && held <= 2 * crate::store::saving::HELD_BYTES, "{held}");
    assert_eq!(told.lock().unwrap().last(), Some(&Trouble::Full));
    for _ in 0..100_000 {
        let before = writer.queue.weight();
        writer.hand_over(sample::parcels(&many));
        if writer.queue.weight() == before {
            break;
        }
    }
    assert!(writer.queue.weight() <= 2 * crate::store::saving::HELD_BYTES);
}
