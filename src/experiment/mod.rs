//! `Experiment`: what the runs of one invocation share, without a word of the script language.
//!
//! A script, or a command that needs none, holds one [`Experiment`] and calls what stands beside
//! it: [`server`] makes a target ready, [`measure`] runs plans and keeps what became of them,
//! [`portion`] reads its rows back, whole or in parts, for [`pictures`], [`series`] and [`vllm`];
//! [`aggregate`] reads what many runs said.

pub(crate) mod access;
pub(crate) mod aggregate;
mod append;
pub(crate) mod args;
mod bound;
pub(crate) mod cell_plan;
pub(crate) mod cells;
pub(crate) mod check;
pub(crate) mod child;
pub mod chosen;
pub(crate) mod closing;
pub(crate) mod collect;
pub(crate) mod columns;
pub(crate) mod compare;
pub mod configurations;
pub(crate) mod console;
mod display;
pub(crate) mod dry;
mod expected_load;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod findings;
pub(crate) mod finished;
pub(crate) mod folder;
pub mod gathered;
pub(crate) mod going_on;
mod hints;
mod hooks;
pub(crate) mod import;
pub(crate) mod kept_run;
pub(crate) mod limits;
pub(crate) mod manifest;
pub(crate) mod measure;
pub(crate) mod objectives;
pub mod part;
pub(crate) mod pictures;
pub(crate) mod portion;
mod preflight;
pub(crate) mod program;
pub(crate) mod quota;
pub mod recalled;
pub(crate) mod recorded;
pub(crate) mod recover;
pub(crate) mod reopened;
mod repeats;
pub(crate) mod replayed;
pub(crate) mod resume;
pub mod row;
mod said;
mod scraping;
pub(crate) mod secret;
pub(crate) mod sentences;
pub(crate) mod series;
pub(crate) mod server;
pub(crate) mod source;
mod status;
pub(crate) mod switches;
pub(crate) mod table_formats;
pub(crate) mod terminal;
mod viewed;
pub(crate) mod vllm;

use crate::client::{Client, Http, Target, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;
use crate::os;
use crate::record::Nanos;
use crate::run;
use crate::store::Folder;
use access::Access;
use args::Args;
use cells::Cells;
use check::{Check, Held};
use console::Console;
use findings::{Findings, RunEnd};
use program::Program;
use quota::Quota;
use resume::Resumed;
use secret::Secrets;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use switches::Switches;
use tokio::runtime::Runtime;

/// What the runs of one invocation share.
pub struct Experiment {
    pub host: Host,
    pub switches: Switches,
    pub program: Program,
    pub access: Access,
    pub secrets: Arc<Secrets>,
    pub quota: Arc<Quota>,
    pub console: Arc<Console>,
    /// Where a sweep is.
    pub cells: Cells,
    /// When the invocation began.
    pub started: Nanos,
    /// Changes the words of every prompt, so that a rerun meets no warm prefix cache.
    pub salt: u64,
    findings: Mutex<Findings>,
    runtime: OnceLock<Runtime>,
    folder: Mutex<Option<Arc<Folder>>>,
    load_sent: AtomicBool,
    runs: AtomicU32,
    names: Mutex<HashSet<String>>,
    /// The folder in which it goes on, with `--resume`.
    pub resumed: Option<Resumed>,
    /// Runs so far of a traffic on a server.
    asked: Mutex<HashMap<(String, String), u64>>,
}

impl Experiment {
    /// Fails when a secret cannot be had, so that nobody learns it after an hour. `resumed`: the folder in
    /// which it goes on.
    pub fn new(
        program: Program,
        args: &Args,
        switches: Switches,
        host: Host,
        resumed: Option<Resumed>,
    ) -> Result<Experiment> {
        // As the earlier invocation had it.
        let switches = match &resumed {
            Some(resumed) => Switches { seed: switches.seed.or(resumed.seed), ..switches },
            None => switches,
        };
        let access = Access::new(&program, args, &switches, &host);
        let secrets = Arc::new(Secrets::read(&switches.secrets, &host)?);
        let texts = args.given.iter().flat_map(|given| &given.texts);
        texts.for_each(|text| secrets.scrubber().learn_address(text));
        let fresh = os::wall() as u64 ^ u64::from(std::process::id()).rotate_left(40);
        Ok(Experiment {
            started: os::now(),
            salt: match &resumed {
                _ if switches.same_bytes => 0,
                Some(resumed) => resumed.salt,
                None => fresh,
            },
            quota: Arc::new(Quota::new(switches.max_disk, program.built_in)),
            console: Arc::new(Console::new(host.clone(), &switches, secrets.clone())),
            cells: Cells::default(),
            host,
            switches,
            program,
            access,
            secrets,
            findings: Mutex::default(),
            runtime: OnceLock::new(),
            folder: Mutex::new(None),
            load_sent: AtomicBool::new(false),
            runs: AtomicU32::new(resumed.as_ref().map_or(0, |resumed| resumed.next_run)),
            names: Mutex::default(),
            resumed,
            asked: Mutex::default(),
        })
    }

    /// What was found so far, to add to or to read.
    pub fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a check and tells it as it falls; the invocation ends with 99 when one did not hold.
    pub fn check(&self, check: Check) {
        let lang = self.console.words();
        let told = lang.check(&check.told(lang), check.held);
        match check.held {
            Held::Yes => self.console.mention(&told),
            _ => self.console.stress(&told),
        }
        self.findings().checks.push(check);
    }

    /// A run that is no success as a whole: the process will end with 1.
    pub fn problem_of(&self, run: &str, sentence: String) {
        if let Some(end) = self.findings().runs.iter_mut().rev().find(|end| end.name == run) {
            end.problems.push(sentence.clone());
        }
        self.problem(format!("{}{sentence}", self.console.words().of_run(run)));
    }

    /// Something that is no success as a whole: the process will end with 1.
    pub fn problem(&self, sentence: String) {
        // The first one is said at the end; nobody should wait for it until a sweep is over.
        if !self.cells.label().is_empty() || !self.findings().problems.is_empty() {
            self.console.warn(&sentence);
        }
        self.findings().problems.push(sentence);
    }

    /// A run has ended. One that is not valid as a measurement is warned of; with `--strict` the process
    /// will end with 96.
    pub fn run_ended(&self, end: RunEnd) {
        if !end.is_valid() && !self.tells_in_tables() {
            let of_run = self.console.words().of_run(&end.name);
            end.reasons.iter().for_each(|reason| self.console.warn(&format!("{of_run}{reason}")));
        }
        self.findings().runs.push(end);
    }

    /// Whether every run ends with its table, in which the reasons of its verdict stand: what is
    /// said in full once need not be warned of before.
    pub fn tells_in_tables(&self) -> bool {
        self.program.is_command("single")
    }

    /// The error that the invocation ends with, if it has found one.
    pub fn verdict(&self) -> Result<()> {
        self.findings().verdict(&self.switches)
    }

    /// From now on a mistake of the script is an error while running (exit 1), no longer a wrong
    /// script (2).
    pub fn load_begins(&self) {
        self.load_sent.store(true, Ordering::Relaxed);
        os::load_was_sent();
    }

    /// What a mistake of the script's own is at this moment.
    pub fn kind_of_fault(&self) -> ErrorKind {
        if self.load_sent.load(Ordering::Relaxed) { ErrorKind::Run } else { ErrorKind::Usage }
    }

    /// The threads that send requests, made at their first use.
    pub fn runtime(&self) -> Result<&Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let runtime = run::runtime()
            .map_err(|error| Error::run(format!("cannot start the threads that send requests: {error}")))?;
        Ok(self.runtime.get_or_init(|| runtime))
    }

    /// A client of `target`; no traffic yet.
    pub fn client(&self, target: &Arc<Target>) -> Result<Client> {
        self.runtime()?.block_on(self.client_of(target))
    }

    /// The same, awaited.
    pub async fn client_of(&self, target: &Arc<Target>) -> Result<Client> {
        Ok(Client::Http(Box::new(Http::new(target.clone(), Transport::start()?).await?)))
    }

    /// The results folder, if there is one yet.
    pub fn folder(&self) -> Option<Arc<Folder>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// See [`Access::may_write`].
    pub fn may_write(&self, path: &str) -> Result<PathBuf> {
        let own = self.folder();
        self.access.may_write(path, own.as_ref().map(|folder| folder.path()))
    }

    /// The salt of the next run of a traffic on a server: two servers get the same words, and one
    /// that is asked again gets fresh ones, or its prefix cache would answer; also by a run that was cut off.
    pub fn salt_of(&self, name: &str, traffic: &str, target: &Target) -> u64 {
        let before = self.resumed.as_ref().map_or(0, |resumed| resumed.earlier(name));
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = asked.entry((traffic.into(), target.base.to_string())).or_default();
        let earlier = *runs + before;
        *runs = earlier + 1;
        if self.switches.same_bytes { 0 } else { self.salt.wrapping_add(earlier) }
    }

    /// `name`, or `run-1`; with a number behind it when an earlier run has that name.
    pub fn free_name(&self, name: Option<String>) -> String {
        take_name(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner), name)
    }

    /// The names that [`Experiment::free_name`] will give to runs that come one after the other.
    pub fn names_to_come(&self, wanted: impl Iterator<Item = Option<String>>) -> Vec<String> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
        wanted.map(|name| take_name(&mut names, name)).collect()
    }

    /// From now on the folder of an earlier invocation is the one of this one, too.
    pub fn go_on(&self, folder: Arc<Folder>) {
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
    }

    /// The number of the next run, from 0 on.
    fn next_run(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }
}

fn take_name(names: &mut HashSet<String>, name: Option<String>) -> String {
    let wanted = name.unwrap_or_else(|| format!("run-{}", names.len() + 1));
    let mut free = wanted.clone();
    for n in 2.. {
        if names.insert(free.clone()) {
            break;
        }
        free = format!("{wanted}-{n}");
    }
    free
}
