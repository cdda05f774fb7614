//! The clients that are accepted, the clients that are refused, and the log of refusals.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vigie_serving::ServingConfig;
use vigie_tls::dev_ca::{Leaf, Validity};
use vigie_tls::{ClientCertificates, TlsConfig};

use crate::server::{Client, Server, ca, logged};

#[tokio::test]
async fn a_client_of_the_same_authority_is_taken() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let (taken, here) = server.takes(&server.client(Some(&leaf))).await;
    taken.unwrap();
    assert!(logged(&format!("peer={here} ")).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    server.check_refused(None, "the client shows no certificate", "CertificateRequired").await;
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let leaf = ca(elsewhere.path()).client("platform", Validity::days(1)).unwrap();
    server.check_refused(Some(&leaf), "of an unknown authority", "UnknownCA").await;
    server.stop().await;
}

#[tokio::test]
async fn the_authority_of_clients_is_not_the_one_of_servers_where_another_is_named() {
    let elsewhere = tempfile::tempdir().unwrap();
    let other = ca(elsewhere.path());
    let of_clients = |config: &mut TlsConfig| config.client_ca = Some(other.certificate());
    let server = Server::start(of_clients, ServingConfig::default().without_lame_duck()).await;
    let leaf = other.client("platform", Validity::days(1)).unwrap();
    server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    server.check_refused(Some(&leaf), "of an unknown authority", "UnknownCA").await;
    server.stop().await;
}

#[tokio::test]
async fn who_is_not_among_the_names_of_clients_is_refused_and_the_log_says_so() {
    let names = ["spiffe://vigie.dev/frontend", "matcher.vigie.internal"].map(str::to_owned);
    let named = |config: &mut TlsConfig| config.client_names = names.to_vec();
    let server = Server::start(named, ServingConfig::default().without_lame_duck()).await;
    let frontend = server.ca.client("frontend", Validity::days(1)).unwrap();
    let matcher = server.ca.server(&names[1..], Validity::days(1)).unwrap();
    for leaf in [frontend, matcher] {
        server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    }
    assert_eq!(server.load.refused().handshakes, 0);
    // Refused: a longer name, a certificate that the same authority signed for a host, and no certificate.
    let longer = server.ca.client("frontend/2", Validity::days(1)).unwrap();
    let host = server.ca.server(&["127.0.0.1".to_owned()], Validity::days(1)).unwrap();
    for (leaf, name) in [(longer, "spiffe://vigie.dev/frontend/2"), (host, "no name")] {
        let (taken, here) = server.takes(&server.client(Some(&leaf))).await;
        assert!(taken.is_err(), "{name}");
        server.check_logged(here, &format!("not among client_names: its certificate says {name}")).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::expired()).unwrap();
    server.check_refused(Some(&leaf), "certificate has expired", "CertificateExpired").await;
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let from = SystemTime::now() + Duration::from_secs(3_600);
    let later = Validity { from, until: from + Duration::from_secs(3_600) };
    let leaf = server.ca.client("platform", later).unwrap();
    server.check_refused(Some(&leaf), "certificate is not valid yet", "CertificateExpired").await;
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_for_clients_is_refused_and_the_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let file = folder.path().join(name);
        std::fs::write(&file, format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")).unwrap();
        file
    };
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pair = KeyPair::generate().unwrap();
    let authority = file("ca.crt", "CERTIFICATE", params.self_signed(&pair).unwrap().der());
    let issuer = Issuer::new(params, pair);
    let leaf_for = |purpose: ExtendedKeyUsagePurpose| {
        let mut params = CertificateParams::new(["platform.example".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let pair = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&pair, &issuer).unwrap();
        Leaf {
            certificate: file("leaf.crt", "CERTIFICATE", certificate.der()),
            key: file("leaf.key", "PRIVATE KEY", &pair.serialize_der()),
        }
    };
    let of_clients = |config: &mut TlsConfig| config.client_ca = Some(authority);
    let server = Server::start(of_clients, ServingConfig::default().without_lame_duck()).await;
    let leaf = leaf_for(ExtendedKeyUsagePurpose::ClientAuth);
    server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    let leaf = leaf_for(ExtendedKeyUsagePurpose::ServerAuth);
    server.check_refused(Some(&leaf), "it is not for clients", "").await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_offer_http_2_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let offers: [&[&[u8]]; 2] = [&[], &[b"http/1.1"]];
    for protocols in offers {
        let client = Client::new(&server.ca, Some(&leaf), protocols);
        let (taken, here) = server.takes(&client).await;
        assert!(taken.is_err(), "{protocols:?}");
        server.check_logged(here, "the client does not offer HTTP/2").await;
    }
    let both = Client::new(&server.ca, Some(&leaf), &[b"http/1.1", b"h2"]);
    server.takes(&both).await.0.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn where_certificates_are_optional_none_is_taken_and_a_bad_one_is_not() {
    let optional = |config: &mut TlsConfig| config.client_certificates = ClientCertificates::Optional;
    let server = Server::start(optional, ServingConfig::default().without_lame_duck()).await;
    server.takes(&server.client(None)).await.0.unwrap();
    let leaf = server.ca.client("platform", Validity::expired()).unwrap();
    server.check_refused(Some(&leaf), "certificate has expired", "CertificateExpired").await;
    server.stop().await;
}

/// A ClientHello of TLS 1.1 (RFC 4346, section 7.4.1.2), which offers one suite of that time.
fn hello_of_tls_1_1(extensions: &[u8]) -> Vec<u8> {
    const VERSION: [u8; 2] = [3, 2];
    let mut hello = VERSION.to_vec();
    hello.extend([7; 32]);
    // No session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    if !extensions.is_empty() {
        hello.extend([0, u8::try_from(extensions.len()).unwrap()]);
        hello.extend(extensions);
    }
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, VERSION[0], VERSION[1], 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[tokio::test]
async fn a_client_that_speaks_tls_1_1_only_gets_an_alert_and_the_log_says_so() {
    const HANDSHAKE_FAILURE: u8 = 40;
    const PROTOCOL_VERSION: u8 = 70;
    // A client of TLS 1.1 does not send signature algorithms (RFC 5246, section 7.4.1.4.1), unless it is a
    // newer one that is configured to speak no later version than that.
    let signature_algorithms = [0, 13, 0, 4, 0, 2, 4, 3];
    let server = Server::strict().await;
    for (extensions, alert) in [([].as_slice(), HANDSHAKE_FAILURE), (&signature_algorithms, PROTOCOL_VERSION)]
    {
        let (mut tcp, here) = server.tcp().await;
        tcp.write_all(&hello_of_tls_1_1(extensions)).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), tcp.read_to_end(&mut answer)).await;
        read.expect("it is not closed").unwrap();
        // A record of the type alert, with a fatal alert.
        assert_eq!((answer[0], &answer[5..]), (21, [2, alert].as_slice()), "{answer:?}");
        server.check_logged(here, "does not support TLS 1.2 or later").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn plain_text_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let (mut tcp, here) = server.tcp().await;
    tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), tcp.read_to_end(&mut Vec::new())).await;
    closed.expect("it is not closed").unwrap();
    server.check_logged(here, "does not speak TLS").await;
    server.stop().await;
}
