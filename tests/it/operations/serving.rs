//! What operators rely on: health and reflection.

use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use vigie_harness::in_process::Cluster;

async fn connect(url: String) -> Channel {
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_tells_its_health_and_its_services() {
    let cluster = Cluster::start().await.unwrap();
    let roles = [
        (cluster.frontend_url(), "vigie.matching.v1.MatchService"),
        (cluster.coordinator_url(), "vigie.coordinator.v1.CoordinatorService"),
        (cluster.matcher_url(0), "vigie.matcher.v1.MatcherService"),
        (cluster.bank_url(), "vigie.bank.v1.BankService"),
        (cluster.bank_url(), "vigie.bank.v1.FeedService"),
    ];
    for (url, service) in roles {
        let channel = connect(url).await;
        for name in ["", service] {
            let request = HealthCheckRequest { service: name.to_owned() };
            let answer = HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
        }
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut answers = ServerReflectionClient::new(channel)
            .server_reflection_info(tokio_stream::once(request))
            .await
            .unwrap()
            .into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(listed) = answer else { panic!("not a list: {answer:?}") };
        assert!(listed.service.iter().any(|one| one.name == service), "{service} is not listed");
    }
    cluster.stop().await.unwrap();
}
