//! A classifier process and its pipes.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

use prost::Message as _;
use vigie_classifiers::Tensor;
use vigie_proto::pb::classifier::v1 as pb;
use vigie_sandbox::child::{end, gone, vigie};
use vigie_sandbox::pipes::{Halted, TooLate, read_exact, unblock, write_all};
use vigie_sandbox::{Posture, Requirement};

use super::failure::{StartError, death};
use super::settings::{OnnxModel, OnnxSettings};
use crate::answer;
use crate::error::{EngineError, Lie, Refusal, WorkerEnd};
use crate::shape::ModelShape;
use crate::wire::{BESIDE_BYTES_MAX, COMMAND, GREETING, message, model_shape, output, posture_of};

/// The most bytes that are read of a process's standard error.
const LAST_WORDS_BYTES: usize = 4 << 10;

/// Since 1.29 the official builds of ONNX Runtime send their makers reports about models and runs, from a
/// separate thread, unless this variable is set when the library is opened
/// (`findings/onnxruntime-telemetry.sh`).
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// A running process with a model. Dropping it kills the process and waits for its end.
#[derive(Debug)]
pub(super) struct Process {
    running: Running,
    shape: ModelShape,
    posture: Posture,
    answered: u64,
    answer_bytes_max: usize,
}

/// The reason why there are no outputs, and whether the process can still be used.
#[derive(Debug)]
pub(super) enum Failed {
    /// The run failed; the process can still be used.
    Run(EngineError),
    /// The process has to be ended.
    Process(Stopped),
}

/// The reason why a process gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The process has ended, or is ending.
    Ended,
    /// The answer is malformed.
    Malformed,
    /// A time limit was reached; the process goes on.
    TooLate,
}

impl From<Halted<TooLate>> for Stopped {
    fn from(halted: Halted<TooLate>) -> Self {
        match halted {
            Halted::Ended => Self::Ended,
            Halted::Reached(TooLate) => Self::TooLate,
        }
    }
}

impl Process {
    /// Starts a process and waits until it has loaded the model.
    pub(super) fn start(settings: &OnnxSettings, model: &OnnxModel) -> Result<Self, StartError> {
        let order = order(settings, model)?.encode_to_vec();
        let deadline = Instant::now() + settings.start_within;
        let (program, mut running) = Running::start(settings.program.as_deref())?;
        if !running.greets(deadline) {
            return Err(StartError::Foreign { program });
        }
        let answer_bytes_max = settings.tensor_bytes_max.saturating_add(BESIDE_BYTES_MAX);
        let loaded = running
            .exchange(&order, answer_bytes_max, deadline)
            .and_then(|answer| pb::LoadResponse::decode(answer.as_slice()).map_err(|_| Stopped::Malformed))
            .map_err(|stopped| StartError::Died(running.end(stopped)))?;
        let loaded = match loaded.outcome {
            Some(pb::load_response::Outcome::Loaded(loaded)) => loaded,
            Some(pb::load_response::Outcome::Failure(failure)) => {
                let reported = StartError::reported(failure.kind(), failure.message);
                return Err(reported.unwrap_or(StartError::Died(WorkerEnd::Malformed)));
            }
            None => return Err(StartError::Died(WorkerEnd::Malformed)),
        };
        let (Some(shape), Some(posture)) = (model_shape(&loaded), posture_of(loaded.posture)) else {
            return Err(StartError::Died(WorkerEnd::Malformed));
        };
        if let Some(trial) = &model.trial {
            let outputs = read(&shape, &loaded.trial_outputs).map_err(|_| StartError::Trial)?;
            if !trial.agrees(&outputs) {
                return Err(StartError::Trial);
            }
        }
        Ok(Self { running, shape, posture, answered: 0, answer_bytes_max })
    }

    pub(super) const fn shape(&self) -> &ModelShape {
        &self.shape
    }

    pub(super) const fn posture(&self) -> Posture {
        self.posture
    }

    /// Returns the number of runs that the process has answered.
    pub(super) const fn answered(&self) -> u64 {
        self.answered
    }

    pub(super) fn id(&self) -> u32 {
        self.running.child.id()
    }

    /// Returns whether the process has ended while it was idle.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.running.child.try_wait(), Ok(None))
    }

    /// Runs the model.
    pub(super) fn run(
        &mut self,
        inputs: &[Tensor],
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Vec<Tensor>, Failed> {
        let checked = self.shape.check_inputs(inputs, bytes_max);
        checked.map_err(|fault| Failed::Run(EngineError::Inputs(fault)))?;
        let request = pb::RunRequest { inputs: inputs.iter().map(message).collect() }.encode_to_vec();
        let answer = self.running.exchange(&request, self.answer_bytes_max, deadline);
        drop(request);
        let answer = answer.map_err(Failed::Process)?;
        let malformed = Failed::Process(Stopped::Malformed);
        let Ok(answer) = pb::RunResponse::decode(answer.as_slice()) else { return Err(malformed) };
        self.answered += 1;
        match answer.outcome {
            Some(pb::run_response::Outcome::Outputs(outputs)) => {
                let tensors = read(&self.shape, &outputs.tensors);
                tensors.map_err(|lie| Failed::Run(EngineError::Lied(lie)))
            }
            Some(pb::run_response::Outcome::Failure(failure)) => Err(refusal(failure.kind())
                .map_or(malformed, |refusal| Failed::Run(EngineError::Refused(refusal)))),
            None => Err(malformed),
        }
    }

    /// Ends a process that stopped, and returns the kind of its end.
    pub(super) fn end(mut self, stopped: Stopped) -> WorkerEnd {
        self.running.end(stopped)
    }
}

/// Converts the failure of a run to a refusal. `None` for a failure of another kind.
fn refusal(kind: pb::FailureKind) -> Option<Refusal> {
    let refusals = [(pb::FailureKind::Run, Refusal::Runtime), (pb::FailureKind::Output, Refusal::Outputs)];
    refusals.into_iter().find(|(known, _)| *known == kind).map(|(_, refusal)| refusal)
}

/// Reads the outputs in an answer.
fn read(shape: &ModelShape, tensors: &[pb::Tensor]) -> Result<Vec<Tensor>, Lie> {
    let outputs: Vec<_> = tensors.iter().map(output).collect::<Option<_>>().ok_or(Lie::Malformed)?;
    answer::read(&shape.outputs, &outputs)
}

fn order(settings: &OnnxSettings, model: &OnnxModel) -> Result<pb::LoadRequest, StartError> {
    let text =
        |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| StartError::Path(path.to_owned()));
    let library = settings.library.as_deref().ok_or(StartError::NoLibrary)?;
    Ok(pb::LoadRequest {
        library: text(library)?,
        model: text(&model.file)?,
        model_sha256: model.sha256.to_vec(),
        model_bytes_max: settings.model_bytes_max,
        memory_bytes_max: settings.memory_bytes_max,
        tensor_bytes_max: settings.tensor_bytes_max.try_into().unwrap_or(u64::MAX),
        is_full_posture_required: settings.requirement == Requirement::Required,
        trial_inputs: model.trial.iter().flat_map(|trial| &trial.inputs).map(message).collect(),
    })
}

/// A child and its pipes.
#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

impl Running {
    fn start(program: Option<&Path>) -> Result<(PathBuf, Self), StartError> {
        let (program, mut command) = vigie(program, [COMMAND.into()])?;
        let failed = |source| StartError::Program { program: program.clone(), source };
        command.env(NO_TELEMETRY, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            end(&mut child);
            return Err(StartError::Foreign { program });
        };
        let running = Self { child, stdin, stdout, stderr };
        let unblocked = unblock(&running.stdin)
            .and_then(|()| unblock(&running.stdout))
            .and_then(|()| unblock(&running.stderr));
        unblocked.map_err(failed)?;
        Ok((program, running))
    }

    /// Returns whether the first bytes are those of a classifier process.
    fn greets(&mut self, mut deadline: Instant) -> bool {
        let mut greeting = [0; GREETING.len()];
        read_exact(&mut self.stdout, &mut greeting, &mut deadline).is_ok() && greeting == GREETING
    }

    /// Sends a request, and returns its answer.
    fn exchange(
        &mut self,
        request: &[u8],
        bytes_max: usize,
        mut deadline: Instant,
    ) -> Result<Vec<u8>, Stopped> {
        let length = u32::try_from(request.len()).map_err(|_| Stopped::Malformed)?;
        write_all(&mut self.stdin, &length.to_le_bytes(), &mut deadline)?;
        write_all(&mut self.stdin, request, &mut deadline)?;
        let mut length = [0; 4];
        read_exact(&mut self.stdout, &mut length, &mut deadline)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > bytes_max {
            return Err(Stopped::Malformed);
        }
        let mut answer = vec![0; length];
        read_exact(&mut self.stdout, &mut answer, &mut deadline)?;
        Ok(answer)
    }

    fn end(&mut self, stopped: Stopped) -> WorkerEnd {
        let by_itself = (stopped == Stopped::Ended).then(|| gone(&mut self.child)).flatten();
        match (stopped, by_itself) {
            (_, Some(status)) => {
                let words = self.last_words();
                death(status, &words)
            }
            (Stopped::TooLate, None) => WorkerEnd::Hung,
            (Stopped::Malformed, None) => WorkerEnd::Malformed,
            (Stopped::Ended, None) => WorkerEnd::Crashed,
        }
    }

    /// Returns the process's standard error. It must not be logged: a hostile process may write anything.
    fn last_words(&mut self) -> Vec<u8> {
        let mut words = vec![0; LAST_WORDS_BYTES];
        let length = self.stderr.read(&mut words).unwrap_or_default();
        words.truncate(length);
        words
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
