//! Takes from a process every right that its work does not need.
//!
//! A process that reads hostile input calls [`lock_down`] before it reads the first byte of it, while it has one thread.
//! Nothing gives the rights back, and no new process inherits more.
//!
//! ```text
//! lock_down(profile)
//!   |-- no new privileges, no core dump, not traceable, ends with its parent, first to go when memory is short
//!   |-- limits:   address space, no files, no processes, no locked memory
//!   |-- landlock: no file, no TCP port, no signal and no abstract socket of others   (Linux 5.13 and later)
//!   +-- seccomp:  the system calls of a computation on two pipes; any other one ends the process
//! ```
//!
//! Always true:
//! - [`Posture`] is what the kernel confirmed. A step that failed is never reported as done.
//! - The filter comes last: what the steps before it need is not on its list.
//! - Namespaces are not used: in a container of the restricted level they cannot be had.
//!
//! A program of others, which decodes what this one cannot, gets less of this: [`Profile::Ffmpeg`]. It needs threads, its
//! libraries, and whatever calls its loader makes.
//!
//! A process that runs a classifier with ONNX Runtime opens that library first, and is then locked down as a decoder process is, before it
//! parses the model: [`Profile::Classifier`].
//!
//! The process that starts such a process finds how in [`child`], and reads and writes its pipes by [`pipes`].
//!
//! Elsewhere than on Linux on x86-64 and 64-bit ARM nothing is taken, and the posture is [`Posture::None`].
//!
//! Reading order: [`posture`], then `linux`: `limits`, `landlock`, `seccomp` (`calls`); then [`child`], [`pipes`].

pub mod posture;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;
#[cfg(unix)]
pub mod child;
#[cfg(unix)]
pub mod pipes;

use std::path::PathBuf;

pub use posture::{Posture, Requirement};

/// The work of a process, which decides the rights that are left to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Computes on what standard input brings and answers on standard output: no file, no network, no process, no thread.
    Decoder {
        /// Address space that the process may take beyond what it has when it is locked down, in bytes.
        memory_bytes_max: u64,
    },
    /// Runs a model with a library that is loaded already, on what standard input brings, and answers on standard output: no file, no
    /// network, no process, no further thread. Fails where the library has started threads.
    Classifier {
        /// Address space that the process may take beyond what it has when it is locked down, in bytes.
        memory_bytes_max: u64,
    },
    /// Is about to become the program `ffmpeg`, and computes on standard input and inherited descriptors: it may read and execute the
    /// program and the system's libraries, start threads, and write to descriptors that it has. No other file, no network, no
    /// process beside it.
    Ffmpeg {
        /// The program.
        program: PathBuf,
        /// Its address space, in bytes, with its libraries.
        memory_bytes_max: u64,
        /// Its processor time, in seconds, over its whole life.
        processor_time_s_max: u64,
    },
}

/// Returns the number of this process's threads; `None` where the system has no list of them.
#[must_use]
pub fn thread_count() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// Gives up the rights that `profile` does not need, and returns which protection the process has from then on.
///
/// The process must have one thread: a filter holds for its thread and those that this one starts later.
#[must_use]
pub fn lock_down(profile: Profile) -> Posture {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    return linux::lock_down(profile);
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        let _ = profile;
        Posture::None
    }
}
