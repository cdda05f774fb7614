//! Every method of every server is guarded: a caller without the right is refused before its request is read.

use tonic::{Code, Request};
use tonic_prost::ProstCodec;
use vigie_consortium::{Method, Role};
use vigie_harness::in_process::Cluster;

use super::{Client, Consortium};

/// Calls a method with an empty message, and returns the code of the answer or of its first message.
async fn call(client: &Client, url: &str, method: Method) -> Code {
    let channel = vigie_net::Target::new("server", url, &client.network).unwrap().channel();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| error.to_string()).unwrap();
    let path = http::uri::PathAndQuery::from_static(method.path());
    let requests = futures::stream::iter([()]);
    let answered = grpc.streaming(Request::new(requests), path, ProstCodec::<(), ()>::default()).await;
    let first = match answered {
        Ok(mut answered) => {
            let first = answered.get_mut().message();
            // An open stream means that the call was accepted.
            tokio::time::timeout(std::time::Duration::from_millis(300), first)
                .await
                .unwrap_or(Ok(None))
                .map(drop)
        }
        Err(status) => Err(status),
    };
    first.map_or_else(|status| status.code(), |()| Code::Ok)
}

/// Returns whether a caller was accepted, whatever the result of the empty request.
fn is_let_in(code: Code) -> bool {
    !matches!(code, Code::Unauthenticated | Code::PermissionDenied)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_lets_in_whom_the_table_of_rights_names() {
    let cluster = Cluster::start_with(|config| {
        (config.shard_count, config.classifier) = (2, Some(vigie_classifier::Config::default()));
    });
    let consortium = Consortium::on(cluster.await.unwrap(), &["acme"]).await;
    let cluster = &consortium.cluster;
    let classifier_url = cluster.classifier_url().unwrap();
    let administrator = consortium.operator.create(cluster, Some("acme"), &[Role::Administrator]).await;
    let mut callers = vec![
        (Some(Role::Operator), consortium.operator.clone()),
        (Some(Role::Administrator), administrator.clone()),
    ];
    for role in [Role::Matcher, Role::Contributor, Role::Reviewer, Role::Auditor] {
        callers.push((Some(role), administrator.create(cluster, None, &[role]).await));
    }
    callers
        .push((None, Client::on(cluster, vigie_consortium::PrincipalId(0), vigie_clients::Network::tcp())));
    let sequence = consortium.operator.bank.log_head(super::soon()).await.unwrap().sequence;
    super::until_known(&callers[2].1, sequence).await;
    let for_anyone = *Method::ALL.iter().find(|method| method.is_for_anyone()).unwrap();
    for (_, client) in &callers {
        // The coordinator and the classifier follow the directory separately.
        for url in [&cluster.coordinator_url(), &classifier_url] {
            while !is_let_in(call(client, url, for_anyone).await) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
    let mut cells = 0;
    for method in Method::ALL {
        let service = method.path().split('/').nth(1).unwrap();
        let urls = match vigie_proto::ROLES.iter().find(|(served, _)| *served == service) {
            Some((_, "frontend")) => vec![cluster.frontend_url()],
            Some((_, "coordinator")) => vec![cluster.coordinator_url()],
            Some((_, "matcher")) => vec![cluster.matcher_url(0)],
            Some((_, "bank")) => vec![cluster.bank_url()],
            Some((_, "classifier")) => vec![classifier_url.clone()],
            // Health and reflection are on every server.
            _ => {
                assert!(method.is_for_anyone(), "{method} is nobody's");
                vec![
                    cluster.frontend_url(),
                    cluster.coordinator_url(),
                    cluster.matcher_url(0),
                    cluster.bank_url(),
                    classifier_url.clone(),
                ]
            }
        };
        for url in urls {
            for (role, client) in &callers {
                let of_processes = url == cluster.matcher_url(0);
                let code = call(client, &url, *method).await;
                let expected = if method.is_for_anyone() {
                    // Servers that accept only processes of the cluster do not know a principal's key.
                    role.is_none() || !of_processes
                } else {
                    !of_processes && role.is_some_and(|role| method.is_open_to(role))
                };
                assert_eq!(is_let_in(code), expected, "{method} at {url} by {role:?}: {code:?}");
                cells += 1;
            }
        }
    }
    assert!(cells > 250, "{cells} cells");
    consortium.cluster.stop().await.unwrap();
}
