//! The file as the program's standard input.

#[cfg(target_os = "linux")]
use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd as _;
use std::process::Stdio;

/// The path of the file in the program.
pub(super) const PATH: &str = if cfg!(target_os = "linux") { "/proc/self/fd/0" } else { "pipe:0" };

/// A file that several programs read, one after the other.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct Input(File);

#[cfg(target_os = "linux")]
impl Input {
    pub(super) fn of(content: &[u8]) -> io::Result<Self> {
        Ok(Self(sealed(&[content])?))
    }

    /// Returns the file for the next program, opened again so that reading starts at its beginning.
    pub(super) fn stdio(&self) -> io::Result<Stdio> {
        Ok(File::open(format!("/proc/self/fd/{}", self.0.as_raw_fd()))?.into())
    }
}

/// A file that several programs read, on systems without memory files.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) struct Input(Vec<u8>);

#[cfg(not(target_os = "linux"))]
impl Input {
    pub(super) fn of(content: &[u8]) -> io::Result<Self> {
        Ok(Self(content.to_vec()))
    }

    pub(super) fn stdio(&self) -> io::Result<Stdio> {
        of(&[&self.0])
    }
}

/// Returns these bytes as a sealed memory file, which cannot be changed. The program may seek in it.
#[cfg(target_os = "linux")]
pub(super) fn of(pieces: &[&[u8]]) -> io::Result<Stdio> {
    Ok(sealed(pieces)?.into())
}

#[cfg(target_os = "linux")]
fn sealed(pieces: &[&[u8]]) -> io::Result<File> {
    use std::io::{Seek as _, Write as _};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let mut file = File::from(memfd_create("image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    for piece in pieces {
        file.write_all(piece)?;
    }
    file.rewind()?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}

/// Returns a pipe, which a thread fills while the program reads. The formats of pictures can be read
/// sequentially.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(pieces: &[&[u8]]) -> io::Result<Stdio> {
    use std::io::Write as _;

    let (reader, mut writer) = io::pipe()?;
    let content = pieces.concat();
    std::thread::Builder::new().name("ffmpeg-input".to_owned()).spawn(move || {
        // The write fails when the program has ended.
        let _ = writer.write_all(&content);
    })?;
    Ok(reader.into())
}
