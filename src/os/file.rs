//! Files that must be plain ones: no pipe to block on, no device, no page of the kernel.

use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Fails with what it is when `path` is neither a plain file nor a folder, or lies where the
/// system shows itself. Nothing is opened: opening alone may block, or do something.
pub fn check_kind(path: &Path) -> io::Result<()> {
    let place = path.canonicalize()?;
    let shown = ["/proc", "/sys", "/dev"].iter().find(|root| place.starts_with(root));
    if let Some(root) = shown.filter(|_| !place.starts_with("/dev/shm")) {
        return Err(io::Error::other(format!("it lies below {root}, where the system shows itself")));
    }
    let kind = place.metadata()?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::other(format!("it is {}, not a plain file", name(kind))));
    }
    if imp::is_of_the_kernel(&place)? {
        return Err(io::Error::other("it is made by the kernel as one reads, not a plain file"));
    }
    Ok(())
}

/// An I/O error without the "(os error 2)" that helps nobody.
pub fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::InvalidData => "not UTF-8 text".into(),
        io::ErrorKind::IsADirectory => "it is a folder, not a plain file".into(),
        _ => error.to_string(),
    }
}

fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_block_device() || kind.is_char_device() => "a device",
        _ if kind.is_dir() => "a folder",
        _ => "something else",
    }
}

/// Opens a plain file of at most `most` bytes for reading. Links are followed first and the file
/// is looked at again once it is open, so that nothing can be put in its place between.
pub fn open(path: &Path, most: u64) -> io::Result<File> {
    check_kind(path)?;
    let place = path.canonicalize()?;
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = File::options().read(true).custom_flags(flags).open(place)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other(format!("it is {}, not a plain file", name(found.file_type()))));
    }
    if found.len() > most {
        let (has, most) = (size(found.len()), size(most));
        return Err(io::Error::other(format!("it has {has}, and at most {most} are read")));
    }
    Ok(file)
}

/// The bytes of a plain file of at most `most`.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path, most)?;
    let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0));
    // It may have grown since.
    file.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!("it has more than {}", size(most)))),
        false => Ok(bytes),
    }
}

/// Whether other names lead to the same file.
pub fn has_other_names(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() > 1)
}

/// `12 MB`, or the bytes of something small.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{bytes} bytes"),
        _ => format!("{} MB", bytes.div_ceil(1 << 20)),
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::ffi::CString;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// File systems whose files are not kept anywhere: procfs, sysfs, debugfs, tracefs, cgroup,
    /// cgroup2, securityfs, configfs, bpf, devpts.
    const OF_THE_KERNEL: [i64; 10] = [
        0x9fa0,
        0x6265_6572,
        0x6462_6720,
        0x7472_6163,
        0x0027_e0eb,
        0x6367_7270,
        0x7363_6673,
        0x6265_6570,
        0xcafe_4a11,
        0x1cd1,
    ];

    pub fn is_of_the_kernel(path: &Path) -> io::Result<bool> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: an all-zero statfs is a valid one, and the path ends with a zero byte.
        let kind = unsafe {
            let mut found: libc::statfs = std::mem::zeroed();
            if libc::statfs(path.as_ptr(), &mut found) != 0 {
                return Err(io::Error::last_os_error());
            }
            found.f_type
        };
        Ok(OF_THE_KERNEL.contains(&(kind as i64)))
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    pub fn is_of_the_kernel(_path: &std::path::Path) -> std::io::Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn only_plain_files_are_read_and_the_rest_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("plain"), "12345").expect("written");
        std::os::unix::fs::symlink(at("plain"), at("link")).expect("linked");
        std::os::unix::fs::symlink("/dev/zero", at("zero")).expect("linked");
        let pipe = std::ffi::CString::new(at("pipe").as_os_str().as_bytes()).expect("a path");
        // SAFETY: the path ends with a zero byte.
        assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("bound");

        let told = |path: &Path, most: u64| read(path, most).map_err(|error| error.to_string());
        assert_eq!(told(&at("plain"), 5), Ok(b"12345".to_vec()));
        assert_eq!(told(&at("link"), 5), Ok(b"12345".to_vec()));
        for (path, words) in [
            (at("plain"), "it has 5 bytes, and at most 4 bytes are read"),
            (at("pipe"), "it is a pipe, not a plain file"),
            (at("socket"), "it is a socket, not a plain file"),
            (folder.path().into(), "it is a folder, not a plain file"),
            (at("zero"), "it lies below /dev, where the system shows itself"),
            ("/proc/self/environ".into(), "it lies below /proc, where the system shows itself"),
            ("/sys/kernel/mm/transparent_hugepage/enabled".into(), "it lies below /sys"),
        ] {
            let told = told(&path, 4).expect_err("refused");
            assert!(told.starts_with(words) || told.contains("No such"), "{}: {told}", path.display());
        }
    }
}
