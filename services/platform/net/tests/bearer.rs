//! The credential of a network is on every call to a service of ours, and nowhere else.
#![expect(clippy::unwrap_used, reason = "it is a test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use vigie_credentials::api_key::ApiKey;
use vigie_net::{Bearer, Network, Target};

/// Notes the headers `Authorization` of each call, and refuses it.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Vec<String>>>>);

impl Notes {
    fn note(&self, request: &Request<HealthCheckRequest>) -> Status {
        let values = request.metadata().get_all("authorization").iter();
        let values = values.map(|value| value.to_str().unwrap().to_owned()).collect();
        self.0.lock().unwrap().push(values);
        Status::unauthenticated("no")
    }

    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(HealthServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        endpoint
    }

    fn take(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[tonic::async_trait]
impl Health for Notes {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Err(self.note(&request))
    }

    type WatchStream = tokio_stream::Pending<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(self.note(&request))
    }
}

#[tokio::test]
async fn every_call_and_every_stream_carries_the_credential_and_no_error_shows_it() {
    let notes = Notes::default();
    let endpoint = notes.serve().await;
    let key = ApiKey::generate().unwrap();
    let (text, id) = (key.reveal(), key.id());
    let network = Network::tcp().bearing(Some(Bearer::new(&text, "a test").unwrap()));
    let target = Target::new("service", &endpoint, &network).unwrap();
    let mut client = HealthClient::new(target.channel());
    let request = HealthCheckRequest::default;
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut caller = client.clone();
    let call = target.call("grpc.health.v1.Health/Check", deadline, request(), |one| caller.check(one));
    let refused = call.await.unwrap_err();
    client.watch(request()).await.unwrap_err();
    assert_eq!(notes.take(), vec![vec![format!("Bearer {}", *text)]; 2]);

    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.credentials(), Some(format!("API key {id} of a test").as_str()));
    let shown = format!("{refused} {refused:?} {target:?} {network:?} {client:?}");
    assert!(!shown.contains(&text[text.len() - 58..]), "{shown}");
}

#[tokio::test]
async fn a_call_without_a_credential_and_one_to_a_foreign_service_carry_none() {
    let notes = Notes::default();
    let endpoint = notes.serve().await;
    let target = Target::new("service", &endpoint, &Network::tcp()).unwrap();
    HealthClient::new(target.channel()).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(target.refused(Code::Unauthenticated, "").credentials(), None);

    let network = Network::tcp().bearing(Some(Bearer::new("a.b.c", "a test").unwrap()));
    let foreign = network.channel_to(&endpoint, Duration::from_secs(5)).unwrap();
    HealthClient::new(foreign).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(notes.take(), [[""; 0], []]);
}
