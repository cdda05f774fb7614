//! All engines of a configuration behind one interface.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use tokio::time::Instant;
use vigie_classifiers::Tensor;
use vigie_net::{EndpointError, Network};

use crate::config::Config;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::oip::OipEngine;
use crate::onnx::OnnxEngine;
use crate::shape::ModelShape;

/// The engines of all configured models.
#[derive(Debug)]
pub struct Engines(BTreeMap<String, Arc<dyn Engine>>);

/// The reason why engines could not be started. Models that cannot be loaded and servers that cannot be
/// reached are not errors at the start: they are unavailable.
#[derive(Debug, Error)]
pub enum EnginesError {
    /// The configuration has faults.
    #[error("{}", .0.join("\n"))]
    Config(Vec<String>),
    /// An endpoint is invalid.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The system cannot start a thread.
    #[error("cannot start the threads of a model")]
    Thread(#[source] std::io::Error),
}

impl Engines {
    /// Starts the engines of a configuration. Servers are reached over `network`.
    ///
    /// # Errors
    /// [`EnginesError`].
    pub fn start(config: &Config, network: &Network) -> Result<Self, EnginesError> {
        let faults = config.engine_faults();
        let Some(files) = config.onnx_models().filter(|_| faults.is_empty()) else {
            return Err(EnginesError::Config(faults));
        };
        let mut engines: BTreeMap<String, Arc<dyn Engine>> = BTreeMap::new();
        let names: Vec<String> = files.keys().cloned().collect();
        let onnx: Arc<dyn Engine> =
            Arc::new(OnnxEngine::start(&config.onnx_settings(), files).map_err(EnginesError::Thread)?);
        engines.extend(names.into_iter().map(|name| (name, Arc::clone(&onnx))));
        for server in &config.servers {
            let models = server.oip_models();
            let names: Vec<String> = models.keys().cloned().collect();
            let engine: Arc<dyn Engine> = Arc::new(OipEngine::new(&server.settings(), models, network)?);
            engines.extend(names.into_iter().map(|name| (name, Arc::clone(&engine))));
        }
        Ok(Self(engines))
    }

    /// Returns the names of all models.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn of(&self, model: &str) -> Result<&dyn Engine, EngineError> {
        let engine = self.0.get(model).ok_or_else(|| EngineError::UnknownModel(model.to_owned()))?;
        Ok(&**engine)
    }
}

#[async_trait]
impl Engine for Engines {
    async fn describe(&self, model: &str, deadline: Instant) -> Result<ModelShape, EngineError> {
        self.of(model)?.describe(model, deadline).await
    }

    async fn ready(&self, model: &str, deadline: Instant) -> Result<(), EngineError> {
        self.of(model)?.ready(model, deadline).await
    }

    async fn run(
        &self,
        model: &str,
        inputs: Vec<Tensor>,
        deadline: Instant,
    ) -> Result<Vec<Tensor>, EngineError> {
        self.of(model)?.run(model, inputs, deadline).await
    }
}
