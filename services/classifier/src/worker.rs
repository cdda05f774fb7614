//! A classifier process: runs one model on tensors from standard input, and answers on standard output.
//!
//! `vigie classifier-worker` runs this code and nothing else. The parent's side is `onnx`.
//!
//! ```text
//! greet -> read the order -> open the runtime's library -> read the model's file, check its digest
//!   -> give up all rights -> create the session, run it once if trial inputs were sent -> answer
//!   -> run, answer, run, answer ...
//! ```
//!
//! Always true:
//! - The process has given up its rights before it parses the first byte of the model, which is untrusted
//!   too. The library is trusted: it was loaded with the rights of `vigie`.
//! - The process writes elements of a tensor only in its answers: panics are silent, the runtime's log is
//!   discarded, and a failed run has a kind and no text.
//! - A protocol error ends the process. Its parent has the same version.

mod messages;
mod load;
#[cfg(feature = "onnx")]
mod runtime;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use prost::Message as _;
use thiserror::Error;
use vigie_classifiers::Tensor;
use vigie_proto::pb::classifier::v1 as pb;

use crate::shape::ModelShape;
use crate::wire::{BESIDE_BYTES_MAX, COMMAND, GREETING, tensor};

/// The library that runs models in a classifier process.
pub trait Runtime {
    /// Opens the library, which must not start a thread: the process is locked down next.
    ///
    /// # Errors
    /// [`pb::Failure`].
    fn open(library: &Path) -> Result<Self, pb::Failure>
    where
        Self: Sized;

    /// Creates the session of a model.
    ///
    /// # Errors
    /// [`pb::Failure`].
    fn load(&mut self, model: &[u8]) -> Result<Box<dyn Session>, pb::Failure>;
}

/// A model that is ready to run.
pub trait Session {
    /// Returns the inputs and outputs of the model.
    fn shape(&self) -> ModelShape;

    /// Runs the model. The outputs have at most `bytes_max` bytes together.
    ///
    /// # Errors
    /// [`pb::Failure`], without a text.
    fn run(&mut self, inputs: Vec<Tensor>, bytes_max: usize) -> Result<Vec<pb::Tensor>, pb::Failure>;
}

/// The runtime of this build.
#[cfg(feature = "onnx")]
pub type Installed = runtime::OnnxRuntime;
/// The runtime of this build.
#[cfg(not(feature = "onnx"))]
pub type Installed = NoRuntime;

/// The reason why a classifier process ended before the end of its input.
#[derive(Debug, Error)]
enum WorkerError {
    #[error("cannot read a request or write an answer")]
    Pipe(#[from] std::io::Error),
    #[error("a request is malformed")]
    Malformed,
    #[error("the model cannot be run")]
    NoModel,
}

/// Runs this process as a classifier process if its arguments, without the program's name, ask for it. Call
/// it before anything else, while the process has one thread.
#[must_use]
pub fn run_if_asked(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    run_with::<Installed>(arguments)
}

/// Does the same with another runtime, for tests of the parent's side.
#[must_use]
pub fn run_with<R: Runtime>(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.into_iter().next()? != COMMAND {
        return None;
    }
    // Printing the place of a panic opens files, for which the lock-down kills the process; and the message
    // may quote the content.
    std::panic::set_hook(Box::new(|_| {}));
    let worked = work::<R>(std::io::stdin().lock(), std::io::stdout().lock());
    Some(if worked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Loads a model, and runs it until the input ends.
fn work<R: Runtime>(mut input: impl Read, mut output: impl Write) -> Result<(), WorkerError> {
    output.write_all(&GREETING)?;
    output.flush()?;
    let Some(order) = messages::read(&mut input, load::ORDER_BYTES_MAX)? else { return Ok(()) };
    let order = pb::LoadRequest::decode(order.as_slice()).map_err(|_| WorkerError::Malformed)?;
    let tensor_bytes_max = usize::try_from(order.tensor_bytes_max).map_err(|_| WorkerError::Malformed)?;
    let (mut session, loaded) = match load::load::<R>(&order, tensor_bytes_max) {
        Ok(loaded) => loaded,
        Err(failure) => {
            let outcome = Some(pb::load_response::Outcome::Failure(failure));
            messages::write(&mut output, &pb::LoadResponse { outcome }.encode_to_vec())?;
            return Err(WorkerError::NoModel);
        }
    };
    drop(order);
    let outcome = Some(pb::load_response::Outcome::Loaded(loaded));
    messages::write(&mut output, &pb::LoadResponse { outcome }.encode_to_vec())?;
    while let Some(request) = messages::read(&mut input, tensor_bytes_max.saturating_add(BESIDE_BYTES_MAX))? {
        let inputs = inputs(request)?;
        let outcome = match session.run(inputs, tensor_bytes_max) {
            Ok(tensors) => pb::run_response::Outcome::Outputs(pb::Outputs { tensors }),
            Err(failure) => pb::run_response::Outcome::Failure(failure),
        };
        messages::write(&mut output, &pb::RunResponse { outcome: Some(outcome) }.encode_to_vec())?;
    }
    Ok(())
}

fn inputs(request: Vec<u8>) -> Result<Vec<Tensor>, WorkerError> {
    let request = pb::RunRequest::decode(request.as_slice()).map_err(|_| WorkerError::Malformed)?;
    request.inputs.iter().map(tensor).collect::<Option<_>>().ok_or(WorkerError::Malformed)
}

/// The runtime of a build without ONNX Runtime.
#[cfg(not(feature = "onnx"))]
#[derive(Debug)]
pub enum NoRuntime {}

#[cfg(not(feature = "onnx"))]
impl Runtime for NoRuntime {
    fn open(_: &Path) -> Result<Self, pb::Failure> {
        Err(load::failure(pb::FailureKind::NoRuntime, ""))
    }

    fn load(&mut self, _: &[u8]) -> Result<Box<dyn Session>, pb::Failure> {
        match *self {}
    }
}
