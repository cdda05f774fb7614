//! The adapter between the wire and the fan-out: convert, call, convert.

use tonic::{Request, Response, Status};
use vigie_model::{Query, SearchOptions};
use vigie_proto::pb::coordinator::v1 as pb;
use vigie_proto::pb::coordinator::v1::coordinator_service_server::CoordinatorService;
use vigie_serving::{ServingConfig, deadline};

use crate::fan_out::FanOut;

/// Answers searches of the whole cluster.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) fan_out: FanOut,
    pub(crate) endpoints: Vec<String>,
    pub(crate) serving: ServingConfig,
}

#[tonic::async_trait]
impl CoordinatorService for Grpc {
    async fn search(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let (queries, options): (Vec<Query>, SearchOptions) = request.into_inner().try_into()?;
        deadline::within(deadline, async {
            let answer = self.fan_out.search(queries, options, deadline).await?;
            Ok(Response::new(answer.into()))
        })
        .await
    }

    async fn describe_topology(
        &self,
        _: Request<pb::DescribeTopologyRequest>,
    ) -> Result<Response<pb::DescribeTopologyResponse>, Status> {
        Ok(Response::new(self.fan_out.table.load().topology(&self.endpoints).into()))
    }
}
