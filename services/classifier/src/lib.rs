//! Runs classifiers: ONNX Runtime in processes without rights, and inference servers that speak the Open
//! Inference Protocol.
//!
//! There are two layers. An engine runs a model on tensors; it has no notion of pictures, texts, scores or
//! thresholds. The role (`role`) follows the cards of the directory, and answers raw scores of pictures and
//! conversations; `vigie-classifiers` defines the meaning of a tensor.
//!
//! Always true:
//! - A model and its answers are untrusted input. A model is parsed and run where it can do no harm, and its
//!   outputs are checked.
//! - No element of a tensor is in a log, an error or a file.
//! - An engine that is unavailable, slow or wrong costs its callers no more than their deadline, and costs
//!   others nothing.
//!
//! Reading order: [`ElementType`], [`ModelShape`], [`EngineError`], `answer` (outputs of processes and
//! servers), [`Engine`]; then `wire`, [`worker`] (the process), [`onnx`] (its parent); then [`oip`]
//! (servers), [`Config`], [`Engines`], `role`.

mod element;
mod shape;
mod error;
mod answer;
mod engine;
mod wire;
pub mod worker;
pub mod onnx;
pub mod oip;
mod config;
mod engines;
mod role;

pub use config::{Config, FileModelConfig, ServerConfig, ServerModelConfig};
pub use element::ElementType;
pub use engine::Engine;
pub use engines::{Engines, EnginesError};
pub use error::{EngineError, Lie, Refusal, WorkerEnd};
pub use oip::{OipEngine, OipModel, OipSettings};
pub use onnx::{OnnxEngine, OnnxModel, OnnxSettings, StartError, Trial};
pub use role::{RunError, run, run_with};
pub use shape::{Dimensions, ModelShape, ShapeFault, TensorShape};
pub use worker::run_if_asked;
