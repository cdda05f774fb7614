//! The adapter between the wire and the coordinator: convert, call, convert.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use vigie_model::{Query, SearchOptions, Sequence};
use vigie_proto::pb::coordinator::v1 as pb;
use vigie_proto::pb::coordinator::v1::coordinator_service_server::CoordinatorService;
use vigie_serving::{Call, ServingConfig, deadline};

use crate::coordinator::Coordinator;

/// Answers searches of the whole cluster.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) serving: ServingConfig,
}

#[tonic::async_trait]
impl CoordinatorService for Grpc {
    async fn search(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let call = Call::of(&request);
        let priority = call.priority();
        let (queries, options): (Vec<Query>, SearchOptions) = request.into_inner().try_into()?;
        if options.min_sequence > Sequence::ZERO {
            // It may wait for a change to come, which is no load.
            call.not_load();
        }
        deadline::within(deadline, async {
            let answer = self.coordinator.search(queries, options, priority, deadline).await?;
            Ok(Response::new(answer.into()))
        })
        .await
    }

    async fn describe_topology(
        &self,
        _: Request<pb::DescribeTopologyRequest>,
    ) -> Result<Response<pb::DescribeTopologyResponse>, Status> {
        Ok(Response::new(self.coordinator.topology().into()))
    }
}
