//! The services that operators rely on: health, reflection, and errors that name the role which has a
//! service.

use std::collections::BTreeSet;

use http_body_util::BodyExt as _;
use prost::Message as _;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use vigie_harness::in_process::Cluster;
use vigie_net::{Channel, Network, Target};
use vigie_proto::ROLES;

/// The services that every server has.
const SHARED: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Returns a channel to a server of each role.
async fn servers(cluster: &Cluster) -> Vec<(&'static str, Channel)> {
    let urls = [
        ("frontend", cluster.frontend_url()),
        ("coordinator", cluster.coordinator_url()),
        ("matcher", cluster.matcher_url(0)),
        ("bank", cluster.bank_url()),
    ];
    let mut servers = Vec::new();
    for (role, url) in urls {
        // A matcher accepts only processes of its cluster.
        let network = if role == "matcher" { cluster.network().clone() } else { Network::tcp() };
        servers.push((role, Target::new(role, &url, &network).unwrap().channel()));
    }
    servers
}

fn services_of(role: &str) -> BTreeSet<String> {
    ROLES.iter().filter(|(_, of)| *of == role).map(|(service, _)| (*service).to_owned()).collect()
}

async fn reflect(channel: Channel, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let answers =
        ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::once(request)).await;
    answers.unwrap().into_inner().message().await.unwrap().unwrap().message_response.unwrap()
}

/// Returns the files that define a symbol, and all files that they import.
async fn resolve(channel: &Channel, symbol: &str) -> Vec<prost_types::FileDescriptorProto> {
    let mut wanted = vec![MessageRequest::FileContainingSymbol(symbol.to_owned())];
    let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(request) = wanted.pop() {
        let asked = format!("{request:?}");
        let answer = reflect(channel.clone(), request).await;
        let MessageResponse::FileDescriptorResponse(found) = answer else { panic!("{asked}: {answer:?}") };
        for encoded in found.file_descriptor_proto {
            let file = prost_types::FileDescriptorProto::decode(&*encoded).unwrap();
            let imports = file.dependency.iter().filter(|name| seen.insert((*name).clone()));
            wanted.extend(imports.map(|name| MessageRequest::FileByFilename(name.clone())));
            files.push(file);
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_reports_its_health_and_lists_what_it_serves_and_nothing_else() {
    let cluster = Cluster::start().await.unwrap();
    for (role, channel) in servers(&cluster).await {
        let served = services_of(role);
        assert!(!served.is_empty(), "{role}");
        for service in served.iter().map(String::as_str).chain([""]) {
            let request = HealthCheckRequest { service: service.to_owned() };
            let answer = HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{role} {service}");
        }
        let answer = reflect(channel, MessageRequest::ListServices(String::new())).await;
        let MessageResponse::ListServicesResponse(listed) = answer else { panic!("not a list: {answer:?}") };
        let listed: BTreeSet<String> = listed.service.into_iter().map(|service| service.name).collect();
        let expected = served.into_iter().chain(SHARED.map(str::to_owned)).collect();
        assert_eq!(listed, expected, "{role}");
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_describes_what_the_details_of_a_status_may_carry() {
    let cluster = Cluster::start().await.unwrap();
    let carried = [
        "google.rpc.Status",
        "google.rpc.BadRequest",
        "google.rpc.RetryInfo",
        "vigie.matching.v1.MatchResponse",
        "vigie.coordinator.v1.SearchResponse",
    ];
    for (role, channel) in servers(&cluster).await {
        for symbol in carried.into_iter().chain(SHARED) {
            let files = resolve(&channel, symbol).await;
            let (package, name) = symbol.rsplit_once('.').unwrap();
            let described = files.iter().filter(|file| file.package() == package).any(|file| {
                file.message_type.iter().any(|message| message.name() == name)
                    || file.service.iter().any(|service| service.name() == name)
            });
            assert!(described, "{role}: {symbol}");
        }
    }
    cluster.stop().await.unwrap();
}

/// Calls a method with an empty message, compressed with gzip.
async fn call_compressed(channel: Channel, path: &str) -> tonic::Status {
    // Ten bytes of header, an empty block, checksum and length (RFC 1952).
    let empty = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0";
    let message = [&[1, 0, 0, 0, 20], &empty[..]].concat();
    let request = http::Request::post(format!("http://vigie{path}"))
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "gzip")
        .body(tonic::body::Body::new(http_body_util::Full::from(message)))
        .unwrap();
    let answer = tower::ServiceExt::oneshot(channel, request).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap();
    tonic::Status::from_header_map(body.trailers().unwrap_or(&head.headers)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_names_the_role_that_has_an_absent_service() {
    let cluster = Cluster::start().await.unwrap();
    for (role, channel) in servers(&cluster).await {
        for (service, of) in ROLES {
            let status = call_compressed(channel.clone(), &format!("/{service}/Nothing")).await;
            let expected = if *of == role {
                format!("{service} has no method `Nothing`")
            } else {
                format!("{service} is served by the {of}; this is the {role}")
            };
            assert_eq!((status.code(), status.message()), (Code::Unimplemented, &*expected));
        }
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_reads_compressed_requests() {
    let cluster = Cluster::start().await.unwrap();
    let methods = [
        ("frontend", "/vigie.matching.v1.MatchService/Match", Code::InvalidArgument),
        ("coordinator", "/vigie.coordinator.v1.CoordinatorService/Search", Code::InvalidArgument),
        ("matcher", "/vigie.matcher.v1.MatcherService/Describe", Code::Ok),
        ("bank", "/vigie.bank.v1.BankService/ListBanks", Code::Ok),
    ];
    for ((role, channel), (of, method, code)) in servers(&cluster).await.into_iter().zip(methods) {
        assert_eq!(role, of);
        let status = call_compressed(channel, method).await;
        // The empty message was decompressed: where a field is required, the caller gets that error.
        assert_eq!(status.code(), code, "{method}: {status}");
    }
    cluster.stop().await.unwrap();
}
