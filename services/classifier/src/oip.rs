//! Inference servers that speak the Open Inference Protocol (version 2 of KServe's) over gRPC.
//!
//! ```text
//! OipEngine::run(model, inputs, deadline)
//!   |-- inputs that do not fit the model: refused
//!   |-- the queue of calls is full: busy, at once
//!   |-- the server has failed repeatedly: unavailable, at once
//!   |-- ModelInfer ->  <- answer, bounded in bytes and time
//!   +-- the whole answer is checked: model, version, request, names, types, dimensions, lengths, numbers
//! ```
//!
//! The operator's configuration describes each model, and [`Engine::describe`] compares that with the
//! server's description, so that a difference is found before the first picture. A server gets no credential
//! of this deployment, and tensors rather than files, because hostile files are decoded here.
//!
//! Reading order: [`OipSettings`], `message` (requests and answers), `server` (one call), then [`OipEngine`].

mod message;
mod server;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use vigie_classifiers::Tensor;
use vigie_net::{EndpointError, Network};
use vigie_proto::pb::inference as pb;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::shape::ModelShape;
use server::Server;

/// The endpoint of a server and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OipSettings {
    /// The endpoint, such as `https://triton:8001`.
    pub endpoint: String,
    /// The most calls in progress at once.
    pub calls_max: usize,
    /// The most calls that wait for one of those to end. One more is refused.
    pub waiting_max: usize,
    /// The largest request and the largest answer, in bytes.
    pub message_bytes_max: usize,
    /// The longest time of one call. The call is given up then, whatever its deadline.
    pub call_within: Duration,
}

/// A model of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OipModel {
    /// The name of the model at the server.
    pub name: String,
    /// The version at the server; empty leaves the choice to the server.
    pub version: String,
    /// The inputs, and the outputs that are requested.
    pub shape: ModelShape,
}

/// The engine of the models of one server.
#[derive(Debug)]
pub struct OipEngine {
    server: Server,
    models: BTreeMap<String, OipModel>,
    message_bytes_max: usize,
}

impl OipEngine {
    /// The most bytes of a request in addition to its tensors.
    const BESIDE_BYTES_MAX: usize = 64 << 10;

    /// Creates the engine, which connects at the first call.
    ///
    /// # Errors
    /// The endpoint is invalid.
    pub fn new(
        settings: &OipSettings,
        models: BTreeMap<String, OipModel>,
        network: &Network,
    ) -> Result<Self, EndpointError> {
        let server = Server::new(settings, network)?;
        Ok(Self { server, models, message_bytes_max: settings.message_bytes_max })
    }

    fn model(&self, model: &str) -> Result<&OipModel, EngineError> {
        self.models.get(model).ok_or_else(|| EngineError::UnknownModel(model.to_owned()))
    }
}

#[async_trait]
impl Engine for OipEngine {
    async fn describe(&self, model: &str, deadline: Instant) -> Result<ModelShape, EngineError> {
        let model = self.model(model)?;
        let request = pb::ModelMetadataRequest { name: model.name.clone(), version: model.version.clone() };
        let read = |answer| message::check_description(model, &answer);
        self.server
            .call(deadline, request, async |mut client, request| client.model_metadata(request).await, read)
            .await?;
        Ok(model.shape.clone())
    }

    async fn ready(&self, model: &str, deadline: Instant) -> Result<(), EngineError> {
        let model = self.model(model)?;
        let request = pb::ModelReadyRequest { name: model.name.clone(), version: model.version.clone() };
        let read = |answer: pb::ModelReadyResponse| Ok(answer.ready);
        let call = self.server.call(
            deadline,
            request,
            async |mut client, request| client.model_ready(request).await,
            read,
        );
        if call.await? {
            Ok(())
        } else {
            Err(EngineError::unavailable("the server does not serve the model yet"))
        }
    }

    async fn run(
        &self,
        model: &str,
        inputs: Vec<Tensor>,
        deadline: Instant,
    ) -> Result<Vec<Tensor>, EngineError> {
        let model = self.model(model)?;
        let bytes_max = self.message_bytes_max.saturating_sub(Self::BESIDE_BYTES_MAX);
        model.shape.check_inputs(&inputs, bytes_max).map_err(EngineError::Inputs)?;
        let request = message::request(model, self.server.next_id(), &inputs);
        drop(inputs);
        let id = request.id.clone();
        let read = |answer| message::outputs(model, &id, &answer);
        self.server
            .call(deadline, request, async |mut client, request| client.model_infer(request).await, read)
            .await
    }
}
