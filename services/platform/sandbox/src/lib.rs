//! Takes from a process every right that its work does not need.
//!
//! A process that reads hostile input calls [`lock_down`] before it reads the first byte of the input, while
//! it has one thread. The rights cannot be regained, and no new process inherits more.
//!
//! ```text
//! lock_down(profile)
//!   |-- no new privileges, no core dump, not traceable, ends with its parent, first to go if memory is short
//!   |-- limits:   address space, no files, no processes, no locked memory
//!   |-- landlock: no file, no TCP port, no signal and no abstract socket of others   (Linux 5.13 and later)
//!   +-- seccomp:  the system calls of a computation on two pipes; any other one ends the process
//! ```
//!
//! Always true:
//! - [`Posture`] is what the kernel confirmed. A step that failed is never reported as done.
//! - The filter is applied last: it does not allow the calls that the earlier steps need.
//! - Namespaces are not used: a container of the restricted level cannot create them.
//!
//! A foreign program, which decodes the formats that this one cannot, loses fewer rights:
//! [`Profile::Ffmpeg`]. It needs threads, its libraries, and the system calls of its loader.
//!
//! A process that runs a classifier with ONNX Runtime first opens that library, and is then locked down like
//! a decoder process before it parses the model: [`Profile::Classifier`].
//!
//! A process that starts such processes uses [`child`] to start and end them, and [`pipes`] to read and write
//! their pipes.
//!
//! On systems other than Linux on x86-64 and 64-bit ARM no right is taken, and the posture is
//! [`Posture::None`].
//!
//! Reading order: [`posture`], then `linux`: `limits`, `landlock`, `seccomp` (`calls`); then [`child`],
//! [`pipes`].

pub mod posture;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;
#[cfg(unix)]
pub mod child;
#[cfg(unix)]
pub mod pipes;

use std::path::PathBuf;

pub use posture::{Posture, Requirement};

/// The work of a process, which decides the rights that it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Computes on data from standard input and answers on standard output: no file, no network, no process,
    /// no thread.
    Decoder {
        /// The address space that the process may take beyond what it has when it is locked down, in bytes.
        memory_bytes_max: u64,
    },
    /// Runs a model with a library that is loaded already, on data from standard input, and answers on
    /// standard output: no file, no network, no process, no further thread. Fails if the library has started
    /// threads.
    Classifier {
        /// The address space that the process may take beyond what it has when it is locked down, in bytes.
        memory_bytes_max: u64,
    },
    /// Is about to become the program `ffmpeg`, and computes on standard input and inherited descriptors: it
    /// may read and execute the program and the system's libraries, start threads, and write to descriptors
    /// that it has. No other file, no network, no further process.
    Ffmpeg {
        /// The path of the program.
        program: PathBuf,
        /// The address space of the program with its libraries, in bytes.
        memory_bytes_max: u64,
        /// The processor time of the program in total, in seconds.
        processor_time_s_max: u64,
    },
}

/// Returns the number of this process's threads; `None` if the system does not list them.
#[must_use]
pub fn thread_count() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// Gives up the rights that `profile` does not need, and returns the protection that the process has from
/// then on.
///
/// The process must have one thread: a filter applies to its thread and to threads that this one starts
/// later.
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
