//! `Clips`: files of sound from a folder, one a request.

use super::draw::Draw;
use super::{AskedSize, Extra};
use crate::error::{Error, Result};
use crate::os::file::plain;
use crate::record::{Clip, Prompt, Request};
use std::path::Path;
use std::sync::Arc;

/// Files of sound as requests, in the order of their names, over and over.
#[derive(Debug, Clone)]
pub struct Clips {
    pub class: Arc<str>,
    /// The folder, as a person knows it.
    pub name: Arc<str>,
    pub clips: Arc<Vec<Arc<Clip>>>,
    /// Tokens to allow for a reply.
    pub output: u32,
    pub extra: Extra,
}

/// What files of sound are called.
const ENDINGS: [&str; 9] = ["wav", "mp3", "flac", "ogg", "opus", "m4a", "mp4", "webm", "mpga"];

/// Bytes that a folder may have in all: its files are held in memory, so that no disk is read
/// during a run.
const BYTES_MAX: u64 = 1 << 30;

impl Clips {
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        if self.clips.is_empty() {
            return Err("a folder of sound needs at least one file".into());
        }
        Ok(())
    }

    fn clip(&self, draw: &Draw) -> &Arc<Clip> {
        &self.clips[(draw.seq % self.clips.len() as u64) as usize]
    }

    /// Sound is as long as its file.
    pub(super) fn asked(&self, draw: &Draw) -> AskedSize {
        AskedSize { input: self.clip(draw).bytes.len() as u64, output: self.output }
    }

    pub(super) fn request(&self, draw: &Draw) -> Request {
        let clip = self.clip(draw);
        Request {
            seq: draw.seq,
            session: draw.seq,
            turn: 0,
            class: self.class.clone(),
            prompt: Prompt::Audio(clip.clone()),
            asked_input: None,
            counted_input: None,
            max_tokens: self.output,
            synthetic: false,
            forced_length: false,
            extra: self.extra.clone(),
            headers: Vec::new(),
            leave: None,
        }
    }
}

/// Reads the files of sound of a folder. `micros`: how long a file plays whose header does not say.
/// Only regular files count. Fails when there is none, and, before anything is read, when they are
/// too large.
pub fn clips(folder: &Path, micros: Option<u64>) -> Result<Vec<Arc<Clip>>> {
    let shown = folder.display();
    let failed = |error: std::io::Error| Error::usage(format!("cannot read the folder \"{shown}\": {error}"));
    let mut files = Vec::new();
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        // A link is not followed: it might lead anywhere.
        let about = path.symlink_metadata().map_err(failed)?;
        if about.is_file() && ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
            bytes += about.len();
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::usage(format!("cannot use the folder \"{shown}\": it holds no file of sound"))
            .hint(format!("files must end in .{}", ENDINGS.join(", ."))));
    }
    if bytes > BYTES_MAX {
        let (has, most) = (bytes >> 20, BYTES_MAX >> 20);
        return Err(Error::usage(format!(
            "cannot use the folder \"{shown}\": its files have {has} MiB, and at most {most} are held"
        )));
    }
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).map_err(|error| {
            Error::usage(format!("cannot read \"{}\": {}", path.display(), plain(&error)))
        })?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Arc::new(Clip::new(name, bytes, micros)))
    };
    files.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;
    use crate::workload::testing::{requests, traffic};

    #[test]
    fn the_files_of_a_folder_are_asked_in_turn() {
        let folder = tempfile::tempdir().expect("a folder");
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
        write("b.wav", &Clip::silence(2).bytes);
        write("a.MP3", b"ID3");
        write("notes.txt", b"no sound");
        std::fs::create_dir(folder.path().join("c.wav")).expect("a folder in it");
        let clips = clips(folder.path(), Some(500_000)).expect("clips");
        let workload = Workload::Clips(Clips {
            class: "".into(),
            name: "wav".into(),
            clips: clips.into(),
            output: 448,
            extra: None,
        });
        let asked: Vec<_> = requests(&workload, &traffic("a", 0), 3)
            .into_iter()
            .map(|request| match request.prompt {
                Prompt::Audio(clip) => (clip.name.clone(), clip.seconds()),
                other => panic!("{other:?}"),
            })
            .collect();
        let a = ("a.MP3".to_string(), Some(0.5));
        assert_eq!(asked, [a.clone(), ("b.wav".into(), Some(2.0)), a]);
    }

    #[test]
    fn a_folder_without_sound_is_one_sentence() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = clips(folder.path(), None).expect_err("empty");
        assert!(error.message.ends_with("it holds no file of sound"), "{}", error.message);
        let error = clips(&folder.path().join("gone"), None).expect_err("none");
        assert!(error.message.starts_with("cannot read the folder"), "{}", error.message);
    }
}
