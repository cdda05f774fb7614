//! The file as the program's standard input.

#[cfg(target_os = "linux")]
use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd as _;
use std::process::Stdio;

/// Where the program finds it.
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

    /// For the next program: opened anew, so that it begins at its beginning.
    pub(super) fn stdio(&self) -> io::Result<Stdio> {
        Ok(File::open(format!("/proc/self/fd/{}", self.0.as_raw_fd()))?.into())
    }
}

/// The same, where there is no memory with a descriptor.
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

/// Memory with these bytes, which nobody can change, as a file without a name. The program may read it from
/// any place.
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

/// A pipe, which a thread fills for as long as the program reads. The formats that are asked of it can be
/// read from one end to the other.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(pieces: &[&[u8]]) -> io::Result<Stdio> {
    use std::io::Write as _;

    let (reader, mut writer) = io::pipe()?;
    let content = pieces.concat();
    std::thread::Builder::new().name("ffmpeg-input".to_owned()).spawn(move || {
        // It fails when the program has ended.
        let _ = writer.write_all(&content);
    })?;
    Ok(reader.into())
}
