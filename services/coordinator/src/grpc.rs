//! The adapter between the wire and the coordinator: convert, call, convert.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use vigie_model::{ANSWER_BYTES_MAX, Cost, LITTLE_BYTES, Query, SearchOptions, Sequence};
use vigie_proto::pb::coordinator::v1 as pb;
use vigie_proto::pb::coordinator::v1::coordinator_service_server::CoordinatorService;
use vigie_serving::{Answers, Call, ServingConfig, Turn, deadline};

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
        let (call, answers) = (Call::of(&request), Answers::of(&request));
        let (asked_bytes, form) = (request.get_ref().answer_bytes(), request.get_ref().form());
        let priority = call.priority();
        let (queries, options): (Vec<Query>, SearchOptions) = request.into_inner().try_into()?;
        if options.min_sequence > Sequence::ZERO {
            // The search may wait for a change to arrive, which is not load.
            call.not_load();
        }
        let cost = Cost::of(&queries, &options);
        if cost.slots() > 1 {
            call.not_load();
        }
        let queries: Arc<[Query]> = queries.into();
        let is_of_a_set = options.bank_set.is_some();
        // Most searches find little, so the first attempt has a small limit. A caller that sends its own
        // limit knows better.
        let little = (queries.len() * LITTLE_BYTES).min(ANSWER_BYTES_MAX);
        let mut answer_bytes = asked_bytes.unwrap_or(little);
        deadline::within(deadline, async {
            loop {
                let most = self.coordinator.bytes_of_a_search(queries.len(), options.limit, answer_bytes);
                let mut room = {
                    let _not_load = call.waiting();
                    answers.room(most, deadline).await?
                };
                let _turn = if answer_bytes > little {
                    let _not_load = call.waiting();
                    answers.turn(cost.slots()).await
                } else {
                    Turn::default()
                };
                let _weight = call.weigh(cost.slots(), deadline).await?;
                let (queries, options) = (Arc::clone(&queries), options.clone());
                let searched =
                    self.coordinator.search_within(queries, options, answer_bytes, priority, deadline);
                let answer = searched.await.map_err(|error| error.into_status(is_of_a_set))?;
                if asked_bytes.is_none() && answer_bytes < ANSWER_BYTES_MAX && answer.is_cut() {
                    answer_bytes = ANSWER_BYTES_MAX;
                    continue;
                }
                room.shrink(answer.bytes());
                answers.send(room);
                let answer =
                    pb::SearchResponse { bank_set_kept: is_of_a_set, ..pb::SearchResponse::of(answer, form) };
                return Ok(Response::new(answer));
            }
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
