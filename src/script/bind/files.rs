//! Files: read what was granted, find earlier results, save tables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhai::plugin::*;
use rhai::{Array, Dynamic, Engine, Map, NativeCallContext};

use crate::error::{Error, Result};
use crate::experiment::chosen::Wanted;
use crate::experiment::gathered::{Gathering, gather};
use crate::experiment::table_formats::TableFormat;
use crate::experiment::{aggregate, folder as results, recover};
use crate::script::fault::{Fallible, a, raise, raise_at};
use crate::script::json;
use crate::script::options::files::{
    AGGREGATE, FOLDERS, KNOWN_KEYS, MATCHING, REPEATS, RESULTS, SAVE_TABLE, column_kinds,
};
use crate::script::opts::Opts;
use crate::script::reading;
use crate::script::state::State;
use crate::script::vocabulary::friendly;
use crate::script::weight::{need_room, weigh, weigh_all};
use crate::stats::view::View;
use crate::store::folder::{self, FoundFolder};
use crate::store::table::OwnKind;

pub fn register(engine: &mut Engine, _state: &Arc<State>) {
    engine.register_global_module(exported_module!(functions).into());
}

/// Results folders, newest first; what cannot be read is told.
fn found(state: &State) -> Result<Vec<FoundFolder>> {
    let listing = look(state)?;
    for (_, broken) in &listing.broken {
        state.console.warn(&format!("left out {broken}"));
    }
    Ok(listing.found)
}

/// The same, where the newest of all is wanted: an older one must not pass for it.
fn found_newest(state: &State) -> Result<Vec<FoundFolder>> {
    let listing = look(state)?;
    let newest = listing.found.iter().find(|found| found.runs > 0).map(|found| found.started_ms);
    if let Some(broken) = listing.broken_since(newest) {
        let error = Error::run(format!("cannot use the newest results: {broken}"));
        return Err(error.hint("name an older folder with --dir, or a file with --csv"));
    }
    for (_, broken) in &listing.broken {
        state.console.warn(&format!("left out {broken}"));
    }
    Ok(listing.found)
}

fn look(state: &State) -> Result<folder::FolderListing> {
    let listing = folder::look(&state.experiment.switches.results(&state.experiment.host))?;
    for warning in &listing.warnings {
        state.console.warn(warning);
    }
    Ok(listing)
}

fn described(found: &FoundFolder) -> Map {
    let mut map = Map::new();
    map.insert("name".into(), found.name.clone().into());
    map.insert("path".into(), found.path.display().to_string().into());
    map.insert("started_ms".into(), found.started_ms.into());
    map.insert("runs".into(), (found.runs as i64).into());
    map.insert("requests".into(), (found.requests as i64).into());
    map.insert("model".into(), found.model.clone().map_or(Dynamic::UNIT, Dynamic::from));
    map
}

/// The folders that are wanted, oldest first.
fn chosen(state: &State, wanted: &Wanted) -> Result<Vec<PathBuf>> {
    let found = match () {
        // What is broken elsewhere is no matter to whom names a folder.
        () if !wanted.names.is_empty() => look(state)?.found,
        () if !wanted.all && wanted.last.is_none() => found_newest(state)?,
        () => found(state)?,
    };
    let experiment = &state.experiment;
    let parent = experiment.switches.results(&experiment.host);
    let paths = wanted.folders(&found, &parent, &experiment.host.cwd())?;
    for path in &paths {
        experiment.access.may_read(&path.display().to_string())?;
    }
    Ok(paths)
}

/// Every row as JSON; a row that is no map is an error.
pub fn rows(call: &str, rows: Array) -> Fallible<Vec<serde_json::Map<String, serde_json::Value>>> {
    let row = |row: Dynamic| {
        weigh(call, &row)?;
        need_room(call, 0)?;
        row.try_cast::<Map>().map(|map| json::object(&map)).ok_or_else(|| {
            raise(Error::usage(format!("{call}: every row must be a map such as #{{ rate: 4, ttft: 12.5 }}")))
        })
    };
    rows.into_iter().map(row).collect()
}

fn write_table(state: &State, name: &str, rows: Array, stated: &[(String, OwnKind)]) -> Fallible<String> {
    let rows = self::rows("save_table", rows)?;
    let folder = results::need(&state.experiment, None).map_err(raise)?;
    let rows: Vec<_> = rows.into_iter().map(|row| state.experiment.secrets.scrub_map(row)).collect();
    let write = || crate::store::save_table(&folder, name, &rows, stated);
    let path = state.experiment.quota.saving("save_table", write).map_err(raise)?;
    Ok(path.display().to_string())
}

/// Completes a folder that a killed process left, and says so, and which of its runs are missing.
fn complete(state: &State, folder: &Path) -> Fallible<()> {
    let words = state.console.words();
    let recovered = recover::recover(folder).map_err(raise)?;
    if !recovered.is_nothing() {
        state.console.warn(&words.recovered(&folder.display().to_string(), &recovered));
    }
    if let Some((there, cells)) = aggregate::missing(folder) {
        state.console.warn(&words.cells_missing(there, cells));
    }
    Ok(())
}

/// What is in the folders, each completed before it is read.
fn gathered(state: &State, folders: Vec<String>, how: &Gathering) -> Fallible<Array> {
    let mut paths = Vec::new();
    for folder in folders {
        let folder = state.experiment.access.may_read(&folder).map_err(raise)?;
        state.experiment.access.check_links(&folder).map_err(raise)?;
        complete(state, &folder)?;
        paths.push(folder);
    }
    let gathered = gather(&paths, how).map_err(raise)?;
    gathered.warnings.iter().for_each(|warning| state.console.warn(warning));
    Ok(gathered.rows.iter().map(|row| json::to_map(row).into()).collect())
}

fn texts(list: Array) -> Vec<String> {
    list.into_iter().map(|text| text.to_string()).collect()
}

/// `["tp=8"]` as names and values.
fn tags_of(call: &str, list: Array) -> Fallible<Vec<(String, String)>> {
    let pair = |text: String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => {
            Err(raise(Error::usage(format!("{call}: a tag is KEY=VALUE, got {text:?}")).hint("such as tp=8")))
        }
    };
    texts(list).into_iter().map(pair).collect()
}

fn save_as(state: &State, call: &str, folder: &str, rows: Array, format: TableFormat) -> Fallible<String> {
    let rows = self::rows(call, rows)?;
    let rows: Vec<_> = rows.into_iter().map(|row| state.experiment.secrets.scrub_map(row)).collect();
    let write = || {
        let bytes = format.bytes(&rows, state.console.words())?;
        aggregate::save(&state.experiment.may_write(folder)?, &bytes, format.ending())
    };
    let path = state.experiment.quota.saving(call, write).map_err(raise)?;
    Ok(path.display().to_string())
}

#[export_module]
mod functions {
    /// The content of a YAML, JSON, JSON-lines or CSV file as script values, by its ending. Only
    /// files that were granted: beside the script, named on the command line, or results.
    #[rhai_fn(volatile, return_raw)]
    pub fn read(context: NativeCallContext, path: &str) -> Fallible<Dynamic> {
        reading::read(&State::of(&context), path).map_err(raise)
    }

    /// Refuses unknown keys in a map that came from a file, with the nearest known key, and
    /// missing ones: `known_keys(plan, "config.yaml", #{ required: ["model"], optional: ["seed"] })`.
    #[rhai_fn(return_raw)]
    pub fn known_keys(map: Dynamic, file: &str, options: Map) -> Fallible<()> {
        let Some(map) = map.clone().try_cast::<Map>() else {
            let got = a(&friendly(map.type_name()));
            let told = format!("{file}: it must be keys with values, such as `model: NAME`, got {got}");
            return Err(raise(Error::usage(told)));
        };
        let mut opts = Opts::of(&KNOWN_KEYS, options);
        let required = opts.take::<Array>("required")?.unwrap_or_default();
        let optional = opts.take::<Array>("optional")?.unwrap_or_default();
        let mut listed = |name| opts.take::<Array>(name).map(Option::unwrap_or_default);
        let kinds = reading::Kinds {
            pairs: listed("pairs")?,
            maps: listed("maps")?,
            numbers: listed("numbers")?,
            counts: listed("counts")?,
            texts: listed("texts")?,
        };
        opts.finish()?;
        weigh_all("known_keys", required.iter().chain(&optional))?;
        reading::known_keys(&map, file, &required, &optional).map_err(raise)?;
        kinds.check(&map, file).map_err(raise)
    }

    /// A JSON text as script values; an empty text gives an empty map. `what` names it in errors.
    #[rhai_fn(return_raw)]
    pub fn json(text: &str, what: &str) -> Fallible<Dynamic> {
        reading::json(text, what).map_err(raise)
    }

    /// `["tp=8", "gpu=H100"]` as a map; numbers become numbers. `what` names it in errors.
    #[rhai_fn(return_raw)]
    pub fn pairs(list: Array, what: &str) -> Fallible<Map> {
        weigh_all("pairs", &list)?;
        let option = what.trim_start_matches('-').replace('-', "_");
        reading::pairs(list, what).map_err(|error| raise_at(&option, error))
    }

    /// Earlier results, newest first: maps with `name`, `path`, `started_ms`, `runs`, `requests`,
    /// `model`.
    #[rhai_fn(volatile, return_raw)]
    pub fn results(context: NativeCallContext, options: Map) -> Fallible<Array> {
        let mut opts = Opts::of(&RESULTS, options);
        let model = opts.take::<String>("model")?;
        let newest = opts.take::<u64>("newest")?.unwrap_or(u64::MAX);
        opts.finish()?;
        let found = found(&State::of(&context)).map_err(raise)?;
        let wanted = found.iter().filter(|found| model.is_none() || found.model == model);
        let most = usize::try_from(newest).unwrap_or(usize::MAX);
        Ok(wanted.take(most).map(|found| described(found).into()).collect())
    }

    /// The path of a results folder by its name; the newest when the name is empty.
    #[rhai_fn(volatile, return_raw)]
    pub fn folder(context: NativeCallContext, name: &str) -> Fallible<String> {
        let names = if name.is_empty() { Vec::new() } else { vec![name.to_string()] };
        let paths = chosen(&State::of(&context), &Wanted { names, ..Wanted::default() }).map_err(raise)?;
        match &paths[..] {
            [path] => Ok(path.display().to_string()),
            _ => Err(raise(Error::usage(format!("folder: {name:?} fits {} results folders", paths.len())))),
        }
    }

    /// The results folders as a table, newest first.
    #[rhai_fn(volatile, return_raw)]
    pub fn folders_table(context: NativeCallContext) -> Fallible<String> {
        let state = State::of(&context);
        let found = found(&state).map_err(raise)?;
        Ok(aggregate::folders_table(
            &found,
            &state.experiment.switches.results(&state.experiment.host),
            state.console.words(),
        ))
    }

    /// One map for every run of a results folder: see the other one.
    #[rhai_fn(volatile, return_raw)]
    pub fn aggregate(context: NativeCallContext, folder: &str) -> Fallible<Array> {
        gathered(&State::of(&context), vec![folder.to_string()], &Gathering::default())
    }

    /// The paths of results folders, oldest first: those that are named, the newest ones, or all.
    #[rhai_fn(volatile, return_raw)]
    pub fn folders(context: NativeCallContext, options: Map) -> Fallible<Array> {
        let state = State::of(&context);
        let mut opts = Opts::of(&FOLDERS, options);
        let mut wanted = Wanted {
            names: texts(opts.take("names")?.unwrap_or_default()),
            all: opts.get("all")?,
            last: Some(opts.get::<u64>("last")?).filter(|last| *last > 0).map(|last| last as usize),
            model: Some(opts.get::<String>("model")?).filter(|model| !model.is_empty()),
            tags: Vec::new(),
        };
        wanted.tags = tags_of("folders", opts.take("tags")?.unwrap_or_default())?;
        opts.finish()?;
        let paths = chosen(&state, &wanted).map_err(raise)?;
        Ok(paths.into_iter().map(|path| path.display().to_string().into()).collect())
    }

    /// One map for every run of one results folder or of several, or for every cell of repeats, with the
    /// columns of the aggregated CSV, and the ends of a value's 95 % interval beside it where it has one:
    /// `mean_ttft_ms_low` and `mean_ttft_ms_high`.
    #[rhai_fn(name = "aggregate", volatile, return_raw)]
    pub fn aggregate_folders(context: NativeCallContext, folders: Dynamic, options: Map) -> Fallible<Array> {
        let state = State::of(&context);
        let mut opts = Opts::of(&AGGREGATE, options);
        let model = Some(opts.get::<String>("model")?).filter(|model| !model.is_empty());
        let tags = tags_of("aggregate", opts.take("tags")?.unwrap_or_default())?;
        let view = opts.take_word("view", &View::ALL)?.unwrap_or_default();
        let fold_repeats = opts.take_word("repeats", &REPEATS)?.unwrap_or_default();
        opts.finish()?;
        let wanted = Wanted { model, tags, ..Wanted::default() };
        let folders = folders.clone().into_array().unwrap_or_else(|_| vec![folders]);
        gathered(&state, texts(folders), &Gathering { wanted, view, fold_repeats })
    }

    /// Where the results folders are.
    #[rhai_fn(volatile)]
    pub fn results_parent(context: NativeCallContext) -> String {
        let state = State::of(&context);
        state.experiment.switches.results(&state.experiment.host).display().to_string()
    }

    /// Those of the rows of `read` or `aggregate` that are of a model and have some tags; an error when
    /// there is none.
    #[rhai_fn(return_raw)]
    pub fn matching(rows: Array, options: Map) -> Fallible<Array> {
        let mut opts = Opts::of(&MATCHING, options);
        let model = Some(opts.get::<String>("model")?).filter(|model| !model.is_empty());
        let tags = tags_of("matching", opts.take("tags")?.unwrap_or_default())?;
        let of = texts(opts.take("of")?.unwrap_or_default()).join(", ");
        let of = if of.is_empty() { "the list".to_string() } else { of };
        opts.finish()?;
        if rows.is_empty() {
            return Err(raise(Error::usage(format!("{of} holds no row of results"))));
        }
        let wanted = Wanted { model, tags, ..Wanted::default() };
        let rows = self::rows("matching", rows)?;
        let kept: Array =
            rows.iter().filter(|row| wanted.takes(row)).map(|row| json::to_map(row).into()).collect();
        match kept.is_empty() {
            true => Err(raise(
                Error::usage(format!("no row of {of} is of what was asked for")).hint(wanted.hint(&rows)),
            )),
            false => Ok(kept),
        }
    }

    /// Writes rows of `aggregate` as `aggregate_results_<date>.csv` into a results folder, with
    /// English and Chinese headers. Returns the path.
    #[rhai_fn(volatile, return_raw)]
    pub fn save_csv(context: NativeCallContext, folder: &str, rows: Array) -> Fallible<String> {
        save_as(&State::of(&context), "save_csv", folder, rows, TableFormat::Csv)
    }

    /// The same as a file of another format: `"csv"`, `"plain-csv"`, `"parquet"`,
    /// `"json"` or `"markdown"`.
    #[rhai_fn(volatile, return_raw)]
    pub fn save_rows(
        context: NativeCallContext,
        folder: &str,
        rows: Array,
        format: &str,
    ) -> Fallible<String> {
        let known = TableFormat::ALL.into_iter().find(|(name, _)| *name == format);
        let Some((_, format)) = known else {
            let names = TableFormat::ALL.map(|(name, _)| name).join(", ");
            let told = format!("save_rows: the format must be one of {names}, got {format:?}");
            return Err(raise(Error::usage(told)));
        };
        save_as(&State::of(&context), "save_rows", folder, rows, format)
    }

    /// Rows of `aggregate` as a Markdown table of the columns that one reads first.
    #[rhai_fn(volatile, return_raw)]
    pub fn markdown(context: NativeCallContext, rows: Array) -> Fallible<String> {
        let rows = self::rows("markdown", rows)?;
        let state = State::of(&context);
        let bytes = TableFormat::Markdown.bytes(&rows, state.console.words()).map_err(raise)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The newest aggregated CSV among the results.
    #[rhai_fn(volatile, return_raw)]
    pub fn newest_csv(context: NativeCallContext) -> Fallible<String> {
        let state = State::of(&context);
        let found = found_newest(&state).map_err(raise)?;
        let path = aggregate::newest_csv(&found, &state.experiment.switches.results(&state.experiment.host))
            .map_err(raise)?;
        Ok(path.display().to_string())
    }

    /// Writes a text file into the results folder. Returns the path.
    #[rhai_fn(volatile, return_raw)]
    pub fn save(context: NativeCallContext, name: &str, text: &str) -> Fallible<String> {
        let state = State::of(&context);
        let experiment = &state.experiment;
        let folder = results::need(experiment, None).map_err(raise)?;
        let text = state.experiment.secrets.scrub(text);
        let path =
            state.experiment.quota.saving("save", || folder.save(name, text.as_bytes())).map_err(raise)?;
        Ok(path.display().to_string())
    }

    /// Writes rows (a list of maps) as a Parquet file into the results folder. Returns the path. Columns that
    /// identify runs come first (`experiment_id`, `run_id`, `folder`, `run`, `cell`), filled for rows whose `run`
    /// is the name of one. A column with numbers, or with nothing, is a float; one with true and false alone a
    /// bool; any other is text.
    #[rhai_fn(volatile, return_raw)]
    pub fn save_table(context: NativeCallContext, name: &str, rows: Array) -> Fallible<String> {
        write_table(&State::of(&context), name, rows, &[])
    }

    /// The same, with types for columns: those are in the file whatever the rows have, so that the tables of
    /// many folders are read together: `save_table("knees", rows, #{ columns: #{ users: "int", note: "text" } })`.
    #[rhai_fn(name = "save_table", volatile, return_raw)]
    pub fn save_table_typed(
        context: NativeCallContext,
        name: &str,
        rows: Array,
        options: Map,
    ) -> Fallible<String> {
        let mut opts = Opts::of(&SAVE_TABLE, options);
        let stated = opts.take_judged("columns")?.map(|columns| column_kinds(&columns).unwrap_or_default());
        opts.finish()?;
        write_table(&State::of(&context), name, rows, &stated.unwrap_or_default())
    }
}
