//! Runs an HTTP/1.1 server from its listener to its last answer, on the same bounded connections as a gRPC
//! server.
//!
//! This module bounds the connections, their handshakes, the heads of requests and the drain at the end. The
//! service itself defines what a call is and which limits calls have.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken as Shutdown;
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use vigie_tls::Http;

use crate::authorization::guard::Origin;
use crate::config::ServingConfig;
use crate::connection::any::AnyListener;
use crate::connection::carry::{Carried, Connections, Protocol};
use crate::connection::handshakes::Handshakes;
use crate::connection::limited::limited;
use crate::connection::listener::Listener;
use crate::connection::open_calls::{ConnectionCalls, OpenCall};
use crate::connection::peer::Peer;
use crate::load::Load;
use crate::refusal_log::RefusalLog;
use crate::serve::{drain, limits, seed};

/// Serves HTTP/1.1 until `shutdown`, waits the lame-duck time, stops listening, and answers the accepted
/// requests for at most `drain_ms_max`. Each request has an [`Origin`] among its extensions. Only the limits
/// of connections and the times of `config` are used.
pub async fn serve_http<S>(
    listener: impl Listener,
    service: S,
    load: Load,
    config: &ServingConfig,
    shutdown: Shutdown,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let listener = AnyListener::new(listener);
    let tls = listener.tls().cloned();
    let (draining, refusals) = (Shutdown::new(), RefusalLog::default());
    let (limits, seed) = (limits(config), seed(listener.address()));
    let incoming = limited(listener.incoming(), AnyListener::peer, limits, load.clone(), refusals.clone());
    let incoming =
        Handshakes::new(incoming, tls, Http::One, load.clone(), AnyListener::peer, refusals.clone());
    let service = Counted { inner: service };
    let carried = Carried { protocol: Protocol::http1(), seed, of_identity_max: limits.of_identity };
    let mut connections =
        Connections::new(service, carried, config, draining.clone(), load, refusals.clone());
    let serving = async move {
        {
            let mut accepting = std::pin::pin!(connections.accept(incoming));
            tokio::select! {
                () = &mut accepting => return,
                () = shutdown.cancelled() => {}
            }
            tokio::select! {
                () = &mut accepting => return,
                () = tokio::time::sleep(config.lame_duck()) => {}
            }
        }
        draining.cancel();
        drain(&mut connections, config).await;
    };
    tokio::select! {
        () = serving => {}
        () = refusals.log_left_out() => {}
    }
}

/// Counts each call as open until its answer has ended, and adds the call's [`Origin`] to its extensions.
#[derive(Debug, Clone)]
struct Counted<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let open = request.extensions().get::<ConnectionCalls>().map(ConnectionCalls::enter);
        let origin = request.extensions().get::<Peer>().map(Origin::of).unwrap_or_default();
        request.extensions_mut().insert(origin);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| match open {
                Some(open) => Body::new(CountedBody { body, open: Some(open) }),
                None => body,
            }))
        })
    }
}

pin_project! {
    /// The body of an answer. The call stays open until the body has ended or is dropped.
    struct CountedBody {
        #[pin]
        body: Body,
        open: Option<OpenCall>,
    }
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let polled = this.body.poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            *this.open = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
