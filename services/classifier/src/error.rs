//! How running a model can fail.

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
    /// The engine cannot run the model now: its process cannot be started, its server is away.
    #[error("cannot run the model: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
        /// After this time another attempt may do.
        retry_after: Option<Duration>,
    },
    /// As many runs as may wait are waiting already.
    #[error("{waiting_max} runs of the model are waiting already")]
    Busy {
        /// The bound.
        waiting_max: usize,
    },
    /// The deadline came first.
    #[error("the time ran out before the model had run")]
    OutOfTime,
    /// The inputs are not those of the model.
    #[error("the inputs are not those of the model: {0}")]
    Inputs(ShapeFault),
    /// The engine refused or failed to run the model on these inputs.
    #[error("the engine did not run the model on these inputs: {0}")]
    Refused(Refusal),
    /// The engine's answer contradicts the model's description, or itself.
    #[error("the engine's answer is not to be believed: {0}")]
    Lied(Lie),
    /// The process ended while it ran the model.
    #[error("the classifier process ended: {}", .0.name())]
    Died(WorkerEnd),
}

impl EngineError {
    /// The names of all kinds.
    pub const NAMES: [&str; 8] =
        ["unknown_model", "unavailable", "busy", "out_of_time", "inputs", "refused", "lied", "died"];

    /// The name in metrics: of the kind alone, and the same in every version.
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

    /// The engine is away until something changes.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after: None }
    }
}

/// The part that refused the inputs. The words of a runtime or a server are left out: they may quote the
/// inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The runtime failed on them.
    #[error("the runtime failed on them")]
    Runtime,
    /// The runtime's outputs are larger than they may be, or of a type that is not carried.
    #[error("its outputs are too large, or of a type that is not carried")]
    Outputs,
    /// The server answered with this code.
    #[error("the server answered {0:?}")]
    Server(Code),
}

/// A fault of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Lie {
    /// The outputs are not those that the model is described with.
    #[error("{0}")]
    Shape(ShapeFault),
    /// Elements and shape of an output disagree, or an element is not finite.
    #[error("the output `{name}` has {fault}")]
    Elements {
        /// The output.
        name: String,
        /// The fault.
        fault: &'static str,
    },
    /// The outputs are in both forms, or more in one than in the other.
    #[error("its outputs are not in one form")]
    Form,
    /// The answer is that of another model or version, or to another request.
    #[error("it is another's: {0}")]
    Other(&'static str),
    /// The answer is larger than it may be.
    #[error("it is larger than an answer may be")]
    TooLarge,
    /// The answer is none of the protocol's messages.
    #[error("it is no message of the protocol")]
    Malformed,
}

/// How a classifier process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkerEnd {
    /// A signal or an exit.
    Crashed,
    /// No memory within its limit, or none on the machine.
    OutOfMemory,
    /// A system call that it has no right to.
    RefusedCall,
    /// The bound of time for one run. The process was killed.
    Hung,
    /// An answer that is none. The process was killed.
    Malformed,
}

impl WorkerEnd {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Crashed, Self::OutOfMemory, Self::RefusedCall, Self::Hung, Self::Malformed];

    /// The name in logs and metrics.
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
