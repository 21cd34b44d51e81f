//! `grow`: one more line in a JSON file that this tool, or the one that it follows, wrote.

use crate::error::{Error, Result};
use crate::os::file;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What every result in vLLM's JSON has.
#[derive(Deserialize)]
#[allow(dead_code, reason = "that the fields are there is what is looked for")]
struct Known {
    date: String,
    model_id: IgnoredAny,
    completed: u64,
}

/// Appends `line` to the results in `path`, or begins that file. Fails when there is anything but
/// results in it, and when other names lead to it: what is there stays as it is.
pub fn grow(path: &Path, line: &str) -> Result<()> {
    let failed = |error: io::Error| Error::run(format!("cannot write {}: {error}", path.display()));
    let refused = |why: &str| {
        let told = format!("cannot append to {}: {why}", path.display());
        Err(Error::usage(told).hint("choose another file name"))
    };
    let mut options = File::options();
    options.read(true).append(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            options.create_new(true).open(path).map_err(failed)?
        }
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return refused("it is a link"),
        Err(error) => return Err(failed(error)),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return refused("it is not a plain file");
    }
    if file::has_other_names(&file).map_err(failed)? {
        return refused("other names lead to the same file");
    }
    let known = serde_json::Deserializer::from_reader(BufReader::new(&file)).into_iter::<Known>();
    if known.into_iter().any(|result| result.is_err()) {
        return refused("it holds something else than results");
    }
    let begin = if ends_a_line(&mut file).map_err(failed)? { "" } else { "\n" };
    file.write_all(format!("{begin}{line}\n").as_bytes()).map_err(failed)
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r#"{"date":"20260101-000000","model_id":"m","completed":3,"other":[1]}"#;

    #[test]
    fn results_grow_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for _ in 0..2 {
            grow(&at("new.json"), RESULT).unwrap();
        }
        assert_eq!(std::fs::read_to_string(at("new.json")).unwrap(), format!("{RESULT}\n{RESULT}\n"));
        // As the JSON of one run, or as vLLM leaves it: without the last line end.
        let pretty = "{\n \"date\": \"x\",\n \"model_id\": null,\n \"completed\": 0\n}";
        std::fs::write(at("pretty.json"), pretty).unwrap();
        grow(&at("pretty.json"), RESULT).unwrap();
        assert_eq!(std::fs::read_to_string(at("pretty.json")).unwrap(), format!("{pretty}\n{RESULT}\n"));

        for (name, content) in [
            ("parquet", "PAR1 and so on"),
            ("other.json", "{\"a\": 1}"),
            ("notes.txt", "dear diary"),
            ("half.json", "{\"date\":\"x\",\"model_id\":1"),
            ("mixed.json", "{\"date\":\"x\",\"model_id\":1,\"completed\":1}\n[]"),
        ] {
            std::fs::write(at(name), content).unwrap();
            let error = grow(&at(name), RESULT).unwrap_err();
            assert!(error.message.ends_with("it holds something else than results"), "{name}: {error}");
            assert_eq!(std::fs::read_to_string(at(name)).unwrap(), content, "{name}");
        }
        std::fs::hard_link(at("new.json"), at("second.json")).unwrap();
        assert!(grow(&at("second.json"), RESULT).unwrap_err().message.ends_with("lead to the same file"));
        std::os::unix::fs::symlink(at("pretty.json"), at("link.json")).unwrap();
        assert!(grow(&at("link.json"), RESULT).unwrap_err().message.ends_with("it is a link"));
    }
}
