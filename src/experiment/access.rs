//! `Access`: which files and hosts a script may reach.
//!
//! Loopback, and what the command line names. The script itself cannot widen this, so a script
//! from a stranger is safe to run. The built-in commands are ours, and the paths that they handle
//! are the user's own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::args::Args;
use super::program::Program;
use super::secret::From as SecretFrom;
use super::switches::Switches;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::os::file::{self, plain};

/// Most bytes of a file that the command line names, such as a data set.
const NAMED_BYTES_MAX: u64 = 4 << 30;

/// Most bytes of any other file: a script's own data.
const BYTES_MAX: u64 = 100 << 20;

/// Entries of a folder in which links are looked for.
const LINKS_LOOKED_AT: usize = 100_000;

/// What a script may reach.
#[derive(Debug)]
pub struct Access {
    cwd: PathBuf,
    script_folder: PathBuf,
    /// A built-in command: every path that it handles comes from the user.
    built_in: bool,
    /// Folders and single files, canonical; the script's own folder is not among them.
    readable: Vec<PathBuf>,
    /// Paths that the command line names, canonical.
    named: Vec<PathBuf>,
    /// Files of `--secret`: their content goes into a header and nowhere else.
    sealed: Vec<PathBuf>,
    results: PathBuf,
    /// Where new files may go: what parameters such as `output` or `dir` name.
    places: Vec<PathBuf>,
    /// Files given as `config`: the addresses of servers in them become reachable.
    plans: Vec<PathBuf>,
    hosts: Mutex<Vec<Reach>>,
    /// Values of parameters, as they were typed.
    values: Vec<String>,
}

/// A host that may be reached, on one port or on all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reach {
    host: String,
    port: Option<u16>,
}

impl Access {
    pub fn new(program: &Program, args: &Args, switches: &Switches, host: &Host) -> Self {
        let cwd = host.cwd();
        let real = |path: &Path| cwd.join(path).canonicalize().ok();
        let given = || {
            args.given
                .iter()
                .flat_map(|given| given.texts.iter().map(|text| (given.name.as_str(), text.as_str())))
        };
        let named: Vec<PathBuf> =
            given().flat_map(|(_, text)| items(text)).filter_map(|text| real(Path::new(text))).collect();
        let results = switches.results(host);
        let of_places = given().filter(|(name, text)| is_place(name) && !text.is_empty());
        let places = of_places.flat_map(|(_, text)| [cwd.join(text), results.join(text)]).collect();
        let plans = given().filter(|(name, _)| *name == "config");
        let plans = plans.filter_map(|(_, text)| real(Path::new(text))).collect();
        let mut hosts: Vec<Reach> = switches.allow.iter().map(|text| reach(text)).collect();
        hosts.extend(
            given().flat_map(|(name, text)| items(text).filter_map(move |text| granted_by(name, text))),
        );
        let sealed = switches.secrets.iter().filter_map(|(_, from)| match from {
            SecretFrom::File(path) => real(path),
            SecretFrom::Env(_) => None,
        });
        Access {
            readable: switches.allow_read.iter().filter_map(|path| real(path)).chain(named.clone()).collect(),
            sealed: sealed.collect(),
            script_folder: program.folder(host),
            built_in: program.built_in,
            results,
            named,
            places,
            plans,
            cwd,
            hosts: Mutex::new(hosts),
            values: given().map(|(_, text)| text.to_string()).collect(),
        }
    }

    /// The real path of a plain file or folder that the script may read. Relative paths are looked
    /// for beside the script, then in the working folder. Fails when it is outside, not there, too
    /// large, or no plain file: nothing is opened for that.
    pub fn may_read(&self, path: &str) -> Result<PathBuf> {
        let cannot = |what: String| Error::usage(format!("cannot read {path:?}: {what}"));
        let beside = self.script_folder.join(path);
        let wanted = if beside.exists() { beside } else { self.cwd.join(path) };
        let real = wanted.canonicalize().map_err(|error| cannot(plain(&error)))?;
        self.may_see(path, &real)?;
        file::check_kind(&real).map_err(|error| cannot(plain(&error)))?;
        let (has, most) = (real.metadata().map_or(0, |found| found.len()), self.bytes_max(&real));
        match real.is_file() && has > most {
            true => {
                Err(cannot(format!("it has {}, and at most {} are read", file::size(has), file::size(most))))
            }
            false => Ok(real),
        }
    }

    /// The content of a file that the script may read, of at most `most` bytes, and its real path.
    pub fn read(&self, path: &str, most: u64) -> Result<(PathBuf, Vec<u8>)> {
        let real = self.may_read(path)?;
        match file::read(&real, most.min(self.bytes_max(&real))) {
            Ok(bytes) => Ok((real, bytes)),
            Err(error) => Err(Error::usage(format!("cannot read {path}: {}", plain(&error)))),
        }
    }

    fn bytes_max(&self, real: &Path) -> u64 {
        let named = self.built_in || self.named.iter().any(|root| real.starts_with(root));
        if named { NAMED_BYTES_MAX } else { BYTES_MAX }
    }

    fn may_see(&self, path: &str, real: &Path) -> Result<()> {
        if self.sealed.iter().any(|sealed| sealed == real) {
            let told =
                format!("a script may not read {path:?}: it holds a secret, which secret(...) hands over");
            return Err(Error::usage(told));
        }
        let results = self.results.canonicalize().ok();
        if self.built_in || self.readable.iter().chain(&results).any(|root| real.starts_with(root)) {
            return Ok(());
        }
        let own = self.script_folder.canonicalize().ok().and_then(|root| real.strip_prefix(root).ok());
        let hidden = own.is_some_and(|inside| {
            inside.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'))
        });
        let why = match own {
            Some(_) if !hidden => return Ok(()),
            Some(_) => "it is hidden, and not named on the command line",
            None => "it is neither under the script's folder nor named on the command line",
        };
        let folder = if real.is_dir() { real } else { real.parent().unwrap_or(real) };
        if let Err(never) = file::check_kind(real) {
            // No grant would help.
            return Err(Error::usage(format!("a script may not read {path:?}: {}", plain(&never))));
        }
        let error = Error::usage(format!("a script may not read {path:?}: {why}"));
        Err(error.hint(format!("--allow-read {}", self.short(folder))))
    }

    /// The real path of a folder into which the script may put new files: `own`, its results
    /// folder, or one that a parameter such as `output` names on the command line. A built-in
    /// command may write where its user says.
    pub fn may_write(&self, path: &str, own: Option<&Path>) -> Result<PathBuf> {
        let cannot = |what: String| Error::usage(format!("cannot write {path:?}: {what}"));
        let place = place(&self.cwd.join(path)).map_err(|error| cannot(plain(&error)))?;
        let roots = self.places.iter().map(PathBuf::as_path).chain(own);
        if self.built_in
            || roots.filter_map(|root| self::place(root).ok()).any(|root| place.starts_with(root))
        {
            return Ok(place);
        }
        let told = format!(
            "a script may not write {path:?}: it is neither in its results nor named on the command line"
        );
        Err(Error::usage(told).hint("make the folder a parameter called `output` and give -p output=DIR"))
    }

    /// Fails when a link inside a folder that the script may read leads to where it may not: those
    /// who read a folder follow its links. What the command line names is the user's own.
    pub fn check_links(&self, folder: &Path) -> Result<()> {
        let granted = self.built_in || self.readable.iter().any(|root| folder.starts_with(root));
        if !granted && folder.is_dir() { self.check_links_below(folder, 0) } else { Ok(()) }
    }

    fn check_links_below(&self, folder: &Path, depth: usize) -> Result<()> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(LINKS_LOOKED_AT);
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().ok());
            match kind {
                Some(kind) if kind.is_symlink() => {
                    if let Ok(real) = path.canonicalize() {
                        self.may_see(&self.short(&path), &real)?;
                    }
                }
                Some(kind) if kind.is_dir() && depth < 16 => self.check_links_below(&path, depth + 1)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// True when there is a file or folder of that name, whether or not it may be read.
    pub fn is_there(&self, path: &str) -> bool {
        self.script_folder.join(path).exists() || self.cwd.join(path).exists()
    }

    /// True when a parameter on the command line has this value.
    pub fn is_named(&self, name: &str) -> bool {
        self.values.iter().any(|value| value == name)
    }

    /// Fails unless the command line names this file as one to write: only such a one may grow.
    pub fn may_append(&self, path: &Path) -> Result<()> {
        let folder = path.parent().and_then(|folder| place(folder).ok());
        let named = self.places.iter().any(|known| {
            let known_folder = known.parent().and_then(|folder| place(folder).ok());
            let whole = known.file_name() == path.file_name() && known_folder == folder;
            whole || place(known).ok() == folder
        });
        match self.built_in || named {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "a script may not append to {:?}: the command line does not name it",
                self.short(path)
            ))),
        }
    }

    /// To be called with what was read: an address of a plan that was given as `config` becomes
    /// reachable, its `base_url` or one of its `metrics_url`.
    pub fn learn(&self, path: &Path, address: &str) {
        let is_plan = self.plans.iter().any(|plan| plan == path);
        // The plan of a built-in command has a name when nobody gives it one.
        let usual =
            self.built_in && path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_plan || usual {
            self.grant(address);
        }
    }

    /// Makes the host of an address reachable that the command line gives.
    pub fn grant(&self, url: &str) {
        self.hosts.lock().expect("nobody panics while holding the hosts").extend(host_of_server(url));
    }

    /// Fails when the script may not reach `host` at `port`.
    pub fn may_reach(&self, host: &str, port: u16) -> Result<()> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if is_loopback(&host) {
            return Ok(());
        }
        let hosts = self.hosts.lock().expect("nobody panics while holding the hosts");
        if hosts.iter().any(|known| known.host == host && known.port.is_none_or(|known| known == port)) {
            return Ok(());
        }
        let flag = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Err(Error::usage(format!(
            "a script may not reach {flag}: the host is neither loopback nor named on the command line"
        ))
        .hint(format!("--allow {flag}")))
    }

    fn short(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.cwd).unwrap_or(path);
        if inside.as_os_str().is_empty() { ".".into() } else { inside.display().to_string() }
    }
}

/// A value, and the items of a list in it.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(',').map(str::trim).filter(move |part| *part != text);
    std::iter::once(text).chain(parts).filter(|text| !text.is_empty())
}

/// Whether a parameter of this name says where files go.
fn is_place(name: &str) -> bool {
    const ENDS: [&str; 7] = ["output", "out", "dir", "folder", "path", "file", "filename"];
    ENDS.iter().any(|end| name == *end || name.strip_suffix(end).is_some_and(|before| before.ends_with('_')))
}

/// The host that a parameter grants: an address in one that is called `url` or `..._url`, and
/// a bare host, too, in one that is called `host` or `..._host`.
fn granted_by(name: &str, text: &str) -> Option<Reach> {
    let name = name.strip_suffix('s').unwrap_or(name);
    let is = |end: &str| name == end || name.strip_suffix(end).is_some_and(|before| before.ends_with('_'));
    match (is("url"), is("host")) {
        (true, _) => host_of_server(text),
        (_, true) => Some(reach(text)),
        _ => None,
    }
}

/// The real path of what may not be there yet: links are followed as far as there is something.
fn place(path: &Path) -> std::io::Result<PathBuf> {
    let (mut there, mut rest) = (path, Vec::new());
    loop {
        match there.canonicalize() {
            Ok(real) => return Ok(rest.into_iter().rev().fold(real, |path, name| path.join(name))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (Some(name), Some(parent)) = (there.file_name(), there.parent()) else {
                    return Err(error);
                };
                rest.push(name);
                there = parent;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host`, `host:port`, `[v6]:port`, or an address with a scheme.
fn reach(text: &str) -> Reach {
    if let Some(known) = host_of(text) {
        return known;
    }
    let text = text.trim().to_ascii_lowercase();
    if let Some((v6, port)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return Reach { host: v6.into(), port: port.strip_prefix(':').and_then(|port| port.parse().ok()) };
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => Reach { host: host.into(), port: Some(port) },
            Err(_) => Reach { host: text, port: None },
        },
        _ => Reach { host: text, port: None },
    }
}

/// The same, also with a role before it: `prefill=http://...`.
fn host_of_server(text: &str) -> Option<Reach> {
    host_of(text).or_else(|| host_of(text.split_once('=')?.1))
}

/// The host of an http or https address.
fn host_of(text: &str) -> Option<Reach> {
    let address = url::Url::parse(text.trim()).ok()?;
    if !matches!(address.scheme(), "http" | "https") {
        return None;
    }
    let host = address.host_str()?.trim_matches(['[', ']']).to_ascii_lowercase();
    Some(Reach { host, port: address.port_or_known_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::args::Given;

    fn given(values: &[(&str, &str)]) -> Args {
        let given = |(name, text): &(&str, &str)| Given {
            name: name.to_string(),
            flag: format!("-p {name}"),
            texts: vec![text.to_string()],
            split: true,
        };
        Args { given: values.iter().map(given).collect() }
    }

    fn access(folder: &Path, args: &Args, switches: &Switches) -> Access {
        let script = folder.join("mine/script.rhai");
        let (text, path) = (String::new(), Some(script));
        let program = Program { name: "script.rhai".into(), text, path, built_in: false };
        Access::new(&program, args, switches, &Host::fake(folder, &[]))
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in
            ["mine/script.rhai", "mine/data/a.csv", "other/b.csv", "results/r/manifest.json", "c.yaml"]
        {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn files_beside_the_script_in_the_results_and_on_the_command_line_may_be_read() {
        let folder = folder();
        let access = access(folder.path(), &given(&[("x", "c.yaml")]), &Switches::default());
        for path in ["data/a.csv", "mine/data/a.csv", "results/r/manifest.json", "c.yaml"] {
            assert!(access.may_read(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn another_file_is_refused_with_the_flag_to_add() {
        let folder = folder();
        let refused = access(folder.path(), &given(&[]), &Switches::default());
        assert_eq!(
            refused.may_read("other/b.csv").unwrap_err().to_string(),
            "a script may not read \"other/b.csv\": it is neither under the script's folder nor named on the \
             command line\n  try: --allow-read other"
        );
        let switches = Switches { allow_read: vec!["other".into()], ..Default::default() };
        assert!(access(folder.path(), &given(&[]), &switches).may_read("other/b.csv").is_ok());
    }

    #[test]
    fn no_flag_is_advised_that_would_not_help() {
        let folder = folder();
        std::fs::write(folder.path().join("here.csv"), "").unwrap();
        let access = access(folder.path(), &given(&[]), &Switches::default());
        for path in ["/proc/self/environ", "/dev/zero", "/dev/null", "/sys/kernel"] {
            let told = access.may_read(path).unwrap_err().to_string();
            assert!(told.contains("where the system shows itself") && !told.contains("try:"), "{told}");
        }
        let told = access.may_read("here.csv").unwrap_err();
        assert_eq!(told.hint.as_deref(), Some("--allow-read ."));
    }

    #[test]
    fn a_path_that_climbs_out_or_a_link_that_leads_out_is_refused() {
        let folder = folder();
        std::os::unix::fs::symlink(folder.path().join("other"), folder.path().join("mine/link")).unwrap();
        let access = access(folder.path(), &given(&[]), &Switches::default());
        assert!(access.may_read("../other/b.csv").unwrap_err().message.contains("may not read"));
        assert!(access.may_read("link/b.csv").unwrap_err().message.contains("may not read"));
        assert_eq!(access.may_read("gone").unwrap_err().message, "cannot read \"gone\": no such file");
    }

    #[test]
    fn hidden_files_and_those_of_secrets_are_left_alone() {
        let folder = folder();
        for file in ["mine/.env.csv", "mine/key.txt"] {
            std::fs::write(folder.path().join(file), "x").unwrap();
        }
        let secrets = vec![("K".to_string(), SecretFrom::File("mine/key.txt".into()))];
        let switches = Switches { secrets, ..Default::default() };
        let refused = access(folder.path(), &given(&[]), &switches);
        assert!(refused.may_read(".env.csv").unwrap_err().message.contains("it is hidden"));
        assert!(refused.may_read("key.txt").unwrap_err().message.contains("it holds a secret"));
        let named = access(folder.path(), &given(&[("env", "mine/.env.csv")]), &switches);
        assert!(named.may_read(".env.csv").is_ok());
    }

    #[test]
    fn a_script_writes_into_its_own_results_and_where_a_parameter_says() {
        let folder = folder();
        let own = folder.path().join("results/own");
        std::fs::create_dir_all(&own).unwrap();
        std::os::unix::fs::symlink(folder.path().join("other"), own.join("link")).unwrap();
        let args =
            given(&[("output", "pictures"), ("dir", "r"), ("model", "other"), ("json_file", "all.json")]);
        let access = access(folder.path(), &args, &Switches::default());
        let may = |path: &str| access.may_write(path, Some(&own)).is_ok();
        for path in ["results/own", "results/own/charts", "pictures", "pictures/new/deep", "results/r"] {
            assert!(may(path), "{path}");
        }
        for path in [
            "",
            "results",
            "results/q",
            "other",
            "results/own/link",
            "results/own/../../other",
            "/tmp",
            "pictures/../x",
        ] {
            assert!(!may(path), "{path}");
        }
        let append = |path: &str| access.may_append(&folder.path().join(path)).is_ok();
        assert!(append("all.json") && append("pictures/one.json"));
        assert!(!append("other.json") && !append("other/all.json") && !append("results/own/runs.parquet"));
    }

    #[test]
    fn loopback_and_hosts_of_addresses_on_the_command_line_may_be_reached() {
        let folder = folder();
        let switches = Switches { allow: vec!["box".into(), "gpu:9000".into()], ..Default::default() };
        let args = given(&[
            ("url", "http://api.example.com/v1"),
            ("base_url", "https://u.example.com"),
            ("metrics_url", "prefill=http://w.example.com:9100"),
            ("hosts", "10.0.0.7,[::2]:81"),
            ("model", "http://model.example.com"),
            ("name", "name.example.com"),
            ("curl", "http://curl.example.com"),
            ("file_url", "ftp://f.example.com"),
        ]);
        let access = access(folder.path(), &args, &switches);
        for (host, port) in [
            ("localhost", 1),
            ("127.8.8.8", 1),
            ("::1", 1),
            ("box", 7),
            ("gpu", 9000),
            ("API.example.com", 80),
            ("u.example.com", 443),
            ("w.example.com", 9100),
            ("10.0.0.7", 5),
            ("::2", 81),
        ] {
            assert!(access.may_reach(host, port).is_ok(), "{host}:{port}");
        }
        for (host, port) in [
            ("gpu", 9001),
            ("u.example.com", 80),
            ("model.example.com", 80),
            ("name.example.com", 80),
            ("curl.example.com", 80),
            ("f.example.com", 21),
            ("0.0.0.0", 80),
        ] {
            assert!(access.may_reach(host, port).is_err(), "{host}:{port}");
        }
        assert_eq!(
            access.may_reach("api.example.com", 443).unwrap_err().to_string(),
            "a script may not reach api.example.com:443: the host is neither loopback nor named on the command \
             line\n  try: --allow api.example.com:443"
        );
    }

    #[test]
    fn the_base_url_of_a_plan_may_be_reached_once_it_was_read() {
        let folder = folder();
        let access = access(
            folder.path(),
            &given(&[("config", "c.yaml"), ("data", "other/b.csv")]),
            &Switches::default(),
        );
        let url = "http://10.1.1.1:8000";
        access.learn(&access.may_read("other/b.csv").unwrap(), url);
        assert!(access.may_reach("10.1.1.1", 8000).is_err());
        access.learn(&access.may_read("c.yaml").unwrap(), url);
        assert!(access.may_reach("10.1.1.1", 8000).is_ok());
        access.learn(&access.may_read("c.yaml").unwrap(), "prefill=http://10.1.1.2:8001/metrics");
        assert!(access.may_reach("10.1.1.2", 8001).is_ok() && access.may_reach("10.1.1.2", 8000).is_err());
    }
}
