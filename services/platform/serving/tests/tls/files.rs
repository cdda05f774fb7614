//! Certificates and authorities that are replaced while the server runs, and faults of the configuration.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::Instant;
use vigie_tls::dev_ca::{DevCa, Validity};
use vigie_tls::{ClientCertificates, Sides, TlsConfig};

use crate::server::{Server, ca, config, logged, until};

#[tokio::test]
async fn a_broken_new_certificate_leaves_the_old_one_in_use_and_is_logged_once() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let client = server.client(Some(&leaf));
    let certificate = server.leaf.certificate.display().to_string();
    let warnings = |fault: &str| logged(&certificate).iter().filter(|line| line.contains(fault)).count();

    // A certificate of another key: the replacement is half done.
    replace(&server.leaf.certificate, &std::fs::read(&leaf.certificate).unwrap());
    until("the warning", || warnings("does not belong to the certificate") == 1).await;
    server.takes(&client).await.0.unwrap();
    // Another fault is logged too.
    replace(&server.leaf.certificate, b"nothing of the kind");
    until("the warning", || warnings("holds no certificate in PEM") == 1).await;
    server.takes(&client).await.0.unwrap();
    // A certificate that has expired, and one that is not valid yet.
    let signed = |validity: Validity| {
        let leaf = ca(server.folder.path()).server(&["renewed".to_owned()], validity).unwrap();
        replace(&server.leaf.key, &std::fs::read(&leaf.key).unwrap());
        replace(&server.leaf.certificate, &std::fs::read(&leaf.certificate).unwrap());
    };
    signed(Validity::expired());
    until("the warning", || warnings("holds a certificate that has expired") == 1).await;
    server.takes(&client).await.0.unwrap();
    let from = SystemTime::now() + Duration::from_secs(3_600);
    signed(Validity { from, until: from + Duration::from_secs(3_600) });
    until("the warning", || warnings("holds a certificate that is not valid yet") == 1).await;
    server.takes(&client).await.0.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let all = [warnings("holds no certificate"), warnings("has expired"), warnings("not valid yet")];
    assert_eq!(all, [1, 1, 1], "at each look again");
    // A valid certificate is taken.
    let renewed = ca(server.folder.path()).server(&["localhost".to_owned()], Validity::days(2)).unwrap();
    assert_eq!(renewed, server.leaf);
    let pem = std::fs::read(&renewed.certificate).unwrap();
    let shown = || async {
        let stream = client.connect("localhost", server.tcp().await.0).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while shown().await != der(&pem) {
        assert!(Instant::now() < deadline, "the new certificate is not taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.stop().await;
}

/// Replaces a file at once, so that no reader sees half of it.
fn replace(file: &Path, content: &[u8]) {
    let new = file.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn der(pem: &[u8]) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem).unwrap().to_vec()
}

#[tokio::test]
async fn an_authority_that_is_taken_away_is_trusted_no_more() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    // The client goes on trusting the server.
    let client = server.client(Some(&leaf));
    server.takes(&client).await.0.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = ca(elsewhere.path());
    replace(&server.ca.certificate(), &std::fs::read(other.certificate()).unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    let here = loop {
        let (taken, here) = server.takes(&client).await;
        if taken.is_err() {
            break here;
        }
        assert!(Instant::now() < deadline, "it is trusted still");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    server.check_logged(here, "of an unknown authority").await;
    server.stop().await;
}

#[test]
fn faults_of_the_configuration_name_the_field_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let ca = ca(folder.path());
    let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
    let other = ca.server(&["other".to_owned()], Validity::days(1)).unwrap();
    let good = || config(&ca, &leaf);
    let faults = |config: TlsConfig| config.faults(Sides::ServerAndClient);
    let check = |config: TlsConfig, field: &str, what: &str| {
        let faults = faults(config);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(&format!("{field}: ")) && faults[0].contains(what), "{faults:?}");
    };
    assert_eq!(faults(good()), Vec::<String>::new());
    check(TlsConfig { key: Some(other.key.clone()), ..good() }, "key", "does not belong to the certificate");
    check(TlsConfig { key: Some(leaf.certificate.clone()), ..good() }, "key", "holds no private key");
    check(TlsConfig { key: None, ..good() }, "key", "is missing");
    check(TlsConfig { certificate: None, ..good() }, "certificate", "is missing");
    check(TlsConfig { ca: Some(leaf.key.clone()), ..good() }, "ca", "holds no certificate");
    check(TlsConfig { ca: None, ..good() }, "client_ca", "is missing");
    let nowhere = folder.path().join("nowhere");
    check(TlsConfig { client_ca: Some(nowhere.clone()), ..good() }, "client_ca", "nowhere");
    check(TlsConfig { certificate: Some(nowhere), ..good() }, "certificate", "No such file");
    for bad in ["", "Frontend", "a b", "*.vigie.dev", "a..b", "spiffe://", "spiffe://A/b", "https://a/b"] {
        check(TlsConfig { client_names: vec![bad.to_owned()], ..good() }, "client_names", bad);
    }
    let expired = ca.server(&["expired".to_owned()], Validity::expired()).unwrap();
    let expired = || TlsConfig {
        certificate: Some(expired.certificate.clone()),
        key: Some(expired.key.clone()),
        ..good()
    };
    check(expired(), "certificate", "has expired");
    let without_ca = TlsConfig { ca: None, client_ca: Some(ca.certificate()), ..expired() };
    check(without_ca, "certificate", "has expired");
    // The certificate may be of an authority that only its clients know.
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = DevCa::open(elsewhere.path()).unwrap().certificate();
    assert_eq!(faults(TlsConfig { ca: Some(foreign.clone()), ..good() }), Vec::<String>::new());
    check(TlsConfig { ca: Some(foreign), ..expired() }, "certificate", "has expired");
    let named = TlsConfig { client_names: vec!["frontend.vigie.dev".to_owned()], ..good() };
    let optional = ClientCertificates::Optional;
    let unasked = TlsConfig { client_certificates: optional, ..named.clone() };
    check(unasked, "client_names", "required");
    assert_eq!(faults(named), Vec::<String>::new());
    check(TlsConfig { reload_ms: 0, ..good() }, "reload_ms", "at least");
    let open = TlsConfig { ca: None, client_certificates: ClientCertificates::None, ..good() };
    assert_eq!(faults(open), Vec::<String>::new());
    assert_eq!(TlsConfig::default().faults(Sides::Client), Vec::<String>::new());
}
