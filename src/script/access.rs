//! `Access`: which files and hosts a script may reach.
//!
//! Loopback, and what the command line names, or what a file that it names names in turn. The
//! script itself cannot widen this, so a script from a stranger is safe to run.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::state::{Args, Source, Switches, plain};
use crate::error::{Error, Result};
use crate::host::Host;

/// What a script may reach.
#[derive(Debug)]
pub struct Access {
    cwd: PathBuf,
    script_folder: PathBuf,
    /// Folders and single files, canonical.
    readable: Vec<PathBuf>,
    results: PathBuf,
    /// Paths that the command line names, whether they are there or not, and the working folder
    /// for a built-in command.
    writable: Vec<PathBuf>,
    /// Files that the command line names; the hosts in their content become reachable.
    named: Vec<PathBuf>,
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
    pub fn new(source: &Source, args: &Args, switches: &Switches, host: &Host) -> Self {
        let cwd = host.cwd();
        let values = || {
            args.given.iter().flat_map(|given| &given.texts).flat_map(|text| {
                let parts = text.split(',').map(str::trim).filter(move |part| *part != text);
                std::iter::once(text.as_str()).chain(parts)
            })
        };
        // The folder of a built-in command is where the user stands.
        let named: Vec<PathBuf> = values()
            .filter(|text| !text.is_empty())
            .filter_map(|text| cwd.join(text).canonicalize().ok())
            .collect();
        let mut writable: Vec<PathBuf> =
            values().filter(|text| !text.is_empty()).map(|text| cwd.join(text)).collect();
        if source.is_built_in() {
            writable.push(cwd.clone());
        }
        let script_folder = source.folder(host);
        let folders = std::iter::once(&script_folder).chain(&switches.allow_read);
        let folders = folders.filter_map(|folder| cwd.join(folder).canonicalize().ok());
        let mut hosts: Vec<Reach> = switches.allow.iter().map(|text| reach(text)).collect();
        hosts.extend(values().flat_map(hosts_of_value));
        Access {
            readable: folders.chain(named.clone()).collect(),
            results: switches.results(host),
            cwd,
            script_folder,
            writable,
            named,
            hosts: Mutex::new(hosts),
            values: values().map(str::to_string).collect(),
        }
    }

    /// The real path of a file or folder that the script may read. Relative paths are looked for
    /// beside the script, then in the working folder. Fails when it is outside, or not there.
    pub fn may_read(&self, path: &str) -> Result<PathBuf> {
        let beside = self.script_folder.join(path);
        let wanted = if beside.exists() { beside } else { self.cwd.join(path) };
        let real = wanted
            .canonicalize()
            .map_err(|error| Error::usage(format!("cannot read {path:?}: {}", plain(&error))))?;
        let results = self.results.canonicalize().ok();
        let allowed = self.readable.iter().chain(&results).any(|root| real.starts_with(root));
        if allowed {
            return Ok(real);
        }
        let folder = if real.is_dir() { &real } else { real.parent().unwrap_or(&real) };
        Err(Error::usage(format!(
            "a script may not read {path:?}: it is neither under the script's folder nor named on the command line"
        ))
        .hint(format!("--allow-read {}", self.short(folder))))
    }

    /// The full path of a file or folder that the script may write: below the results, or named on
    /// the command line.
    pub fn may_write(&self, path: &str) -> Result<PathBuf> {
        let wanted = self.cwd.join(path);
        let climbs = wanted.components().any(|part| part == std::path::Component::ParentDir);
        let named = self.writable.contains(&wanted);
        let below =
            !climbs && self.writable.iter().chain([&self.results]).any(|root| wanted.starts_with(root));
        if named || below {
            return Ok(wanted);
        }
        Err(Error::usage(format!(
            "a script may not write {path:?}: it is neither in the results nor named on the command line"
        )))
    }

    /// True when there is a file or folder of that name, whether or not it may be read.
    pub fn is_there(&self, path: &str) -> bool {
        self.script_folder.join(path).exists() || self.cwd.join(path).exists()
    }

    /// True when a parameter on the command line has this value.
    pub fn is_named(&self, name: &str) -> bool {
        self.values.iter().any(|value| value == name)
    }

    /// To be called with the text of a file that was read: when the command line named the file,
    /// the hosts in it become reachable.
    pub fn learn(&self, path: &Path, text: &str) {
        if self.named.iter().any(|named| path == named) {
            self.hosts.lock().expect("nobody panics while holding the hosts").extend(hosts_in(text));
        }
    }

    /// The host of an address that a file of a built-in command names becomes reachable.
    pub fn grant(&self, address: &str) {
        self.hosts.lock().expect("nobody panics while holding the hosts").extend(hosts_in(address));
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
        path.strip_prefix(&self.cwd).unwrap_or(path).display().to_string()
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host`, `host:port`, `[v6]:port`, or an address with a scheme.
fn reach(text: &str) -> Reach {
    if let Some(known) = hosts_in(text).into_iter().next() {
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

/// A parameter's value may be an address, `host:port`, or a bare host.
fn hosts_of_value(text: &str) -> Vec<Reach> {
    let addresses = hosts_in(text);
    let bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    if addresses.is_empty() && bare { vec![reach(text)] } else { addresses }
}

/// Every host that stands in an address (`scheme://host:port/...`) in a text.
fn hosts_in(text: &str) -> Vec<Reach> {
    let is_end = |c: char| c.is_whitespace() || "\"'`<>,;(){}|\\".contains(c);
    text.match_indices("://")
        .filter_map(|(at, _)| {
            let scheme = text[..at]
                .rfind(|c: char| !c.is_ascii_alphanumeric())
                .map_or(0, |before| before + text[before..].chars().next().map_or(1, char::len_utf8));
            let end = text[at + 3..].find(is_end).map_or(text.len(), |end| at + 3 + end);
            let address = url::Url::parse(&text[scheme..end]).ok()?;
            let host = address.host_str()?.trim_matches(['[', ']']).to_ascii_lowercase();
            Some(Reach { host, port: address.port_or_known_default() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::param::Given;

    fn given(texts: &[&str]) -> Args {
        let texts = texts.iter().map(|text| text.to_string()).collect();
        Args { given: vec![Given { name: "x".into(), flag: "-p x".into(), texts, split: true }] }
    }

    fn access(folder: &Path, args: &Args, switches: &Switches) -> Access {
        let script = folder.join("mine/script.rhai");
        let source = Source { name: "script.rhai".into(), text: String::new(), path: Some(script) };
        Access::new(&source, args, switches, &Host::fake(folder, &[]))
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
        let access = access(folder.path(), &given(&["c.yaml"]), &Switches::default());
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
    fn a_path_that_climbs_out_or_a_link_that_leads_out_is_refused() {
        let folder = folder();
        std::os::unix::fs::symlink(folder.path().join("other"), folder.path().join("mine/link")).unwrap();
        let access = access(folder.path(), &given(&[]), &Switches::default());
        assert!(access.may_read("../other/b.csv").unwrap_err().message.contains("may not read"));
        assert!(access.may_read("link/b.csv").unwrap_err().message.contains("may not read"));
        assert_eq!(access.may_read("gone").unwrap_err().message, "cannot read \"gone\": no such file");
    }

    #[test]
    fn loopback_and_hosts_of_the_command_line_may_be_reached() {
        let folder = folder();
        let switches = Switches { allow: vec!["box".into(), "gpu:9000".into()], ..Default::default() };
        let args = given(&["http://api.example.com/v1", "10.0.0.7,[::2]:81"]);
        let access = access(folder.path(), &args, &switches);
        for (host, port) in [
            ("localhost", 1),
            ("127.8.8.8", 1),
            ("::1", 1),
            ("box", 7),
            ("gpu", 9000),
            ("API.example.com", 80),
            ("10.0.0.7", 5),
            ("::2", 81),
        ] {
            assert!(access.may_reach(host, port).is_ok(), "{host}:{port}");
        }
        assert!(access.may_reach("gpu", 9001).is_err());
        assert_eq!(
            access.may_reach("api.example.com", 443).unwrap_err().to_string(),
            "a script may not reach api.example.com:443: the host is neither loopback nor named on the command \
             line\n  try: --allow api.example.com:443"
        );
    }

    #[test]
    fn hosts_in_a_named_file_may_be_reached_once_it_was_read() {
        let folder = folder();
        let access = access(folder.path(), &given(&["c.yaml"]), &Switches::default());
        let text = "base_url: \"http://10.1.1.1:8000\"\n";
        access.learn(&folder.path().join("other/b.csv"), text);
        assert!(access.may_reach("10.1.1.1", 8000).is_err());
        access.learn(&access.may_read("c.yaml").unwrap(), text);
        assert!(access.may_reach("10.1.1.1", 8000).is_ok());
    }
}
