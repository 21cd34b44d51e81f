//! `Side`: the runs that one side of a comparison is made of.

use super::environment::Environment;
use crate::error::{Error, Result, nearest};
use crate::experiment::finished;
use crate::experiment::objectives::Objectives;
use crate::experiment::part::Part;
use crate::experiment::recover::{self, RecoveredRun};
use crate::host::Host;
use crate::lang::Lang;
use crate::stats::versus::rounds::ROUNDS_MIN;
use crate::stats::versus::rows::Goals;
use crate::store::identity::cell_of_name;
use crate::store::{Folder, runs};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// One of the things that a side is made of.
#[derive(Debug, Clone)]
pub enum Given {
    /// `FOLDER` or `FOLDER:RUN`; folders by path, or by the names of results folders.
    Named(String),
    /// A run of this process, or a part of one.
    Run {
        folder: PathBuf,
        run: String,
        part: Part,
        /// One of the cells of a sweep.
        of_several: bool,
    },
}

/// A run on disk, with what its row says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOnDisk {
    pub folder: PathBuf,
    pub name: String,
    /// Which of its rows are meant.
    pub part: Part,
    /// Runs of one cell are repeats of each other.
    pub cell: String,
    /// When its zero was, milliseconds since 1970.
    pub began_ms: i64,
    /// Since its zero, nanoseconds.
    pub window: (i64, i64),
    pub traffic: String,
    pub traffic_hash: String,
    /// The worst, and all that hold.
    pub verdict: String,
    pub verdicts: String,
    pub asked_rate: Option<f64>,
    pub asked_concurrency: Option<f64>,
    /// Of another tool.
    pub imported: bool,
    /// Its process was killed.
    pub recovered: bool,
    pub goals: Option<Goals>,
    pub environment: Environment,
}

impl RunOnDisk {
    fn of(
        folder: &Path,
        row: &Map<String, Value>,
        manifest: &Map<String, Value>,
        objectives: &Objectives,
    ) -> RunOnDisk {
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        let whole = |key: &str| row.get(key).and_then(Value::as_f64).unwrap_or_default() as i64;
        let real = |key: &str| row.get(key).and_then(Value::as_f64);
        let name = text("run");
        let cell = Some(text("cell")).filter(|cell| !cell.is_empty());
        let (asked_rate, asked_concurrency) = (real("asked_rate"), real("asked_concurrency"));
        let open = asked_rate.is_some() && asked_concurrency.is_none();
        RunOnDisk {
            folder: folder.to_path_buf(),
            part: Part::default(),
            goals: objectives.run(&name).map(|slo| Goals { slo: slo.clone(), open }),
            environment: Environment::of(manifest, row),
            imported: text("remarks").split(',').any(|remark| remark == "imported"),
            recovered: row.get("recovered").and_then(Value::as_bool).unwrap_or_default(),
            cell: cell.unwrap_or_else(|| cell_of_name(&name).to_string()),
            name,
            began_ms: whole("zero_ms"),
            window: (whole("window_start_ns"), whole("window_end_ns")),
            traffic: text("traffic"),
            traffic_hash: text("traffic_hash"),
            verdict: text("verdict"),
            verdicts: text("verdicts"),
            asked_rate,
            asked_concurrency,
        }
    }

    /// As a sentence names it.
    pub fn told(&self) -> String {
        let part = self.part.name();
        let part = if part.is_empty() { part } else { format!(", {part}") };
        format!("the run {:?}{part} of {}", self.name, self.folder.display())
    }

    pub fn is_steady(&self) -> bool {
        !self.verdicts.split(',').any(|verdict| verdict.trim() == "not_steady")
    }
}

/// The runs of one side, in the order of their starts.
#[derive(Debug, Clone)]
pub struct Side {
    pub runs: Vec<RunOnDisk>,
    /// Each was named by itself, so that all are runs of one thing.
    named: bool,
    /// Each thing that was given has one run.
    single: bool,
}

impl Side {
    /// The folder that was named last.
    pub fn folder(&self) -> PathBuf {
        self.runs.last().map(|run| run.folder.clone()).unwrap_or_default()
    }

    /// Of each cell only the last runs.
    pub fn keep_latest(&mut self, most: usize) {
        let runs = std::mem::take(&mut self.runs);
        let later = |run: &RunOnDisk| {
            runs.iter().filter(|other| other.cell == run.cell && other.began_ms > run.began_ms).count()
        };
        self.runs = runs.iter().filter(|run| later(run) < most).cloned().collect();
    }

    /// Where its runs lie.
    pub fn place(&self) -> String {
        let mut folders: Vec<String> = self.runs.iter().map(|run| run.folder.display().to_string()).collect();
        folders.dedup();
        let run = self.runs.first().filter(|_| self.named && self.runs.len() == 1);
        let run = run.map_or_else(String::new, |run| format!(":{}", run.name));
        format!("{}{run}", folders.join(", "))
    }

    /// The name by which it goes in a table: that of its only folder, else how many.
    pub fn name(&self) -> String {
        let mut folders: Vec<String> = Vec::new();
        for run in &self.runs {
            let name = run.folder.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            if !folders.contains(&name) {
                folders.push(name);
            }
        }
        match (folders.as_slice(), self.runs.as_slice()) {
            ([folder], [run]) if self.named => format!("{folder}:{}", run.name),
            ([folder], _) => folder.clone(),
            (folders, _) => format!("{} +{}", folders[0], folders.len() - 1),
        }
    }
}

/// A part of a file's name that tells which comparison a picture is of.
pub fn file_name(side: &Side) -> String {
    finished::file_name(&side.name().replace(' ', "_"))
}

/// Where folders are looked for, and who may read them.
pub struct Places<'a> {
    pub host: &'a Host,
    /// Where they are found by their names.
    pub results: PathBuf,
    /// Fails for a folder that must not be read.
    pub permits: &'a dyn Fn(&Path) -> Result<()>,
    pub lang: Lang,
}

/// Reads what the folders of a side say of their runs. Beside it stand warnings.
pub fn read(given: &[Given], places: &Places) -> Result<(Side, Vec<String>)> {
    let mut side = Side { runs: Vec::new(), named: true, single: true };
    let mut warnings = Vec::new();
    for one in given {
        let found = match one {
            Given::Named(text) => {
                let (folder, run) = locate(text, &places.results, places.host)?;
                (places.permits)(&folder)?;
                side.named &= run.is_some();
                of_folder(&folder, run.as_deref(), places.lang, &mut warnings)?
            }
            Given::Run { folder, run, part, of_several } => {
                side.named &= !of_several;
                let runs = listed(folder)?;
                let found = runs.into_iter().filter(|one| one.name == *run);
                let found: Vec<RunOnDisk> =
                    found.map(|one| RunOnDisk { part: part.clone(), ..one }).collect();
                if found.is_empty() {
                    return Err(Error::usage(format!("compare: the run {run:?} left no results")));
                }
                found
            }
        };
        side.single &= found.len() == 1;
        for run in found {
            if side.runs.contains(&run) {
                return Err(Error::usage(format!("compare: {} is named twice on one side", run.told())));
            }
            side.runs.push(run);
        }
    }
    side.runs.sort_by_key(|run| run.began_ms);
    Ok((side, warnings))
}

/// A folder, and the run behind its colon.
fn locate(text: &str, results: &Path, host: &Host) -> Result<(PathBuf, Option<String>)> {
    let found = |name: &str| {
        let places = [host.cwd().join(name), results.join(name)];
        places.into_iter().find(|path| !name.is_empty() && path.is_dir())
    };
    if let Some(folder) = found(text) {
        return Ok((folder, None));
    }
    if let Some((folder, run)) = text.rsplit_once(':').and_then(|(name, run)| Some((found(name)?, run))) {
        return Ok((folder, Some(run.to_string())));
    }
    let error = Error::usage(format!("compare: there is no results folder {text:?}"));
    let listed = crate::store::folder::look(results).map(|listing| listing.found).unwrap_or_default();
    let name = text.split(':').next().unwrap_or(text);
    Err(match nearest(name, listed.iter().map(|folder| folder.name.as_str())) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(
            "name a folder, or FOLDER:RUN for one of its runs; `rampant aggregate --list` lists folders",
        ),
    })
}

/// That a run is compared with itself, which says nothing; `None`: none is.
pub fn on_both_sides(a: &Side, b: &Side, lang: Lang) -> Option<String> {
    let both = a.runs.iter().find(|run| b.runs.contains(run))?;
    Some(match lang {
        Lang::English => format!("{} is on both sides: it is compared with itself", both.told()),
        Lang::Chinese => format!("{} 同时在两侧：与自身比较", both.told()),
    })
}

/// The runs of a folder, whose rows are as they are now.
fn listed(folder: &Path) -> Result<Vec<RunOnDisk>> {
    let doing = |error: Error| error.context("compare");
    let manifest = Folder::open(folder).and_then(|folder| folder.read_manifest()).map_err(doing)?;
    let rows = runs::rows(folder).map_err(doing)?;
    let objectives = Objectives::of(folder, &manifest);
    Ok(rows.iter().map(|row| RunOnDisk::of(folder, row, &manifest, &objectives)).collect())
}

/// The runs of a folder. What a killed process left is completed first.
fn of_folder(
    folder: &Path,
    run: Option<&str>,
    lang: Lang,
    warnings: &mut Vec<String>,
) -> Result<Vec<RunOnDisk>> {
    let recovered = recover::recover(folder).map_err(|error| error.context("compare"))?;
    if !recovered.is_nothing() {
        warnings.push(lang.recovered(&folder.display().to_string(), &recovered));
    }
    let mut all = listed(folder)?;
    if recovered.unwritten.is_some() {
        let manifest = Folder::open(folder).and_then(|folder| folder.read_manifest())?;
        let objectives = Objectives::of(folder, &manifest);
        let of_run = |run: &RecoveredRun| RunOnDisk::of(folder, &run.row, &manifest, &objectives);
        all.extend(recovered.runs.iter().map(of_run));
    }
    if all.is_empty() {
        let place = folder.display();
        return Err(match recovered.live {
            true => Error::usage(format!("compare: a run is still going on in {place}, and none has finished"))
                .hint("wait until it has ended"),
            false => Error::usage(format!("compare: {place} holds no finished run")).hint(
                "name a results folder, or FOLDER:RUN for one of its runs; `rampant aggregate --list` lists them",
            ),
        });
    }
    let Some(wanted) = run else { return Ok(all) };
    let names = all.iter().map(|run| run.name.clone()).collect::<Vec<_>>();
    let found: Vec<RunOnDisk> = all.into_iter().filter(|run| run.name == wanted).collect();
    if found.is_empty() {
        let told = format!("compare: {} has no run {wanted:?}", folder.display());
        let near = nearest(wanted, names.iter().map(String::as_str));
        let near = near.map_or_else(|| names.join(", "), |near| format!("did you mean {near}?"));
        return Err(Error::usage(told).hint(near));
    }
    Ok(found)
}

/// Runs that belong together, of either side.
pub type Runs = (Vec<RunOnDisk>, Vec<RunOnDisk>);

/// The cells that both sides have, and those that only one has.
#[derive(Debug, Clone)]
pub struct MatchedCells {
    pub cells: Vec<(String, Runs)>,
    pub only_a: Vec<String>,
    pub only_b: Vec<String>,
}

/// Matches the cells of both sides by their names; where each side has one, or where none has the name of
/// another and each folder has one run, those, whatever their names.
pub fn cells(a: &Side, b: &Side) -> Result<MatchedCells> {
    let names = |side: &Side| {
        let mut names: Vec<String> = Vec::new();
        for run in &side.runs {
            if !names.contains(&run.cell) {
                names.push(run.cell.clone());
            }
        }
        names
    };
    let (in_a, in_b) = (names(a), names(b));
    let no_name_meets = !in_a.iter().any(|name| in_b.contains(name));
    let one_thing = a.named && b.named || in_a.len() == 1 && in_b.len() == 1;
    if one_thing || no_name_meets && a.single && b.single {
        let cells = vec![(in_b[0].clone(), (a.runs.clone(), b.runs.clone()))];
        return Ok(MatchedCells { cells, only_a: Vec::new(), only_b: Vec::new() });
    }
    let of = |side: &Side, cell: &str| -> Vec<RunOnDisk> {
        side.runs.iter().filter(|run| run.cell == cell).cloned().collect()
    };
    let (both, only_a): (Vec<String>, Vec<String>) =
        in_a.iter().cloned().partition(|name| in_b.contains(name));
    if both.is_empty() {
        let told = format!(
            "compare: the sides have no run of the same name: A has {}, B has {}",
            in_a.join(", "),
            in_b.join(", ")
        );
        return Err(Error::usage(told).hint("name one run of each: FOLDER:RUN"));
    }
    let only_b = in_b.into_iter().filter(|name| !both.contains(name)).collect();
    let cells = both.into_iter().map(|name| {
        let runs = (of(a, &name), of(b, &name));
        (name, runs)
    });
    Ok(MatchedCells { cells: cells.collect(), only_a, only_b })
}

/// Whether there are enough runs on both sides for a verdict about a server.
pub fn enough(a: usize, b: usize, history: bool) -> bool {
    a >= ROUNDS_MIN && (b >= ROUNDS_MIN || history && b >= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &str, name: &str, began_ms: i64) -> RunOnDisk {
        let row = serde_json::json!({"run": name, "zero_ms": began_ms});
        RunOnDisk::of(Path::new(folder), row.as_object().unwrap(), &Map::new(), &Objectives::default())
    }

    fn side(runs: Vec<RunOnDisk>, named: bool) -> Side {
        Side { runs, named, single: false }
    }

    #[test]
    fn cells_meet_by_name_and_single_ones_whatever_they_are_called() {
        let a = side(vec![run("f", "c1", 1), run("f", "c8", 2), run("f", "c8_r2", 3)], false);
        let b = side(vec![run("g", "c8", 4), run("g", "c64", 5)], false);
        let matched = cells(&a, &b).unwrap();
        assert_eq!((matched.only_a, matched.only_b), (vec!["c1".to_string()], vec!["c64".to_string()]));
        assert_eq!(matched.cells.len(), 1);
        assert_eq!((matched.cells[0].1.0.len(), matched.cells[0].1.1.len()), (2, 1));
        let one =
            cells(&side(vec![run("f", "old", 1)], false), &side(vec![run("g", "new", 2)], false)).unwrap();
        assert_eq!(one.cells[0].0, "new");
        let none = cells(&a, &side(vec![run("g", "x", 1), run("g", "y", 2)], false)).unwrap_err();
        assert!(none.message.contains("A has c1, c8, B has x, y"), "{none}");
        let named = cells(
            &side(vec![run("f", "a1", 1), run("f", "a2", 3)], true),
            &side(vec![run("f", "b1", 2)], true),
        );
        assert_eq!(named.unwrap().cells[0].1.0.len(), 2);
    }

    #[test]
    fn a_gate_keeps_the_last_ten_of_the_past() {
        let mut past = side((0..14).map(|i| run("f", "c8", i)).collect(), false);
        past.keep_latest(10);
        assert_eq!(past.runs.iter().map(|run| run.began_ms).collect::<Vec<_>>(), (4..14).collect::<Vec<_>>());
    }

    #[test]
    fn how_many_runs_a_verdict_takes() {
        assert!(enough(3, 3, false) && enough(3, 1, true));
        assert!(!enough(1, 1, false) && !enough(3, 2, false) && !enough(2, 1, true));
    }
}
