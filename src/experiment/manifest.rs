//! What ran: the manifest of a results folder, filled as the session goes on.

use super::Experiment;
use super::cell_plan::{self, CellPlan};
use super::check::Check;
use super::finished::{Finished, facts};
use super::objectives;
use super::resume::PLANS;
use super::server::Ready;
use crate::error::Result;
use crate::stats::report::Report;
use crate::store::{Folder, RunIdentity, identity, manifest};
use serde_json::{Map, Value, json};

/// Writes the manifest's first form and copies the script in.
pub fn begin(experiment: &Experiment, folder: &Folder, now: chrono::DateTime<chrono::Local>) -> Result<()> {
    let script = &experiment.program;
    let file = script.file_name();
    folder.save_in("script", &file, script.text.as_bytes())?;
    save_presets(experiment, folder)?;
    save_plans(experiment, folder)?;
    let params: Map<String, Value> = experiment.findings().params.iter().cloned().collect();
    let mut whole = Map::new();
    whole.insert("versions".into(), Value::Object(manifest::versions()));
    let id = identity::new_id(now.timestamp_millis(), crate::os::chance());
    whole.insert(identity::EXPERIMENT_ID.into(), id.into());
    let name = folder.path().file_name().map(|name| name.to_string_lossy().into_owned());
    whole.insert(identity::FOLDER.into(), name.into());
    whole.insert("started_ms".into(), now.timestamp_millis().into());
    whole.insert("started".into(), now.to_rfc3339().into());
    whole.insert(
        "script".into(),
        json!({ "name": script.name, "file": file, "sha256": manifest::sha256(&script.text) }),
    );
    whole.insert("parameters".into(), Value::Object(params));
    whole.insert("seed_switch".into(), experiment.switches.seed.into());
    whole.insert("salt".into(), format!("{:016x}", experiment.salt).into());
    whole.insert("host".into(), manifest::Machine::here().to_json());
    whole.insert("invocations".into(), json!([invocation(experiment, now)]));
    whole.insert("cells".into(), experiment.findings().plans.len().into());
    whole.insert("targets".into(), json!({}));
    whole.insert("runs".into(), json!([]));
    folder.manifest(|map| *map = experiment.secrets.scrub_map(whole))
}

/// The files that gave parameters stand beside the script, as they were.
fn save_presets(experiment: &Experiment, folder: &Folder) -> Result<()> {
    let presets = experiment.findings().presets.clone();
    for (path, text) in presets {
        let name = std::path::Path::new(&path).file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.filter(|name| !folder.path().join("script").join(name).exists());
        if let Some(name) = name {
            folder.save_in("script", &name, experiment.secrets.scrub(&text).as_bytes())?;
        }
    }
    Ok(())
}

/// Every run that the sweeps so far were to make, in full: whoever reads the folder of a process that was
/// killed knows what is missing, and whoever goes on there, what was asked.
fn save_plans(experiment: &Experiment, folder: &Folder) -> Result<()> {
    let plans: Vec<Value> = experiment.findings().plans.iter().map(CellPlan::to_json).collect();
    if plans.is_empty() {
        return Ok(());
    }
    let mut text = serde_json::to_string_pretty(&plans).expect("a list of JSON values is JSON");
    text.push('\n');
    folder.replace_in("script", PLANS, text.as_bytes())
}

/// A sweep is to make these runs.
pub fn plan_cells(experiment: &Experiment, plans: Vec<CellPlan>) -> Result<()> {
    let cells = {
        let mut findings = experiment.findings();
        findings.plans.extend(plans);
        findings.plans.len()
    };
    let Some(folder) = experiment.folder() else { return Ok(()) };
    save_plans(experiment, &folder)?;
    folder.manifest(|map| drop(map.insert("cells".into(), cells.into())))
}

/// This process, as the manifest lists it.
fn invocation(experiment: &Experiment, now: chrono::DateTime<chrono::Local>) -> Value {
    json!({
        "started": now.to_rfc3339(),
        "started_ms": now.timestamp_millis(),
        "version": env!("CARGO_PKG_VERSION"),
        "argv": experiment.switches.argv,
        "hostname": manifest::Machine::here().hostname,
    })
}

/// This invocation goes on in a folder: it skips some of its runs, and makes others again.
pub fn go_on(experiment: &Experiment, folder: &Folder, skipped: &[String], again: &[String]) -> Result<()> {
    let mut entry = invocation(experiment, chrono::Local::now());
    entry["skipped"] = json!(skipped);
    entry["measured_again"] = json!(again);
    let entry = experiment.secrets.scrub_map(Map::from_iter([("of".into(), entry)]))["of"].take();
    folder.manifest(|map| {
        // Those of the process before: it is not known yet how this one ends.
        for key in LAST {
            map.shift_remove(key);
        }
        if let Some(list) = map.entry("invocations").or_insert_with(|| json!([])).as_array_mut() {
            list.push(entry);
        }
    })
}

/// What is known when an invocation has ended.
const LAST: [&str; 5] = ["notes", "checks", "problems", "ended_ms", "exit_code"];

/// Adds a finished run, its place and number of requests (warm-up too), and what is known of its
/// target.
pub fn add_run(
    experiment: &Experiment,
    finished: &Finished,
    ready: &Ready,
    (of, requests): (&RunIdentity, u64),
) -> Result<()> {
    let plan = &finished.plan;
    let mut run = Map::new();
    run.insert("name".into(), plan.name.clone().into());
    run.insert("run_id".into(), of.run_id().into());
    run.insert("index".into(), of.index.into());
    run.insert("cell".into(), of.cell.clone().into());
    run.insert("target".into(), plan.target.name.clone().into());
    run.insert("arrivals".into(), plan.arrivals.to_string().into());
    run.insert("max_in_flight".into(), plan.places().into());
    run.insert("traffic".into(), plan.traffic.clone().into());
    run.insert("traffic_hash".into(), finished.traffic_hash.clone().into());
    run.insert("seed".into(), plan.seed.to_string().into());
    run.insert("salt".into(), format!("{:016x}", plan.salt).into());
    run.insert("tags".into(), Value::Object(plan.tags.clone()));
    run.insert("requests".into(), plan.requests.into());
    run.insert("sessions".into(), plan.sessions.into());
    run.insert("duration_s".into(), plan.duration.map(|duration| duration.as_secs_f64()).into());
    run.insert("warmup".into(), format!("{:?}", plan.warmup).to_lowercase().into());
    objectives::note(&mut run, plan.slo.as_ref());
    run.insert("data_sets".into(), super::recorded::facts(plan, requests));
    run.insert("hooks".into(), super::hooks::facts(plan));
    run.insert("plan_hash".into(), cell_plan::hash(&plan.definition).into());
    run.insert("plan".into(), Value::Object(plan.definition.clone()));
    run.extend(facts(finished));
    run.insert("verdict".into(), finished.summary.report().map(Report::to_json).into());
    let run = experiment.secrets.scrub_map(run);
    let target = experiment.secrets.scrub_map(target(ready));
    finished.folder.manifest(|map| {
        if let Some(targets) = map.get_mut("targets").and_then(Value::as_object_mut) {
            targets.entry(plan.target.name.clone()).or_insert(Value::Object(target));
        }
        if let Some(runs) = map.get_mut("runs").and_then(Value::as_array_mut) {
            runs.push(Value::Object(run));
        }
        map.insert("model".into(), (&*experiment.secrets.scrub(&plan.target.model)).into());
    })
}

fn target(ready: &Ready) -> Map<String, Value> {
    let target = &ready.target;
    let mut map = Map::new();
    map.insert("base_url".into(), target.base.as_str().into());
    map.insert("api".into(), target.api.name().into());
    map.insert("endpoint".into(), target.endpoint.clone().into());
    map.insert("model".into(), target.model.clone().into());
    map.insert("tokenizer".into(), ready.tokens.name().into());
    map.insert("streamed".into(), target.stream.into());
    map.insert("notes".into(), ready.notes.iter().cloned().collect());
    map.extend((*ready.facts).clone());
    map
}

/// Writes what the end of the session knows: checks, notes, problems.
pub fn end(experiment: &Experiment, folder: &Folder, exit_code: u8) -> Result<()> {
    let findings = experiment.findings().clone();
    let checks: Vec<Value> = findings.checks.iter().map(Check::to_json).collect();
    let mut last = Map::new();
    let notes: Map<String, Value> = findings.notes.into_iter().collect();
    last.insert("notes".into(), Value::Object(notes));
    last.insert("checks".into(), checks.into());
    last.insert("problems".into(), findings.problems.into());
    last.insert("ended_ms".into(), (crate::os::wall() / 1_000_000).into());
    last.insert("exit_code".into(), exit_code.into());
    let last = experiment.secrets.scrub_map(last);
    folder.manifest(|map| {
        let invocations = map.get_mut("invocations").and_then(Value::as_array_mut);
        if let Some(mine) = invocations.and_then(|list| list.last_mut()?.as_object_mut()) {
            let kept =
                last.iter().filter(|(key, _)| ["problems", "ended_ms", "exit_code"].contains(&key.as_str()));
            mine.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
        }
        map.extend(last);
    })
}
