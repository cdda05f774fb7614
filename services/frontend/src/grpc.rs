//! The adapter between the wire and the matching: convert, call, convert.

pub(crate) mod scoring;

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use tonic::{Code, Request, Response, Status, Streaming};
use vigie_access::Called;
use vigie_media::video::Sampling;
use vigie_model::{Content, DecodeFailure, DecodeFailureKind, ImageFingerprint, MatchCall};
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_server::MatchService;
use vigie_proto::{Form, Invalid};
use vigie_rpc::Priority;
use vigie_serving::{Answers, Call, ServingConfig, Shutdown, StreamRequests, deadline};
use vigie_telemetry::trace;

use crate::error::HashingError;
use crate::hashing::HashedImage;
use crate::matching::{INTERACTIVE_QUERIES_MAX, Matching, QUERY_SAMPLING};
use crate::request::answering::{Asking, answer, matches, waits_for_a_sequence};
use crate::request::meters::Meters;
use crate::request::policies::Policies;
use crate::request::reports::Reports;
use crate::request::rights::Rights;
use crate::request::rooms::Rooms;
use crate::request::streaming::Streamed;
use crate::request::uploads;
use crate::searcher::Urgency;

/// The service that answers platforms.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) matching: Matching,
    pub(crate) serving: ServingConfig,
    pub(crate) stream_requests_in_flight_max: usize,
    pub(crate) shutdown: Shutdown,
    pub(crate) meters: Meters,
    pub(crate) policies: Policies,
    pub(crate) reports: Reports,
    /// The formats that are decoded here, as determined at startup.
    pub(crate) decoding: pb::DescribeDecodingResponse,
}

#[tonic::async_trait]
impl MatchService for Grpc {
    async fn r#match(
        &self,
        request: Request<pb::MatchRequest>,
    ) -> Result<Response<pb::MatchResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let (call, answers) = (Call::of(&request), Answers::of(&request));
        let called = Called::of(&request)?;
        let form = request.get_ref().form();
        let mut asked = MatchCall::try_from(request.into_inner())?;
        let rights = Rights::of(&called, &self.meters, &self.policies, &self.reports, &mut asked)?;
        if waits_for_a_sequence(&asked) {
            call.not_load();
        }
        let priority = priority(&call, &asked);
        let asking = Asking { call: asked, form, rights };
        let mut rooms = Rooms::new(answers, call.clone());
        let urgency = Urgency::of_a_call(priority);
        let answered = answer(&self.matching, asking, urgency, &mut rooms, deadline).await;
        if rooms.has_waited {
            call.not_load();
        }
        rooms.send();
        // The server's guard counts refused calls.
        let answered = answered?;
        called.count(Code::Ok, matches(&answered));
        Ok(Response::new(answered))
    }

    type MatchStreamStream = Pin<Box<dyn Stream<Item = Result<pb::MatchStreamResponse, Status>> + Send>>;

    async fn match_stream(
        &self,
        request: Request<Streaming<pb::MatchStreamRequest>>,
    ) -> Result<Response<Self::MatchStreamStream>, Status> {
        let streamed = Streamed {
            matching: self.matching.clone(),
            serving: self.serving,
            call: Call::of(&request),
            called: Called::of(&request)?,
            meters: self.meters.clone(),
            policies: self.policies.clone(),
            reports: self.reports.clone(),
            answers: Answers::of(&request),
            counted: StreamRequests::of(&request),
            context: trace::current(),
            in_flight_max: self.stream_requests_in_flight_max,
            shutdown: self.shutdown.clone(),
        };
        Ok(Response::new(Box::pin(streamed.answer(request.into_inner()))))
    }

    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let priority = Call::of(&request).priority();
        let image = request.into_inner().image;
        deadline::within(deadline, async {
            let hashed = self.matching.images.hash(image, Arc::default(), priority, deadline).await;
            let HashedImage { digests, hashes } = hashed.map_err(HashingError::into_status)?;
            let picture = hashes.map_err(|failure| not_hashed("image", failure))?;
            Ok(Response::new(ImageFingerprint { picture: picture.fingerprint, digests }.into()))
        })
        .await
    }

    async fn describe_decoding(
        &self,
        _: Request<pb::DescribeDecodingRequest>,
    ) -> Result<Response<pb::DescribeDecodingResponse>, Status> {
        Ok(Response::new(self.decoding.clone()))
    }

    async fn match_video(
        &self,
        request: Request<Streaming<pb::MatchVideoRequest>>,
    ) -> Result<Response<pb::MatchVideoResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let (call, answers) = (Call::of(&request), Answers::of(&request));
        let called = Called::of(&request)?;
        let mut parts = request.into_inner();
        let start = deadline::within(deadline, uploads::start(&mut parts)).await?;
        // Rights are checked and units spent before the file arrives.
        let mut asked = uploads::asked(start, self.matching.video_bytes_max)?;
        let rights = Rights::of(&called, &self.meters, &self.policies, &self.reports, &mut asked)?;
        let file = uploads::file(&mut parts, self.matching.video_bytes_max);
        let file = deadline::within(deadline, file).await?;
        let rights = rights.with_file(file.len());
        asked.contents = vec![Content::Video(file)];
        // A video occupies a thread for a long time, whatever the load is.
        call.not_load();
        let mut rooms = Rooms::new(answers, call.clone());
        let urgency = Urgency::of_a_call(call.priority());
        let asking = Asking { call: asked, form: Form::Plain, rights };
        let answered = answer(&self.matching, asking, urgency, &mut rooms, deadline).await;
        rooms.send();
        let answered = answered?;
        called.count(Code::Ok, matches(&answered));
        Ok(Response::new(pb::MatchVideoResponse { response: Some(answered) }))
    }

    async fn hash_video(
        &self,
        request: Request<Streaming<pb::HashVideoRequest>>,
    ) -> Result<Response<pb::HashVideoResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let call = Call::of(&request);
        let mut parts = request.into_inner();
        let bytes_max = self.matching.video_bytes_max;
        deadline::within(deadline, async {
            let start = uploads::start(&mut parts).await?;
            uploads::check_bytes(start.content_bytes, bytes_max)?;
            let sampling = if start.dense { Sampling::Dense } else { QUERY_SAMPLING };
            let file = uploads::file(&mut parts, bytes_max).await?;
            call.not_load();
            let hashed = self.matching.hash_video(file, sampling, call.priority(), deadline).await?;
            let video = hashed.hashes.map_err(|failure| not_hashed("content", failure))?;
            Ok(Response::new(uploads::hashed(&video, hashed.digests)))
        })
        .await
    }
}

/// Returns the status of a file without hashes, for a call that asks for hashes alone.
fn not_hashed(field: &str, failure: DecodeFailure) -> Status {
    if failure.kind == DecodeFailureKind::Unavailable {
        Status::unavailable(failure.message)
    } else {
        Invalid::new(field, failure).into()
    }
}

fn priority(call: &Call, asked: &MatchCall) -> Priority {
    if asked.contents.len() > INTERACTIVE_QUERIES_MAX { Priority::Bulk } else { call.priority() }
}
