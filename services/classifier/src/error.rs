//! The errors of running a model.

use std::time::Duration;

use thiserror::Error;
use tonic::Code;

use crate::shape::ShapeFault;

/// The reason why there are no outputs. No text holds an element of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// No model of this name is configured.
    #[error("no model `{0}` is configured")]
    UnknownModel(String),
    /// The engine cannot run the model now: its process cannot be started, or its server cannot be reached.
    #[error("cannot run the model: {reason}")]
    Unavailable {
        /// The reason.
        reason: String,
        /// The delay after which another attempt may succeed.
        retry_after: Option<Duration>,
    },
    /// The queue of runs is full.
    #[error("{waiting_max} runs of the model are waiting already")]
    Busy {
        /// The bound of the queue.
        waiting_max: usize,
    },
    /// The deadline passed first.
    #[error("the deadline passed before the model had run")]
    OutOfTime,
    /// The inputs are not those of the model.
    #[error("the inputs are not those of the model: {0}")]
    Inputs(ShapeFault),
    /// The engine refused or failed to run the model on these inputs.
    #[error("the engine did not run the model on these inputs: {0}")]
    Refused(Refusal),
    /// The engine's answer contradicts the model's description, or itself.
    #[error("the engine's answer is invalid: {0}")]
    Lied(Lie),
    /// The process ended while it ran the model.
    #[error("the classifier process ended: {}", .0.name())]
    Died(WorkerEnd),
}

impl EngineError {
    /// The names of all kinds.
    pub const NAMES: [&str; 8] =
        ["unknown_model", "unavailable", "busy", "out_of_time", "inputs", "refused", "lied", "died"];

    /// Returns the name in metrics, which depends on the kind alone and is the same in every version.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::UnknownModel(_) => "unknown_model",
            Self::Unavailable { .. } => "unavailable",
            Self::Busy { .. } => "busy",
            Self::OutOfTime => "out_of_time",
            Self::Inputs(_) => "inputs",
            Self::Refused(_) => "refused",
            Self::Lied(_) => "lied",
            Self::Died(_) => "died",
        }
    }

    /// Returns the error of an engine that is unavailable until something changes.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after: None }
    }
}

/// The part that refused the inputs. The text of a runtime or a server is omitted, because it may quote the
/// inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The runtime failed on the inputs.
    #[error("the runtime failed on them")]
    Runtime,
    /// The runtime's outputs are too large, or of an unsupported type.
    #[error("its outputs are too large, or of a type that is not carried")]
    Outputs,
    /// The server answered with this code.
    #[error("the server answered {0:?}")]
    Server(Code),
}

/// A fault of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Lie {
    /// The outputs differ from the model's description.
    #[error("{0}")]
    Shape(ShapeFault),
    /// The elements of an output do not fit its shape, or an element is not finite.
    #[error("the output `{name}` has {fault}")]
    Elements {
        /// The name of the output.
        name: String,
        /// The fault.
        fault: &'static str,
    },
    /// The outputs are in both forms, or one form has fewer outputs than the other.
    #[error("its outputs are in both forms, or incomplete in one")]
    Form,
    /// The answer belongs to another model, version or request.
    #[error("it does not belong to this call: {0}")]
    Other(&'static str),
    /// The answer exceeds the bound.
    #[error("it exceeds message_bytes_max, the limit of an answer")]
    TooLarge,
    /// The answer is not a message of the protocol.
    #[error("it is not a message of the protocol")]
    Malformed,
}

/// The way in which a classifier process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkerEnd {
    /// Ended by a signal or an exit.
    Crashed,
    /// Ended by a lack of memory, within its limit or on the machine.
    OutOfMemory,
    /// Ended by a forbidden system call.
    RefusedCall,
    /// Killed at the time limit of one run.
    Hung,
    /// Killed after an invalid answer.
    Malformed,
}

impl WorkerEnd {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Crashed, Self::OutOfMemory, Self::RefusedCall, Self::Hung, Self::Malformed];

    /// Returns the name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out_of_memory",
            Self::RefusedCall => "refused_call",
            Self::Hung => "hung",
            Self::Malformed => "malformed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        let all = [
            EngineError::UnknownModel(String::new()),
            EngineError::unavailable(""),
            EngineError::Busy { waiting_max: 1 },
            EngineError::OutOfTime,
            EngineError::Inputs(ShapeFault::Missing(String::new())),
            EngineError::Refused(Refusal::Runtime),
            EngineError::Lied(Lie::TooLarge),
            EngineError::Died(WorkerEnd::Hung),
        ];
        assert_eq!(all.map(|error| error.name()), EngineError::NAMES);
        let ends = WorkerEnd::ALL.map(WorkerEnd::name);
        let distinct: std::collections::BTreeSet<_> = EngineError::NAMES.into_iter().chain(ends).collect();
        assert_eq!(distinct.len(), EngineError::NAMES.len() + ends.len());
    }
}
