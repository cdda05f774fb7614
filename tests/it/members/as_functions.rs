//! Calls to the frontend as a function get the same answers and refusals as calls over a socket.

use bytes::Bytes;
use vigie_clients::{CallError, Code};
use vigie_consortium::PrincipalId;
use vigie_credentials::api_key::ApiKey;
use vigie_harness::in_process::{Calls, Cluster, soon};
use vigie_model::{Hash, SearchOptions};
use vigie_net::Bearer;

use super::{Client, Consortium, until_known};

/// The number of matching items, or the code and the message of a refusal.
type Outcome = Result<usize, (Code, String)>;

/// Makes the same series of calls to a frontend that is called in this way, and returns their outcomes.
async fn outcomes(calls: Calls) -> Vec<Outcome> {
    let cluster = Cluster::start_with(|config| {
        (config.shard_count, config.calls) = (1, calls);
        config.frontend.image_bytes_max = 1_000;
    });
    let consortium = Consortium::on(cluster.await.unwrap(), &["acme"]).await;
    let cluster = &consortium.cluster;
    let (administrator, worker) = consortium.team("acme").await;
    let bank = "known".parse::<vigie_model::BankRef>().unwrap();
    let created = administrator.create_bank(&bank).await;
    let hash = Hash::md5([7; 16]);
    let (_, added) = worker.add(&bank, hash.clone()).await;
    until_known(&worker, created).await;

    let stranger = |key: Option<&str>| {
        let bearer = key.map(|key| Bearer::new(key, "a test").unwrap());
        Client::on(cluster, PrincipalId(0), cluster.callers().clone().bearing(bearer))
    };
    let forged = ApiKey::generate().unwrap().reveal();
    let (nobody, unknown, forger) = (stranger(None), stranger(Some("no-key")), stranger(Some(&forged)));
    let refused = |error: CallError| (error.code(), error.message().to_owned());
    let mut outcomes = Vec::new();
    for client in [&nobody, &unknown, &forger, &administrator, &worker] {
        let options = SearchOptions { min_sequence: added, ..SearchOptions::default() };
        let answer = client.ask(hash.clone(), options).await.map_err(refused);
        outcomes.push(answer.map(|answer| answer.results[0].as_ref().unwrap().found.matches.len()));
    }
    // A message that a layer of the server refuses for its length.
    let too_large = worker.matching.hash(Bytes::from(vec![0; 4 << 20]), soon()).await;
    outcomes.push(too_large.map(|_| 0).map_err(refused));
    consortium.cluster.stop().await.unwrap();
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_as_a_function_ends_as_one_over_a_socket() {
    let over_sockets = outcomes(Calls::OverSockets).await;
    let codes: Vec<_> =
        over_sockets.iter().map(|outcome| outcome.as_ref().map_err(|(code, _)| *code)).collect();
    let denied = Err(Code::Unauthenticated);
    assert_eq!(codes[..4], [denied, denied, denied, Err(Code::PermissionDenied)]);
    assert_eq!(codes[4..], [Ok(&1), Err(Code::InvalidArgument)]);
    assert_eq!(outcomes(Calls::AsFunctions).await, over_sockets);
}
