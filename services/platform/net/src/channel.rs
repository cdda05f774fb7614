//! The channel of every call to a service: what a network's calls carry is added here, where no caller can forget it.

mod direct;

use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tonic::transport::{self, Error};
use tower::Service;

use crate::bearer::Bearer;

pub use direct::DirectChannel;

/// A connection to an endpoint, for generated clients; every call on it, streams too, carries the network's credential. A clone is a
/// handle of the same connection.
#[derive(Debug, Clone)]
pub struct Channel {
    connection: transport::Channel,
    bearer: Option<Bearer>,
}

impl Channel {
    pub(crate) const fn new(connection: transport::Channel, bearer: Option<Bearer>) -> Self {
        Self { connection, bearer }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Error;
    type Future = <transport::Channel as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.connection.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(bearer) = &self.bearer {
            bearer.write(request.headers_mut());
        }
        self.connection.call(request)
    }
}
