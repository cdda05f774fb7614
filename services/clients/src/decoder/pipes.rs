//! Reads and writes pipes that do not block, for as long as a watch allows.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::watch::{Reached, Watch};

/// Why bytes did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halted {
    /// The other end has gone.
    Ended,
    /// A bound was reached first.
    Reached(Reached),
}

/// Writes all of `bytes`.
pub(super) fn write_all(
    mut pipe: impl Write + AsFd,
    mut bytes: &[u8],
    watch: &mut Watch,
) -> Result<(), Halted> {
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) => pass(&error, &pipe, PollFlags::OUT, watch)?,
        }
    }
    Ok(())
}

/// Fills `buffer` as far as something is there, with a byte at least.
pub(super) fn read_some(
    mut pipe: impl Read + AsFd,
    buffer: &mut [u8],
    watch: &mut Watch,
) -> Result<usize, Halted> {
    loop {
        match pipe.read(buffer) {
            Ok(0) => return Err(Halted::Ended),
            Ok(read) => return Ok(read),
            Err(error) => pass(&error, &pipe, PollFlags::IN, watch)?,
        }
    }
}

/// Fills all of `buffer`.
pub(super) fn read_exact(
    mut pipe: impl Read + AsFd,
    buffer: &mut [u8],
    watch: &mut Watch,
) -> Result<(), Halted> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += read_some(&mut pipe, rest, watch)?;
    }
    Ok(())
}

/// Waits until the pipe is ready, if it is not.
fn pass(error: &std::io::Error, pipe: impl AsFd, flags: PollFlags, watch: &mut Watch) -> Result<(), Halted> {
    if error.kind() == ErrorKind::Interrupted {
        return Ok(());
    }
    // Else a broken pipe, or what no pipe should say.
    if error.kind() != ErrorKind::WouldBlock {
        return Err(Halted::Ended);
    }
    let wait = watch.wait().map_err(Halted::Reached)?;
    let timeout = Timespec::try_from(wait).map_err(|_| Halted::Ended)?;
    match poll(&mut [PollFd::new(&pipe, flags)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(_) => Err(Halted::Ended),
    }
}
