//! The feed service: streams the log, and answers the directory.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, iter, try_unfold};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use vigie_access::Called;
use vigie_consortium::Directory;
use vigie_model::ShardIdentity;
use vigie_model::change::Cursor;
use vigie_proto::consortium::{DirectoryAt, DirectoryRequest, directory_parts};
use vigie_proto::pb::bank::v1 as pb;
use vigie_serving::{Call, LongStream, LongStreams, deadline};

use crate::error::Error;
use crate::load::Loader;
use crate::log::{CurrentTerm, Follower, Term, cursor, feed_range, term};
use crate::plan::digests::slice_of;
use crate::store::id_to_model;

/// The feed service.
#[derive(Debug)]
pub(crate) struct FeedGrpc {
    /// The current term, whose log is streamed and whose end ends every stream.
    pub(crate) current: CurrentTerm,
    /// The slots of followers, and of clients that load the state in order to follow.
    pub(crate) followers: LongStreams,
    /// The most time of loading the state.
    pub(crate) load_max: Duration,
}

#[tonic::async_trait]
impl pb::feed_service_server::FeedService for FeedGrpc {
    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (call, called) = (Call::of(&request), Called::of(&request)?);
        let (from, shard): (Option<Cursor>, ShardIdentity) = request.into_inner().try_into()?;
        let term = term(&self.current)?;
        let place = self.followers.enter(&call).map_err(Error::Followers)?;
        let watched = term.feed.watch(from.map(cursor), slice_of(shard), term.ended.clone()).await;
        let follower = watched.map_err(Error::from)?;
        // Pulled by the client: the next range is read when the client can take it.
        let ranges = try_unfold(
            (follower, place, called),
            |(mut follower, place, called): (Follower, LongStream, Called)| async move {
                let next = follower.next().await.map_err(Error::from)?;
                let members_on = still_allowed(&called)?;
                Ok(next.map(|range| (feed_range(range, members_on).into(), (follower, place, called))))
            },
        );
        Ok(Response::new(ranges.boxed()))
    }

    type LoadStream = BoxStream<'static, Result<pb::LoadResponse, Status>>;

    async fn load(&self, request: Request<pb::LoadRequest>) -> Result<Response<Self::LoadStream>, Status> {
        let (call, called) = (Call::of(&request), Called::of(&request)?);
        let shard: ShardIdentity = request.into_inner().try_into()?;
        let term = term(&self.current)?;
        let place = self.followers.enter(&call).map_err(Error::Followers)?;
        let members_on = still_allowed(&called)?;
        let (store, ended) = (term.application.store(), term.ended.clone());
        let loader = Loader::new(store, term.feed.admit(), shard, members_on, ended)?;
        let ends_at = Instant::now() + self.load_max;
        let parts =
            try_unfold((loader, place), move |(mut loader, place): (Loader, LongStream)| async move {
                let part = deadline::within(ends_at, async { Ok(loader.next().await?) }).await?;
                Ok(part.map(|part| (part.into(), (loader, place))))
            });
        Ok(Response::new(parts.boxed()))
    }

    type ReadDirectoryStream = BoxStream<'static, Result<pb::ReadDirectoryResponse, Status>>;

    async fn read_directory(
        &self,
        request: Request<pb::ReadDirectoryRequest>,
    ) -> Result<Response<Self::ReadDirectoryStream>, Status> {
        let called = Called::of(&request)?;
        let DirectoryRequest { have, wait } = request.into_inner().try_into()?;
        let term = term(&self.current)?;
        let log = id_to_model(term.feed.log_id());
        let mut history = term.application.history();
        // A change that was undone by a later one leaves the rows unchanged, but not the sequence.
        let state =
            |newest: &Directory| DirectoryAt { log, sequence: newest.sequence(), digest: newest.digest() };
        let is_new = |newest: &Directory| have != Some(state(newest));
        // A stopped term and a timeout mean about the same: the bank stops, or another bank leads.
        let waited = tokio::time::timeout(wait, history.wait_for(|states| is_new(states.newest())));
        tokio::select! {
            biased;
            () = term.ended.cancelled() => return Err(Error::Stopping.into()),
            _ = waited => {}
        }
        still_allowed(&called)?;
        caught_up(&term).await?;
        let states = history.borrow().clone();
        let newest = states.newest();
        let state = state(newest);
        let before = have.filter(|have| have.log == log).and_then(|have| states.with_digest(have.digest));
        let parts = match before {
            Some(before) => directory_parts(false, newest.difference_from(before), state),
            None => directory_parts(true, newest.all(), state),
        };
        Ok(Response::new(iter(parts.into_iter().map(Ok)).boxed()))
    }
}

/// The longest wait until a serving bank shows what it has committed.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);
/// The interval between two checks.
const CATCH_UP_EVERY: Duration = Duration::from_millis(5);

/// Waits until this bank shows everything that is in the store now. A bank that was superseded without its
/// knowledge never does: its directory must not be taken for a fresh one.
async fn caught_up(term: &Term) -> Result<(), Error> {
    let stored = term.application.store().head().await.map_err(|error| Error::from_read(&error))?.sequence;
    let until = Instant::now() + CATCH_UP_MAX;
    while term.feed.head() < stored {
        if Instant::now() >= until {
            return Err(Error::Standby);
        }
        tokio::time::sleep(CATCH_UP_EVERY).await;
    }
    Ok(())
}

/// Returns whether there are members, if the caller may still follow the log; otherwise a refusal. A stream
/// outlives the rights with which it began.
fn still_allowed(called: &Called) -> Result<bool, Status> {
    let view = called.view()?;
    called.admitted(&view)?;
    Ok(view.directory().is_on())
}
