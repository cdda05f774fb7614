//! A revoked right stops working once the maximal age of a directory has passed, on calls and on open
//! streams; and without a fresh directory nothing works.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use vigie_clients::{Code, IdempotencyKey};
use vigie_harness::in_process::soon;
use vigie_model::{Hash, MatchCall, SearchOptions};
use vigie_tests::material::hashed;

use super::{Consortium, until_known};

/// The default maximal age of a directory.
const AGE_MAX: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_fails_on_calls_and_on_an_open_stream() {
    let consortium = Consortium::start(&["acme"]).await;
    let (acme, acme_work) = consortium.team("acme").await;
    let head = acme.bank.log_head(soon()).await.unwrap().sequence;
    until_known(&acme_work, head).await;
    let call = || MatchCall {
        contents: vec![hashed([Hash::md5([1; 16])])],
        options: SearchOptions::default(),
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    // One request every 20 ms on a stream that was opened before the revocation.
    let requests = futures::stream::unfold(0_u64, move |number| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some(((number, call()), number + 1))
    });
    let mut answers = acme_work.matching.match_stream(requests).await.unwrap();
    assert!(answers.next().await.unwrap().unwrap().1.is_ok());
    acme.members.revoke_principal(acme_work.id, IdempotencyKey::random(), soon()).await.unwrap();
    let revoked = Instant::now();
    let refused = loop {
        let (_, answer) = answers.next().await.unwrap().unwrap();
        if let Err(error) = answer {
            break error;
        }
        assert!(revoked.elapsed() < AGE_MAX, "the stream goes on {:?} after", revoked.elapsed());
    };
    assert_eq!(refused.code(), Code::Unauthenticated);
    let call = acme_work.ask(Hash::md5([1; 16]), SearchOptions::default()).await.unwrap_err();
    assert_eq!(call.code(), Code::Unauthenticated);
    // The bank itself always has the newest directory.
    assert_eq!(acme_work.bank.log_head(soon()).await.unwrap_err().code(), Code::Unauthenticated);
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_member_and_a_rotated_key_are_refused_and_a_second_key_works_beside_the_first() {
    let consortium = Consortium::start(&["acme"]).await;
    let (acme, acme_work) = consortium.team("acme").await;
    let rotated = acme
        .members
        .rotate_key(acme_work.id, Duration::from_secs(3_600), None, IdempotencyKey::random(), soon())
        .await
        .unwrap();
    let key = rotated.value.key.unwrap().reveal();
    let second = super::Client::new(&consortium.cluster, acme_work.id, &key);
    until_known(&second, rotated.sequence).await;
    for client in [&acme_work, &second] {
        client.ask(Hash::md5([1; 16]), SearchOptions::default()).await.unwrap();
    }
    let suspend = vigie_consortium::MemberState::Suspended;
    let name = "acme".parse().unwrap();
    let operator = &consortium.operator.members;
    operator.set_member_state(&name, suspend, IdempotencyKey::random(), soon()).await.unwrap();
    let begun = Instant::now();
    loop {
        match second.ask(Hash::md5([1; 16]), SearchOptions::default()).await {
            Err(error) if error.code() == Code::PermissionDenied => break,
            Err(error) => panic!("{error}"),
            Ok(_) => assert!(begun.elapsed() < AGE_MAX, "it goes on {:?} after", begun.elapsed()),
        }
    }
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_credential_fails_every_call_and_the_answer_does_not_say_why() {
    let consortium = Consortium::start(&["acme"]).await;
    let (_, acme_work) = consortium.team("acme").await;
    let sequence = consortium.operator.bank.log_head(soon()).await.unwrap().sequence;
    until_known(&acme_work, sequence).await;
    let other = vigie_credentials::api_key::ApiKey::generate().unwrap().reveal();
    let mut texts = std::collections::BTreeSet::new();
    for bearer in [other.as_str(), "abc.def.ghi", &format!("vgc_frontend_{}", "0".repeat(64))] {
        let wrong = super::Client::new(&consortium.cluster, acme_work.id, bearer);
        for error in [
            wrong.ask(Hash::md5([1; 16]), SearchOptions::default()).await.map(drop).unwrap_err(),
            wrong.bank.log_head(soon()).await.map(drop).unwrap_err(),
            wrong.members.who_am_i(soon()).await.map(drop).unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::Unauthenticated, "{error}");
            texts.insert(error.message().to_owned());
        }
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    consortium.cluster.stop().await.unwrap();
}
