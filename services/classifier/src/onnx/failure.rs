//! The errors of starting a classifier process.

use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;
use vigie_proto::pb::classifier::v1::FailureKind;
use vigie_sandbox::child::CommandError;

use crate::error::WorkerEnd;

/// The reason why a classifier process could not be started, or could not load its model.
#[derive(Debug, Error)]
pub enum StartError {
    /// No library is configured.
    #[error(
        "no ONNX Runtime: set `classifier.onnxruntime_library`, or ORT_DYLIB_PATH, to its library. `pip download --no-deps \
         onnxruntime==1.32.0` fetches a file that `unzip` opens, with the library at onnxruntime/capi/libonnxruntime.so.1.32.0"
    )]
    NoLibrary,
    /// A path is not UTF-8.
    #[error("the path {} is not UTF-8", .0.display())]
    Path(PathBuf),
    /// There is no command to run.
    #[error("cannot start a classifier process")]
    Command(#[from] CommandError),
    /// The system cannot run the program.
    #[error("cannot run {}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program does not answer like `vigie classifier-worker` of this version.
    #[error("{} is not `vigie` of this version: `classifier.program` must be its path", program.display())]
    Foreign {
        /// The program.
        program: PathBuf,
    },
    /// The process ended while it loaded the model.
    #[error("the process ended while it loaded the model: {}", .0.name())]
    Died(WorkerEnd),
    /// The program was built without ONNX Runtime.
    #[error("this build has no ONNX Runtime; build with --features onnx")]
    NoRuntime,
    /// The library cannot be opened.
    #[error("cannot open ONNX Runtime's library: {0}")]
    Library(String),
    /// The model's file cannot be read.
    #[error("cannot read the model's file: {0}")]
    ModelFile(String),
    /// The SHA-256 of the model's file is not the configured one.
    #[error("the SHA-256 of the model's file is not the configured one")]
    Digest,
    /// The process has less protection than is required.
    #[error("the process has the protection \"{0}\", and sandbox = \"required\" asks for \"full\"")]
    Unprotected(String),
    /// The runtime cannot create a session from the file.
    #[error("ONNX Runtime does not accept the model: {0}")]
    Model(String),
    /// The model did not run on the inputs of the trial.
    #[error("the model did not run on its test input")]
    TrialRun,
    /// The outputs of the trial differ from the expected ones.
    #[error("the model's outputs for its test input are not the expected ones")]
    Trial,
}

impl StartError {
    /// Converts the error that a process reports. `None` for a kind without an error.
    pub(super) fn reported(kind: FailureKind, words: String) -> Option<Self> {
        match kind {
            FailureKind::NoRuntime => Some(Self::NoRuntime),
            FailureKind::Library => Some(Self::Library(words)),
            FailureKind::ModelFile => Some(Self::ModelFile(words)),
            FailureKind::Digest => Some(Self::Digest),
            FailureKind::Unprotected => Some(Self::Unprotected(words)),
            FailureKind::Model => Some(Self::Model(words)),
            FailureKind::Run | FailureKind::Output => Some(Self::TrialRun),
            FailureKind::Unspecified => None,
        }
    }
}

/// Returns the kind of a process's end, by the status that the system reports.
pub(super) fn death(status: ExitStatus, last_words: &[u8]) -> WorkerEnd {
    use std::os::unix::process::ExitStatusExt as _;

    use rustix::process::Signal;

    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    let said = |words: &[u8]| last_words.windows(words.len()).any(|some| some == words);
    if is(Signal::SYS) {
        WorkerEnd::RefusedCall
    } else if is(Signal::KILL) {
        // Not killed by this process: by the system, when a machine or a container has no memory left.
        WorkerEnd::OutOfMemory
    } else if is(Signal::ABORT) && (said(b"memory allocation of ") || said(b"bad_alloc")) {
        // The texts of Rust's standard library, and of C++'s.
        WorkerEnd::OutOfMemory
    } else {
        WorkerEnd::Crashed
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_death_is_named_by_its_signal_and_last_words() {
        let check = |signal, words: &[u8], end| {
            assert_eq!(death(ExitStatus::from_raw(signal), words), end, "{signal}");
        };
        check(6, b"memory allocation of 12 bytes failed\n", WorkerEnd::OutOfMemory);
        check(6, b"terminate called after throwing an instance of 'std::bad_alloc'", WorkerEnd::OutOfMemory);
        check(6, b"", WorkerEnd::Crashed);
        check(9, b"", WorkerEnd::OutOfMemory);
        check(11, b"", WorkerEnd::Crashed);
        #[cfg(target_os = "linux")]
        check(31, b"", WorkerEnd::RefusedCall);
    }
}
