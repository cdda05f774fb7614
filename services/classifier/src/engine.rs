//! The interface of every engine.

use std::fmt;

use async_trait::async_trait;
use tokio::time::Instant;
use vigie_classifiers::Tensor;

use crate::error::EngineError;
use crate::shape::ModelShape;

/// Runs models on tensors. Models are named as in the configuration.
///
/// The calls are asynchronous, because the caller has a deadline and other work, and half of the engines are
/// servers. An engine that computes does so on dedicated threads.
///
/// Always true of an engine:
/// - A call ends by its deadline at the latest, then with [`EngineError::OutOfTime`], even if the engine goes
///   on.
/// - The waiting runs, the memory of a run and the bytes of an answer are bounded; a run beyond the bound
///   fails at once.
/// - Outputs have the names, types and dimensions of the model's description, as many elements as their
///   dimensions, and only finite numbers. Any other output is an error.
/// - An engine that failed is retried automatically, after a while.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync {
    /// Returns the inputs and outputs of a model.
    ///
    /// # Errors
    /// [`EngineError`].
    async fn describe(&self, model: &str, deadline: Instant) -> Result<ModelShape, EngineError>;

    /// Succeeds if the model can be run now.
    ///
    /// # Errors
    /// [`EngineError`], with the reason.
    async fn ready(&self, model: &str, deadline: Instant) -> Result<(), EngineError>;

    /// Runs a model on all of its inputs. Returns all of its outputs, in the order of its description.
    ///
    /// # Errors
    /// [`EngineError`].
    async fn run(
        &self,
        model: &str,
        inputs: Vec<Tensor>,
        deadline: Instant,
    ) -> Result<Vec<Tensor>, EngineError>;
}
