//! The client's side of a handshake.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use vigie_tls::dev_ca::{DevCa, Validity};
use vigie_tls::{Sides, Tls, TlsConfig};

#[tokio::test]
async fn a_server_that_does_not_agree_on_http_2_is_not_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    let ca = DevCa::open(folder.path()).unwrap();
    let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
    let client = Tls::start(TlsConfig { ca: Some(ca.certificate()), ..TlsConfig::default() }, Sides::Client);
    let client = client.unwrap();
    let connect = async |protocols: Vec<Vec<u8>>| {
        let mut server = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(&leaf.certificate).unwrap()],
                PrivateKeyDer::from_pem_file(&leaf.key).unwrap(),
            )
            .unwrap();
        server.alpn_protocols = protocols;
        let (here, there) = tokio::io::duplex(16 << 10);
        let accepted = tokio::spawn(async move { TlsAcceptor::from(Arc::new(server)).accept(there).await });
        let connected = client.connect("localhost", here).await.map(drop);
        let _whatever_it_says = accepted.await.unwrap();
        connected
    };
    connect(vec![b"h2".to_vec()]).await.unwrap();
    let error = connect(Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("HTTP/2"), "{error}");
    assert!(connect(vec![b"http/1.1".to_vec()]).await.is_err());
}
