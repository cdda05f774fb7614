//! Engines that run classifiers on tensors: ONNX Runtime in processes without rights, and inference servers by the Open Inference Protocol.
//!
//! An engine knows no picture, no text, no score and no threshold: what a tensor means is `vigie-classifiers`'s.
//!
//! Always true:
//! - A model and what it answers are input. A model is parsed and run where it can do no harm, and its outputs are checked.
//! - No element of a tensor is in a log, an error or a file.
//! - An engine that is away, slow or wrong costs its callers no more than their deadline, and nobody else anything.
//!
//! Reading order: [`ElementType`], [`ModelShape`], [`EngineError`], `answer` (outputs that came from elsewhere), [`Engine`]; then `wire`,
//! [`worker`] (the process), [`onnx`] (its parent); then [`oip`] (servers), [`Config`], [`Engines`].

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

pub use config::{Config, FileModelConfig, ServerConfig, ServerModelConfig};
pub use element::ElementType;
pub use engine::Engine;
pub use engines::{Engines, EnginesError};
pub use error::{EngineError, Lie, Refusal, WorkerEnd};
pub use oip::{OipEngine, OipModel, OipSettings};
pub use onnx::{OnnxEngine, OnnxModel, OnnxSettings, StartError, Trial};
pub use shape::{Dimensions, ModelShape, ShapeFault, TensorShape};
pub use worker::run_if_asked;
