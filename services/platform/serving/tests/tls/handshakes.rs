//! The bounds of handshakes: their time, their number in all, and their number for each host.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use vigie_serving::ServingConfig;
use vigie_tls::dev_ca::Validity;
use vigie_tls::{Sides, Tls, TlsConfig};

use crate::server::{LOG, Server, ca, config, greet, logged, until};

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off_and_holds_nobody_up() {
    let hasty = |config: &mut TlsConfig| config.handshake_ms_max = 2_000;
    let server = Server::start(hasty, ServingConfig::default().without_lame_duck()).await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let (mut silent, here) = server.tcp().await;
    let begun = Instant::now();
    server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "others wait for it: {:?}", begun.elapsed());
    let closed = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut [0; 1])).await;
    assert!(matches!(closed.expect("it is not closed"), Ok(0) | Err(_)));
    assert!(begun.elapsed() >= Duration::from_millis(1_990));
    server.check_logged(here, "took longer than 2000 ms").await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_after_its_handshake_is_cut_off_and_does_not_hold_the_drain_up() {
    let hasty = |config: &mut TlsConfig| config.handshake_ms_max = 1_000;
    let serving = ServingConfig { drain_ms_max: 60_000, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(hasty, serving).await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let client = server.client(Some(&leaf));
    let secured = async || client.connect("localhost", server.tcp().await.0).await.unwrap();
    let mut silent = secured().await;
    // The server's settings arrive, and then the end.
    let closed = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut Vec::new())).await;
    let _either = closed.expect("it is not closed");
    until("its place is free", || server.load.connections() == 0).await;

    // A client that sends its bytes by drops has no more time.
    let mut dripping = secured().await;
    let begun = Instant::now();
    let drip = async {
        while dripping.write_all(b"P").await.is_ok() && dripping.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), drip).await.expect("it is not closed");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());

    let silent = secured().await;
    until("a connection", || server.load.connections() == 1).await;
    server.stop().await;
    drop(silent);
}

#[tokio::test]
async fn one_handshake_too_many_is_closed_as_it_comes() {
    let one = |config: &mut TlsConfig| config.handshakes_max = 1;
    let server = Server::start(one, ServingConfig::default().without_lame_duck()).await;
    let (silent, _) = server.tcp().await;
    until("a handshake under way", || server.load.connections() == 1).await;
    let (mut second, here) = server.tcp().await;
    let closed = tokio::time::timeout(Duration::from_secs(5), second.read(&mut [0; 1])).await;
    assert!(matches!(closed.expect("it is not closed"), Ok(0) | Err(_)));
    server.check_logged(here, "too many handshakes").await;
    drop(silent);
    until("its place is free", || server.load.connections() == 0).await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn one_host_cannot_have_all_handshakes() {
    let sixteen = |config: &mut TlsConfig| config.handshakes_max = 16;
    let server = Server::start(sixteen, ServingConfig::default().without_lame_duck()).await;
    let _silent = (server.tcp().await, server.tcp().await);
    until("handshakes under way", || server.load.connections() == 2).await;
    let (mut third, here) = server.tcp().await;
    let closed = tokio::time::timeout(Duration::from_secs(2), third.read(&mut [0; 1])).await;
    assert!(matches!(closed.expect("it is not closed"), Ok(0) | Err(_)));
    server.check_logged(here, "too many handshakes of its host").await;

    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let client = server.client(Some(&leaf));
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let tcp = elsewhere.connect(server.address).await.unwrap();
    greet(&client, tcp).await.unwrap();
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_refused_has_no_more_time_than_its_handshake() {
    LazyLock::force(&LOG);
    let folder = tempfile::tempdir().unwrap();
    let ca = ca(folder.path());
    let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
    let hasty = TlsConfig { handshake_ms_max: 200, ..config(&ca, &leaf) };
    let tls = Tls::start(hasty, Sides::ServerAndClient).unwrap();
    let (mut here, there) = tokio::io::duplex(1 << 10);
    here.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    let refused = tls.accept(there).await.unwrap_err();
    assert_eq!(refused, vigie_tls::Refused::NotTls);
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_counts_while_it_is_in_its_handshake() {
    let serving = ServingConfig { connections_max: 1, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(|_| {}, serving).await;
    let (silent, _) = server.tcp().await;
    until("a handshake under way", || server.load.connections() == 1).await;
    let (mut second, _) = server.tcp().await;
    let closed = tokio::time::timeout(Duration::from_secs(5), second.read(&mut [0; 1])).await;
    assert!(matches!(closed.expect("it is not closed"), Ok(0) | Err(_)));
    assert_eq!((server.load.refused().connections, server.load.refused().handshakes), (1, 0));
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn one_identity_cannot_have_all_connections_from_however_many_hosts() {
    let serving = ServingConfig { connections_per_identity_max: 2, ..Default::default() };
    let server = Server::start(|_| {}, serving.without_lame_duck()).await;
    let greedy = server.client(Some(&server.ca.client("greedy", Validity::days(1)).unwrap()));
    let mut held = Vec::new();
    for host in [1, 2] {
        let from = tokio::net::TcpSocket::new_v4().unwrap();
        from.bind(([127, 0, 0, host], 0).into()).unwrap();
        held.push(greedy.connect("localhost", from.connect(server.address).await.unwrap()).await.unwrap());
    }
    until("two connections", || server.load.connections() == 2).await;
    let (refused, here) = server.takes(&greedy).await;
    assert!(refused.is_err());
    assert_eq!(server.load.refused().connections_of_identity, 1);
    let lines = logged(&format!("peer={here} "));
    assert!(lines.len() == 1 && lines[0].contains("refused a connection"), "{lines:?}");
    assert!(lines[0].contains("the client spiffe://vigie.dev/greedy has 2 connections"), "{lines:?}");

    let modest = server.ca.client("modest", Validity::days(1)).unwrap();
    server.takes(&server.client(Some(&modest))).await.0.unwrap();
    drop(held);
    until("they are free", || server.load.connections() == 0).await;
    server.takes(&greedy).await.0.unwrap();
    server.stop().await;
}
