//! An endpoint of a service, and calls to it with deadlines.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tonic::{Code, Request, Response, Status, TimeoutExpired};
use vigie_rpc::{Priority, deadline, priority};
use vigie_telemetry::trace::{self, Span};
use vigie_tls::is_for_good;

use crate::bearer::Bearer;
use crate::channel::{Channel, DirectChannel};
use crate::endpoint::{self, EndpointError};
use crate::error::{CallError, with_causes};
use crate::network::Network;
use crate::notice::{Notice, Wait};

/// A service at one endpoint. Connects at the first call, and again whenever the connection is lost.
#[derive(Debug, Clone)]
pub struct Target {
    service: &'static str,
    endpoint: Arc<str>,
    channel: Channel,
    direct: DirectChannel,
    /// The name of the credentials of calls, for messages.
    credentials: Option<Arc<str>>,
    /// The credential of the party for whom calls are made, if the network has none.
    bearer: Option<Bearer>,
    notice: Option<Notice>,
}

impl Target {
    /// Returns the target for `service`, which is the name in errors, at `endpoint` on a network.
    ///
    /// # Errors
    ///
    /// The text is no endpoint.
    pub fn new(service: &'static str, endpoint: &str, network: &Network) -> Result<Self, EndpointError> {
        let (settings, endpoint) = (endpoint::settings(endpoint)?, Arc::from(endpoint));
        let (channel, credentials) =
            (network.channel(&endpoint, &settings), network.credentials(settings.uri()));
        let direct = DirectChannel::new(settings.uri(), network);
        let notice = network.notice().cloned();
        let bearer = None;
        Ok(Self { service, endpoint, channel, direct, credentials, bearer, notice })
    }

    /// Returns the same endpoint and connection, on which calls of one message carry this credential, unless
    /// the network has its own.
    #[must_use]
    pub fn bearing(self, bearer: Option<Bearer>) -> Self {
        Self { bearer, ..self }
    }

    /// Returns the endpoint's address.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the channel, for the service's generated client.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Returns another channel, for calls of one message each, on which they cost much less.
    #[must_use]
    pub fn direct_channel(&self) -> DirectChannel {
        self.direct.clone()
    }

    /// Sends `message` to a method, such as `package.Service/Method`, and waits for the answer until
    /// `deadline`.
    pub async fn call<Q, A, F>(
        &self,
        method: &'static str,
        deadline: Instant,
        message: Q,
        send: impl FnOnce(Request<Q>) -> F,
    ) -> Result<A, CallError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.call_as(method, Priority::Interactive, deadline, message, send).await
    }

    /// Sends a call as [`Target::call`] does, with any priority. Within a trace the call has a span, whose
    /// context is sent to the service.
    pub async fn call_as<Q, A, F>(
        &self,
        method: &'static str,
        priority: Priority,
        deadline: Instant,
        message: Q,
        send: impl FnOnce(Request<Q>) -> F,
    ) -> Result<A, CallError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let begun = Instant::now();
        let passed_on = deadline::passed_on(deadline.saturating_duration_since(begun));
        let mut request = Request::new(message);
        request.set_timeout(passed_on);
        priority::write(priority, request.metadata_mut());
        if let Some(bearer) = &self.bearer {
            bearer.write(request.metadata_mut().as_mut());
        }
        let mut span = match trace::current() {
            Some(context) => context.client(method, &self.endpoint),
            None => Span::none(),
        };
        if let Some(context) = span.context() {
            context.write(request.metadata_mut().as_mut());
        }
        let sent = tokio::time::timeout_at(deadline, send(request));
        let outcome = match &self.notice {
            None => sent.await,
            Some(notice) => notice.over(sent, || self.wait(deadline)).await,
        };
        let ended = self.ended(outcome, begun + passed_on);
        span.ended_with(ended.as_ref().map_or_else(CallError::code, |_| Code::Ok));
        ended
    }

    fn wait(&self, deadline: Instant) -> Wait<'_> {
        let left = deadline.saturating_duration_since(Instant::now());
        Wait { service: self.service, endpoint: &self.endpoint, left, failure: None }
    }

    /// Returns the outcome of a call whose service had time until `passed_on`.
    fn ended<A>(
        &self,
        outcome: Result<Result<Response<A>, Status>, Elapsed>,
        passed_on: Instant,
    ) -> Result<A, CallError> {
        match outcome {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            // tonic's server answers `CANCELLED` to a call that exceeds the timeout passed on to it. No
            // caller here cancels a call and then reads its status.
            Ok(Err(status)) if status.code() == Code::Cancelled && Instant::now() >= passed_on => {
                Err(self.failed(too_late()))
            }
            Ok(Err(status)) => Err(self.failed(status)),
            Err(_) => Err(self.failed(too_late())),
        }
    }

    /// Returns the error of a call that ended with `status`.
    ///
    /// A connection that broke during the call is an outage, whatever code tonic gives it (unknown, internal
    /// or cancelled): the caller may try elsewhere, or again. tonic also uses "cancelled" when its own copy
    /// of the timeout ran out, which is a deadline that has passed.
    #[must_use]
    pub fn failed(&self, status: Status) -> CallError {
        let source = std::error::Error::source(&status);
        let for_good = source.is_some_and(is_for_good);
        let (status, broke) = match source {
            Some(source) if is_timeout(source) => (too_late(), false),
            Some(source) if status.code() != Code::Unavailable => {
                (Status::unavailable(format!("the connection broke: {}", with_causes(source))), true)
            }
            Some(_) => (status, true),
            None => (status, false),
        };
        let error = CallError::new(self.service, Arc::clone(&self.endpoint), status)
            .with_credentials(self.credentials.clone());
        if broke { error.of_the_connection(for_good) } else { error }
    }

    /// Returns the error of a call that was not made.
    #[must_use]
    pub fn refused(&self, code: Code, message: &str) -> CallError {
        self.failed(Status::new(code, message))
    }

    /// Returns the error of an answer that is invalid in this way.
    #[must_use]
    pub fn unreadable(&self, fault: &dyn Display) -> CallError {
        self.failed(Status::internal(format!("the answer is invalid: {fault}")))
    }
}

/// Returns whether the channel's own timer ran out. The transport's error may wrap the timer's error.
fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| cause.is::<TimeoutExpired>())
}

fn too_late() -> Status {
    Status::deadline_exceeded("no answer within the deadline")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tonic::transport::server::TcpIncoming;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::health_server::{Health, HealthServer};
    use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

    use super::*;

    /// A service that never answers.
    struct Silent;

    #[tonic::async_trait]
    impl Health for Silent {
        async fn check(
            &self,
            _: Request<HealthCheckRequest>,
        ) -> Result<Response<HealthCheckResponse>, Status> {
            std::future::pending().await
        }

        type WatchStream = tokio_stream::Pending<Result<HealthCheckResponse, Status>>;

        async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
            Ok(Response::new(tokio_stream::pending()))
        }
    }

    /// Checks that late calls end with `DEADLINE_EXCEEDED`. It is random which timer ends first: the
    /// server's, the channel's or the caller's.
    async fn check_late(at: SocketAddr) {
        let target = Target::new("service", &format!("http://{at}"), &Network::tcp()).unwrap();
        for _ in 0..20 {
            let (message, deadline) =
                (HealthCheckRequest::default(), Instant::now() + Duration::from_millis(20));
            let mut client = HealthClient::new(target.channel());
            let call = target
                .call("grpc.health.v1.Health/Check", deadline, message, |request| client.check(request));
            let error = call.await.unwrap_err();
            assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
        }
    }

    #[tokio::test]
    async fn a_call_that_is_not_answered_in_time_is_late_and_not_lost() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        check_late(silent.local_addr().unwrap()).await;
    }

    #[tokio::test]
    async fn a_call_that_its_server_cuts_off_in_time_is_late_and_not_cancelled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(HealthServer::new(Silent));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        check_late(at).await;
    }
}
