//! The bounds of classifier processes, and the models that they run.

use std::path::PathBuf;
use std::time::Duration;

use vigie_classifiers::{Tensor, TensorData};
use vigie_sandbox::Requirement;

/// The start parameters and bounds of classifier processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxSettings {
    /// ONNX Runtime's library.
    pub library: Option<PathBuf>,
    /// The path of the program `vigie`; `None` for this process's program.
    pub program: Option<PathBuf>,
    /// The protection that a process must have. There is no way to run a model without a process:
    /// [`Requirement::Off`] means [`Requirement::BestEffort`].
    pub requirement: Requirement,
    /// The number of processes of each model.
    pub workers: usize,
    /// The most runs of one model that wait for a process. One more is refused.
    pub waiting_max: usize,
    /// The largest model, in bytes.
    pub model_bytes_max: u64,
    /// Memory that a process may use beyond the library and the model's file, in bytes. At the bound the run
    /// fails.
    pub memory_bytes_max: u64,
    /// The largest inputs of one run together, and its largest outputs together, in bytes.
    pub tensor_bytes_max: usize,
    /// The longest time of one run. At the bound the process is killed.
    pub run_within: Duration,
    /// The longest time from the start of a process until its model is loaded. At the bound the process is
    /// killed.
    pub start_within: Duration,
}

/// A model in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxModel {
    /// The path of the file.
    pub file: PathBuf,
    /// The SHA-256 of the file. Another file is not loaded.
    pub sha256: [u8; 32],
    /// A run with known outputs.
    pub trial: Option<Trial>,
}

/// A run with known outputs, made in each process before its first use.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The inputs.
    pub inputs: Vec<Tensor>,
    /// The outputs, or some of them.
    pub outputs: Vec<Tensor>,
    /// The largest difference of each floating-point number from the known one.
    pub tolerance: f32,
}

impl Trial {
    /// Returns whether these are the known outputs, within the tolerance.
    pub(crate) fn agrees(&self, outputs: &[Tensor]) -> bool {
        self.outputs.iter().all(|known| {
            let output = outputs.iter().find(|output| output.name() == known.name());
            output.is_some_and(|output| output.shape() == known.shape() && self.is_near(output, known))
        })
    }

    fn is_near(&self, output: &Tensor, known: &Tensor) -> bool {
        match (output.data(), known.data()) {
            (TensorData::F32(output), TensorData::F32(known)) => {
                output.iter().zip(known).all(|(output, known)| (output - known).abs() <= self.tolerance)
            }
            (output, known) => output == known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_agrees_within_its_tolerance_and_in_the_outputs_that_it_names() {
        let tensor = |name: &str, value| Tensor::new(name, &[1], TensorData::F32(vec![value])).unwrap();
        let trial = Trial { inputs: Vec::new(), outputs: vec![tensor("a", 0.5)], tolerance: 1e-4 };
        assert!(trial.agrees(&[tensor("b", 7.0), tensor("a", 0.500_05)]));
        assert!(!trial.agrees(&[tensor("a", 0.500_2)]));
        assert!(!trial.agrees(&[tensor("a", f32::NAN)]));
        assert!(!trial.agrees(&[tensor("b", 0.5)]));
        let longer = Tensor::new("a", &[1, 1], TensorData::F32(vec![0.5])).unwrap();
        assert!(!trial.agrees(&[longer]));
        let whole = Tensor::new("a", &[1], TensorData::I32(vec![1])).unwrap();
        assert!(!trial.agrees(&[whole]));
    }
}
