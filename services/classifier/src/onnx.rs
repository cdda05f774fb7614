//! Models in files, run by ONNX Runtime in processes without rights.
//!
//! ```text
//! OnnxEngine::run(model, inputs, deadline)
//!   |-- the model's queue is full: busy, at once
//!   |-- a thread of the model takes the run: it fails if it is late, or if the inputs do not fit the model
//!   |-- request ->  <- answer, both bounded; the caller leaves at its deadline, while the process goes on
//!   |   until the bound of one run
//!   +-- the process died, hangs or breaks the protocol: it is ended, its run fails, and the thread starts
//!       another after a pause
//! ```
//!
//! Each model has dedicated threads, and each thread has at most one process, with one session, which runs
//! one set of inputs at a time: the death of a process affects one run. A caller that leaves early does not
//! end a process, because loading a model takes much longer than a run.
//!
//! Reading order: [`OnnxSettings`], [`StartError`], `process`, `pool`, then [`OnnxEngine`].

mod settings;
mod failure;
mod process;
mod pool;

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use vigie_classifiers::Tensor;

pub use failure::StartError;
pub use settings::{OnnxModel, OnnxSettings, Trial};

use crate::element::encoded_bytes;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::shape::{ModelShape, ShapeFault};
use pool::{Pool, Work};

/// The engine of models in files. Dropping it ends its processes.
#[derive(Debug)]
pub struct OnnxEngine {
    pools: BTreeMap<String, Pool>,
    tensor_bytes_max: usize,
}

impl OnnxEngine {
    /// Starts the threads of each model, which start their processes.
    ///
    /// # Errors
    /// The system's error, if it cannot start a thread.
    pub fn start(settings: &OnnxSettings, models: BTreeMap<String, OnnxModel>) -> std::io::Result<Self> {
        let pool =
            |(name, model): (String, OnnxModel)| Pool::start(settings, &name, model).map(|pool| (name, pool));
        let pools = models.into_iter().map(pool).collect::<Result<_, _>>()?;
        Ok(Self { pools, tensor_bytes_max: settings.tensor_bytes_max })
    }

    /// Returns the ids of all running processes.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.pools.values().flat_map(Pool::process_ids).collect()
    }

    async fn ask<A>(
        &self,
        model: &str,
        deadline: Instant,
        work: impl FnOnce(oneshot::Sender<Result<A, EngineError>>) -> Work,
    ) -> Result<A, EngineError> {
        let pool = self.pools.get(model).ok_or_else(|| EngineError::UnknownModel(model.to_owned()))?;
        let (sender, answer) = oneshot::channel();
        pool.send(work(sender), deadline.into_std())?;
        match timeout_at(deadline, answer).await {
            Ok(Ok(outcome)) => outcome,
            // A thread drops work that is too late.
            Ok(Err(_)) | Err(_) => Err(EngineError::OutOfTime),
        }
    }
}

#[async_trait]
impl Engine for OnnxEngine {
    async fn describe(&self, model: &str, deadline: Instant) -> Result<ModelShape, EngineError> {
        self.ask(model, deadline, Work::Describe).await
    }

    async fn ready(&self, model: &str, deadline: Instant) -> Result<(), EngineError> {
        self.describe(model, deadline).await.map(drop)
    }

    async fn run(
        &self,
        model: &str,
        inputs: Vec<Tensor>,
        deadline: Instant,
    ) -> Result<Vec<Tensor>, EngineError> {
        let (bytes, bytes_max) =
            (inputs.iter().map(|input| encoded_bytes(input.data())).sum(), self.tensor_bytes_max);
        // The bytes of the waiting runs are bounded too.
        if bytes > bytes_max {
            return Err(EngineError::Inputs(ShapeFault::Bytes { bytes, bytes_max }));
        }
        self.ask(model, deadline, |sender| Work::Run(inputs, sender)).await
    }
}
