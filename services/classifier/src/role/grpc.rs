//! The adapter between the wire and the models: convert, call, convert.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use vigie_proto::Invalid;
use vigie_proto::pb::classifier::v1 as pb;
use vigie_proto::pb::classifier::v1::classifier_service_server::ClassifierService;
use vigie_serving::{Call, ServingConfig, deadline};

use super::failure::line;
use super::models::Model;
use super::scoring::Scoring;

/// The most items of one request.
pub(crate) const ITEMS_MAX: usize = 16;
/// The largest picture of an item, in bytes: 1,024 x 1,024 pixels.
const PIXEL_BYTES_MAX: usize = 3 << 20;
/// The largest request, in bytes: the largest pictures, and their names. Conversations are smaller.
pub(crate) const MESSAGE_BYTES_MAX: usize = ITEMS_MAX * PIXEL_BYTES_MAX + (64 << 10);
/// The time that is reserved at the end of a call for its answer, or a tenth of the call's time if that is
/// shorter. Scoring ends before it, so that the answer can contain the outcome of each item.
const MARGIN: Duration = Duration::from_millis(50);

/// The service that answers scores.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) scoring: Arc<Scoring>,
    pub(crate) serving: ServingConfig,
}

#[tonic::async_trait]
impl ClassifierService for Grpc {
    async fn score(&self, request: Request<pb::ScoreRequest>) -> Result<Response<pb::ScoreResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        // Most of a call's time is spent in an engine, which has its own limits. So the latency of calls does
        // not show the load of this server.
        Call::of(&request).not_load();
        let pb::ScoreRequest { items, uncounted } = request.into_inner();
        if !(1..=ITEMS_MAX).contains(&items.len()) {
            let reason = format!("has {} items; it must have 1 to {ITEMS_MAX}", items.len());
            return Err(Invalid::new("items", reason).into());
        }
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        let by = now + left.saturating_sub(MARGIN.min(left / 10));
        deadline::within(deadline, async {
            let scored = items.into_iter().map(|item| self.scoring.score(item, !uncounted, by));
            Ok(Response::new(pb::ScoreResponse { results: join_all(scored).await }))
        })
        .await
    }

    async fn describe_models(
        &self,
        _: Request<pb::DescribeModelsRequest>,
    ) -> Result<Response<pb::DescribeModelsResponse>, Status> {
        let models = self.scoring.models.now();
        let models = models.iter().map(|(name, model)| described(name, model)).collect();
        Ok(Response::new(pb::DescribeModelsResponse { models }))
    }
}

fn described(name: &str, model: &Model) -> pb::DescribedModel {
    let problem = model.problem();
    let compared = model.carded().map(|carded| carded.distributions.compared(carded.card()));
    let distributions = compared.into_iter().flatten().map(|(class, live, drift)| pb::ScoreDistribution {
        class: class.to_string(),
        counts: live.counts().to_vec(),
        drift,
    });
    pb::DescribedModel {
        name: name.to_owned(),
        version: if problem.is_none() { model.version() } else { 0 },
        is_served: problem.is_none(),
        problem: problem.as_deref().map(line).unwrap_or_default(),
        distributions: distributions.collect(),
    }
}
