//! A service for the tests and examples of this crate, written by hand: a server knows no contract of the
//! project.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use prost_types::{MethodDescriptorProto, ServiceDescriptorProto};
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::server::{NamedService, StreamingService, UnaryService};
use tonic::transport::Channel;
use tonic::{IntoRequest, IntoStreamingRequest, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use vigie_serving::Reflection;

/// The one message, for requests and answers.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Blob {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) content: Bytes,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// The answers of a stream.
pub(crate) type Answers = Pin<Box<dyn Stream<Item = Result<Blob, Status>> + Send>>;

const NAME: &str = "test.v1.BlobService";
/// The method that answers at once.
pub(crate) const PING: &str = "/test.v1.BlobService/Ping";
pub(crate) const PUT: &str = "/test.v1.BlobService/Put";
const PUT_ALL: &str = "/test.v1.BlobService/PutAll";

/// The methods of the service, except Ping.
#[tonic::async_trait]
pub(crate) trait Blobs: Send + Sync + 'static {
    async fn put(&self, request: Request<Blob>) -> Result<Response<Blob>, Status>;

    async fn put_all(&self, request: Request<Streaming<Blob>>) -> Result<Response<Answers>, Status>;
}

/// The descriptors of the service.
pub(crate) fn reflection() -> Reflection {
    let method = |name: &str, is_stream: bool| MethodDescriptorProto {
        name: Some(name.to_owned()),
        input_type: Some(".test.v1.Blob".to_owned()),
        output_type: Some(".test.v1.Blob".to_owned()),
        client_streaming: Some(is_stream),
        server_streaming: Some(is_stream),
        ..Default::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("BlobService".to_owned()),
        method: vec![method("Ping", false), method("Put", false), method("PutAll", true)],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("blobs.proto".to_owned()),
        package: Some("test.v1".to_owned()),
        message_type: vec![DescriptorProto { name: Some("Blob".to_owned()), ..Default::default() }],
        service: vec![service],
        ..Default::default()
    };
    let descriptors = FileDescriptorSet { file: vec![file] }.encode_to_vec().leak();
    Reflection { descriptors, roles: &[(NAME, "server of blobs"), ("test.v1.OtherService", "other server")] }
}

/// The server of the service.
pub(crate) struct BlobServer<B>(Arc<B>);

impl<B> BlobServer<B> {
    pub(crate) fn new(blobs: B) -> Self {
        Self(Arc::new(blobs))
    }
}

impl<B> Clone for BlobServer<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Blobs> NamedService for BlobServer<B> {
    const NAME: &'static str = NAME;
}

impl<B: Blobs> tower::Service<http::Request<Body>> for BlobServer<B> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let blobs = Arc::clone(&self.0);
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Blob, Blob>::default());
            Ok(match request.uri().path() {
                PING => grpc.unary(Ping, request).await,
                PUT => grpc.unary(Put(blobs), request).await,
                PUT_ALL => grpc.streaming(PutAll(blobs), request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

struct Ping;

impl UnaryService<Blob> for Ping {
    type Response = Blob;
    type Future = std::future::Ready<Result<Response<Blob>, Status>>;

    fn call(&mut self, _: Request<Blob>) -> Self::Future {
        std::future::ready(Ok(Response::new(Blob::default())))
    }
}

struct Put<B>(Arc<B>);

impl<B: Blobs> UnaryService<Blob> for Put<B> {
    type Response = Blob;
    type Future = Boxed<Result<Response<Blob>, Status>>;

    fn call(&mut self, request: Request<Blob>) -> Self::Future {
        let blobs = Arc::clone(&self.0);
        Box::pin(async move { blobs.put(request).await })
    }
}

struct PutAll<B>(Arc<B>);

impl<B: Blobs> StreamingService<Blob> for PutAll<B> {
    type Response = Blob;
    type ResponseStream = Answers;
    type Future = Boxed<Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<Blob>>) -> Self::Future {
        let blobs = Arc::clone(&self.0);
        Box::pin(async move { blobs.put_all(request).await })
    }
}

/// The client of the service.
#[derive(Clone)]
pub(crate) struct BlobClient(tonic::client::Grpc<Channel>);

impl BlobClient {
    pub(crate) fn new(channel: Channel) -> Self {
        Self(tonic::client::Grpc::new(channel))
    }

    async fn unary(&mut self, path: &'static str, request: Request<Blob>) -> Result<Response<Blob>, Status> {
        self.ready().await?;
        self.0.unary(request, PathAndQuery::from_static(path), ProstCodec::<Blob, Blob>::default()).await
    }

    pub(crate) async fn ping(&mut self) -> Result<Response<Blob>, Status> {
        self.unary(PING, Blob::default().into_request()).await
    }

    pub(crate) async fn put(&mut self, request: impl IntoRequest<Blob>) -> Result<Response<Blob>, Status> {
        self.unary(PUT, request.into_request()).await
    }

    pub(crate) async fn put_all(
        &mut self,
        requests: impl IntoStreamingRequest<Message = Blob>,
    ) -> Result<Response<Streaming<Blob>>, Status> {
        self.ready().await?;
        let (requests, path) = (requests.into_streaming_request(), PathAndQuery::from_static(PUT_ALL));
        self.0.streaming(requests, path, ProstCodec::<Blob, Blob>::default()).await
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unknown(format!("the service is not ready: {error}")))
    }
}
