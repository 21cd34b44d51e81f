//! Facts for `manifest.json`: which program, on which machine, from which script.

use super::schema;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fs;

/// What a machine says of itself. `None`: it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    pub hostname: Option<String>,
    /// Operating system with its release and the instruction set, such as `linux 6.8.0 x86_64`.
    pub os: String,
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: Option<usize>,
    pub memory_bytes: Option<u64>,
}

impl Machine {
    /// Asks this machine.
    pub fn here() -> Machine {
        let read = |path: &str| fs::read_to_string(path).ok();
        let line =
            |path: &str| read(path).map(|text| text.trim().to_string()).filter(|text| !text.is_empty());
        let release = line("/proc/sys/kernel/osrelease").map(|release| format!(" {release}"));
        Machine {
            hostname: line("/proc/sys/kernel/hostname").or_else(|| std::env::var("HOSTNAME").ok()),
            os: format!("{}{} {}", std::env::consts::OS, release.unwrap_or_default(), std::env::consts::ARCH),
            cpu: read("/proc/cpuinfo").as_deref().and_then(cpu_model),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory_bytes: read("/proc/meminfo").as_deref().and_then(memory_bytes),
        }
    }

    /// As it stands in the manifest.
    pub fn to_json(&self) -> Value {
        json!({
            "hostname": self.hostname,
            "os": self.os,
            "cpu": self.cpu,
            "cores": self.cores,
            "memory_bytes": self.memory_bytes,
        })
    }
}

/// The versions that a reader of the results may need.
pub fn versions() -> Map<String, Value> {
    let mut versions = Map::new();
    versions.insert("rampant".to_string(), env!("CARGO_PKG_VERSION").into());
    versions.insert("schema".to_string(), schema::VERSION.into());
    versions
}

/// SHA-256 of a text (of its bytes, as `sha256sum` prints it).
pub fn sha256(text: impl AsRef<[u8]>) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The processor's name in the text of `/proc/cpuinfo`.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    // ARM has no "model name"; some boards name the machine in "Model".
    ["model name", "Model", "cpu model"].iter().find_map(|key| field(cpuinfo, key)).map(str::to_string)
}

/// The machine's memory in the text of `/proc/meminfo`.
fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kibibytes: u64 = field(meminfo, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    });
    value.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_sha256sum_prints() {
        assert!(sha256("abc").starts_with("ba7816bf8f01cfea"));
    }

    #[test]
    fn the_processor_is_found_in_both_kinds_of_cpuinfo() {
        let x86 =
            "processor\t: 0\nvendor_id\t: X\nmodel\t\t: 85\nmodel name\t: Fast CPU @ 2.00GHz\nflags\t: a b\n";
        assert_eq!(cpu_model(x86).as_deref(), Some("Fast CPU @ 2.00GHz"));
        let arm = "processor\t: 0\nBogoMIPS\t: 108.00\n\nRevision\t: c03111\nModel\t\t: Small Board 4\n";
        assert_eq!(cpu_model(arm).as_deref(), Some("Small Board 4"));
        assert_eq!(cpu_model("processor : 0\n"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(memory_bytes("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert_eq!(memory_bytes("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn the_host_names_its_system_and_writes_what_it_does_not_know_as_null() {
        assert!(Machine::here().os.starts_with(std::env::consts::OS));
        assert_eq!(Machine::default().to_json()["memory_bytes"], Value::Null);
    }
}
