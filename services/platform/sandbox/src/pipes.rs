//! Reads and writes non-blocking pipes for as long as a clock allows: the parent's side of a child process.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The time limit of an exchange.
pub trait Clock {
    /// The bound that was reached.
    type Reached;

    /// Returns how long to wait before the next check.
    ///
    /// # Errors
    /// The bound that was reached.
    fn wait(&mut self) -> Result<Duration, Self::Reached>;
}

/// A deadline is the simplest clock.
impl Clock for Instant {
    type Reached = TooLate;

    fn wait(&mut self) -> Result<Duration, TooLate> {
        let left = self.saturating_duration_since(Self::now());
        if left.is_zero() { Err(TooLate) } else { Ok(left) }
    }
}

/// The error of a deadline that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLate;

/// The reasons for which bytes could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halted<R> {
    /// The other end has closed the pipe.
    Ended,
    /// A bound was reached first.
    Reached(R),
}

/// Makes a pipe's reads and writes return at once.
///
/// # Errors
/// The system's error.
pub fn unblock(pipe: impl AsFd) -> std::io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(pipe, true)?)
}

/// Writes all of `bytes`.
///
/// # Errors
/// [`Halted`].
pub fn write_all<C: Clock>(
    mut pipe: impl Write + AsFd,
    mut bytes: &[u8],
    clock: &mut C,
) -> Result<(), Halted<C::Reached>> {
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) => pass(&error, &pipe, PollFlags::OUT, clock)?,
        }
    }
    Ok(())
}

/// Reads the available bytes into `buffer`; waits for at least one.
///
/// # Errors
/// [`Halted`].
pub fn read_some<C: Clock>(
    mut pipe: impl Read + AsFd,
    buffer: &mut [u8],
    clock: &mut C,
) -> Result<usize, Halted<C::Reached>> {
    loop {
        match pipe.read(buffer) {
            Ok(0) => return Err(Halted::Ended),
            Ok(read) => return Ok(read),
            Err(error) => pass(&error, &pipe, PollFlags::IN, clock)?,
        }
    }
}

/// Fills all of `buffer`.
///
/// # Errors
/// [`Halted`].
pub fn read_exact<C: Clock>(
    mut pipe: impl Read + AsFd,
    buffer: &mut [u8],
    clock: &mut C,
) -> Result<(), Halted<C::Reached>> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += read_some(&mut pipe, rest, clock)?;
    }
    Ok(())
}

/// Waits until the pipe is ready, if the error is that it is not.
fn pass<C: Clock>(
    error: &std::io::Error,
    pipe: impl AsFd,
    flags: PollFlags,
    clock: &mut C,
) -> Result<(), Halted<C::Reached>> {
    if error.kind() == ErrorKind::Interrupted {
        return Ok(());
    }
    // Otherwise the pipe is broken, or failed in a way that pipes should not.
    if error.kind() != ErrorKind::WouldBlock {
        return Err(Halted::Ended);
    }
    let wait = clock.wait().map_err(Halted::Reached)?;
    let timeout = Timespec::try_from(wait).map_err(|_| Halted::Ended)?;
    match poll(&mut [PollFd::new(&pipe, flags)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(_) => Err(Halted::Ended),
    }
}
