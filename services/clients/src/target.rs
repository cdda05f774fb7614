//! Where a service is reached, and how a call to it keeps its deadline.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, TimeoutExpired};
use vigie_model::Priority;
use vigie_proto::{Invalid, priority};
use vigie_telemetry::trace::{self, Span};
use vigie_tls::is_for_good;

use crate::error::{CallError, with_causes};
use crate::network::Network;

/// How long a connection may take. On a local network one that takes longer will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// An idle connection is probed this often, so that a vanished peer is noticed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// And given up when a probe stays unanswered this long.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// What an answer needs to come back: kept from the time that is passed on, a tenth of it at most.
const ANSWER_MARGIN_MAX: Duration = Duration::from_millis(2);

/// One service at one endpoint, connected when first called and again whenever the connection is lost.
#[derive(Debug, Clone)]
pub struct Target {
    service: &'static str,
    endpoint: Arc<str>,
    channel: Channel,
}

/// The text names no endpoint.
#[derive(Debug, Error)]
#[error("`{0}` is no endpoint; write it as http://host:port or https://host:port")]
pub struct TargetError(String);

impl TargetError {
    /// No endpoint was named at all.
    pub(crate) const fn none() -> Self {
        Self(String::new())
    }
}

impl Target {
    pub(crate) fn new(service: &'static str, endpoint: &str, network: &Network) -> Result<Self, TargetError> {
        let channel = network.channel(&Self::at(endpoint)?);
        Ok(Self { service, endpoint: endpoint.into(), channel })
    }

    /// How connections to `endpoint` are made.
    pub(crate) fn at(endpoint: &str) -> Result<Endpoint, TargetError> {
        Ok(parse(endpoint)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20))
    }

    /// Fails where `endpoint` is none.
    pub(crate) fn check(endpoint: &str) -> Result<(), TargetError> {
        parse(endpoint).map(drop)
    }

    /// Where the service is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Sends `message` to a method, such as `package.Service/Method`, and waits for the answer until `deadline`, and for no
    /// longer.
    pub(crate) async fn call<Q, A, F>(
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

    /// The same for a call that may not be urgent. In a trace it has a span, and tells the service of it.
    pub(crate) async fn call_as<Q, A, F>(
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
        let left = deadline.saturating_duration_since(begun);
        let passed_on = left - ANSWER_MARGIN_MAX.min(left / 10);
        let mut request = Request::new(message);
        request.set_timeout(passed_on);
        if let Some(value) = priority::value(priority) {
            request.metadata_mut().insert(priority::HEADER, MetadataValue::from_static(value));
        }
        let mut span = match trace::current() {
            Some(context) => context.client(method, &self.endpoint),
            None => Span::none(),
        };
        if let Some(context) = span.context() {
            context.write(request.metadata_mut().as_mut());
        }
        let ended = self.ended(tokio::time::timeout_at(deadline, send(request)).await, begun + passed_on);
        span.ended_with(ended.as_ref().map_or_else(CallError::code, |_| Code::Ok));
        ended
    }

    /// What comes of a call that was given until `passed_on`.
    fn ended<A>(
        &self,
        outcome: Result<Result<Response<A>, Status>, Elapsed>,
        passed_on: Instant,
    ) -> Result<A, CallError> {
        match outcome {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            // A server of tonic's says so of a call that outlasted the time passed on: nobody here cancels and listens.
            Ok(Err(status)) if status.code() == Code::Cancelled && Instant::now() >= passed_on => {
                Err(self.failed(too_late()))
            }
            Ok(Err(status)) => Err(self.failed(status)),
            Err(_) => Err(self.failed(too_late())),
        }
    }

    /// The error of a call that ended with `status`.
    ///
    /// A connection that broke under the call is an outage, whatever code tonic gives it (unknown, internal or
    /// cancelled): the caller may try elsewhere, or again. Where its own copy of the timeout ran out, tonic says
    /// "cancelled" too.
    pub(crate) fn failed(&self, status: Status) -> CallError {
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
        let error = CallError::new(self.service, Arc::clone(&self.endpoint), status);
        if broke { error.of_the_connection(for_good) } else { error }
    }

    /// The error of a call that was not made.
    pub(crate) fn refused(&self, code: Code, message: &str) -> CallError {
        self.failed(Status::new(code, message))
    }

    pub(crate) fn unreadable(&self, invalid: &Invalid) -> CallError {
        self.failed(CallError::unreadable(invalid))
    }
}

fn parse(endpoint: &str) -> Result<Endpoint, TargetError> {
    let wrong = || TargetError(endpoint.to_owned());
    let parsed = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| wrong())?;
    let uri = parsed.uri();
    let is_endpoint = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if is_endpoint && matches!(uri.path(), "" | "/") { Ok(parsed) } else { Err(wrong()) }
}

/// Whether a call to this endpoint would leave the machine in plain text: `http://`, and anything but a loopback address or
/// `localhost`. What names stand for is for others to say, so every other name counts as far away.
#[must_use]
pub fn is_plaintext_off_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_near = match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    };
    uri.scheme_str() == Some("http") && !is_near
}

/// Whether the channel's own timer ran out: the transport's error may be wrapped around that.
fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| cause.is::<TimeoutExpired>())
}

fn too_late() -> Status {
    Status::deadline_exceeded("no answer within the deadline")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tonic::transport::server::TcpIncoming;
    use vigie_proto::pb::matcher::v1 as pb;
    use vigie_proto::pb::matcher::v1::matcher_service_server::{MatcherService, MatcherServiceServer};

    use super::*;

    #[tokio::test]
    async fn only_a_scheme_a_host_and_a_port_are_an_endpoint() {
        let good =
            ["http://127.0.0.1:7740", "http://matcher-0.matchers:80", "http://[::1]:1/", "https://a:1"];
        for good in good {
            assert!(Target::new("bank", good, &Network::tcp()).is_ok(), "{good}");
        }
        for bad in
            ["", "nonsense", "127.0.0.1:7740", "ftp://a:1", "https://a:1/path", "http://a:1/path", "http://"]
        {
            assert!(Target::new("bank", bad, &Network::tcp()).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_text_stays_on_the_machine_only_by_loopback() {
        for near in ["http://127.0.0.1:1", "http://127.9.9.9:1", "http://[::1]:1", "http://LocalHost:1"] {
            assert!(!is_plaintext_off_loopback(near), "{near}");
        }
        for far in
            ["http://10.0.0.1:1", "http://[::2]:1", "http://0.0.0.0:1", "http://a:1", "http://localhost.x:1"]
        {
            assert!(is_plaintext_off_loopback(far), "{far}");
            assert!(!is_plaintext_off_loopback(&far.replace("http", "https")), "{far}");
        }
    }

    /// A matcher that never answers.
    struct Silent;

    #[tonic::async_trait]
    impl MatcherService for Silent {
        async fn search(
            &self,
            _: Request<pb::SearchRequest>,
        ) -> Result<Response<pb::SearchResponse>, Status> {
            std::future::pending().await
        }

        async fn describe(
            &self,
            _: Request<pb::DescribeRequest>,
        ) -> Result<Response<pb::DescribeResponse>, Status> {
            std::future::pending().await
        }

        type WatchStream = tokio_stream::Pending<Result<pb::WatchResponse, Status>>;

        async fn watch(&self, _: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
            Ok(Response::new(tokio_stream::pending()))
        }
    }

    /// Which clock is first, the server's, the channel's or the caller's, is a matter of chance.
    async fn check_late(at: std::net::SocketAddr) {
        let client = crate::MatcherClient::new(&format!("http://{at}")).unwrap();
        for _ in 0..20 {
            let error = client.describe(Instant::now() + Duration::from_millis(20)).await.unwrap_err();
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
        let server = tonic::transport::Server::builder().add_service(MatcherServiceServer::new(Silent));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        check_late(at).await;
    }
}
