//! The file as the program's standard input.

use std::io;
use std::process::Stdio;

/// Where the program finds it.
pub(super) const PATH: &str = if cfg!(target_os = "linux") { "/proc/self/fd/0" } else { "pipe:0" };

/// Memory with these bytes, which nobody can change, as a file without a name. The program may read it from any place.
#[cfg(target_os = "linux")]
pub(super) fn of(pieces: &[&[u8]]) -> io::Result<Stdio> {
    use std::fs::File;
    use std::io::{Seek as _, Write as _};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    let mut file = File::from(memfd_create("image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    for piece in pieces {
        file.write_all(piece)?;
    }
    file.rewind()?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file.into())
}

/// A pipe, which a thread fills for as long as the program reads. The formats that are asked of it can be read from one end to the other.
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
