//! A principal that calls any method with the protocol's own messages, so that no client checks hostile
//! arguments.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use vigie_clients::{Bearer, Deadline, MatchClient, Network};
use vigie_consortium::Method;
use vigie_net::{Channel, Target};
use vigie_proto::pb::consortium::v1 as pb;

use crate::cluster::{BANK, ONLY_FRONTEND};
use crate::network::{endpoint, network};

/// The time limit of a call; beyond it the call counts as stuck.
const WITHIN: Duration = Duration::from_secs(60);

/// The credential of a principal, and its connections.
#[derive(Clone)]
pub(crate) struct Caller {
    bank: Channel,
    frontend: Channel,
    /// The authorization header; `None` without a credential.
    bearer: Option<MetadataValue<tonic::metadata::Ascii>>,
    network: Network,
}

pub(crate) fn soon() -> Deadline {
    Deadline::now() + WITHIN
}

impl Caller {
    /// Returns a caller with this API key; without a credential if it is empty.
    pub(crate) fn new(key: &str) -> anyhow::Result<Self> {
        let channel = |host| -> anyhow::Result<Channel> {
            Ok(Target::new("a simulated host", &endpoint(host), &network())?.channel())
        };
        let (bearer, network) = if key.is_empty() {
            (None, network())
        } else {
            let bearer = Bearer::new(key, "a simulation").context("a key is no bearer")?;
            (Some(format!("Bearer {key}").parse()?), network().bearing(Some(bearer)))
        };
        Ok(Self { bank: channel(BANK)?, frontend: channel(ONLY_FRONTEND)?, bearer, network })
    }

    /// Returns a client of the frontend with this credential.
    pub(crate) fn matching(&self) -> anyhow::Result<MatchClient> {
        Ok(MatchClient::new_on(&[endpoint(ONLY_FRONTEND)], &self.network)?)
    }

    /// Calls a method whose answer is one message.
    pub(crate) async fn send<Q, A>(&self, method: Method, request: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready(method).await?;
        let path = http::uri::PathAndQuery::from_static(method.path());
        let answer = grpc.unary(self.carried(request), path, ProstCodec::<Q, A>::default()).await?;
        Ok(answer.into_inner())
    }

    /// Calls a method whose answer is a stream, and waits for its first message.
    pub(crate) async fn open<Q, A>(&self, method: Method, request: Q) -> Result<(), Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready(method).await?;
        let path = http::uri::PathAndQuery::from_static(method.path());
        let requests = self.carried(futures::stream::iter([request]));
        let answer = grpc.streaming(requests, path, ProstCodec::<Q, A>::default()).await?;
        answer.into_inner().next().await.transpose().map(drop)
    }

    async fn ready(&self, method: Method) -> Result<Grpc<Channel>, Status> {
        let is_of_frontend = method.path().starts_with("/vigie.matching.");
        let channel = if is_of_frontend { &self.frontend } else { &self.bank };
        let mut grpc = Grpc::new(channel.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }

    fn carried<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(WITHIN);
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request
    }

    /// Creates a principal with a key; a principal of the caller's member if `member` is empty.
    pub(crate) async fn create(&self, member: &str, roles: &[pb::Role]) -> anyhow::Result<Self> {
        let request = || pb::CreatePrincipalRequest {
            member: member.to_owned(),
            roles: roles.iter().map(|role| (*role).into()).collect(),
            credential: Some(pb::create_principal_request::Credential::NewApiKey(true)),
            ..Default::default()
        };
        // The very first call comes before the bank listens.
        for _ in 0..100 {
            match self.send::<_, pb::CreatePrincipalResponse>(Method::CreatePrincipal, request()).await {
                Ok(made) => return Self::new(&made.api_key),
                Err(status) if status.code() == Code::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(status) => return Err(status).context("no principal could be made"),
            }
        }
        bail!("the bank does not come up")
    }
}
