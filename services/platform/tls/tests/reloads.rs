//! The reports about the files: the end of the certificate in use, and whether new files were taken.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vigie_tls::dev_ca::{DevCa, Leaf, Validity};
use vigie_tls::{Reloads, Sides, Tls, TlsConfig};

async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_end_of_the_certificate_in_use_is_reported_and_what_became_of_those_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["localhost".to_owned()];
    // Each authority writes a file only once.
    let make = |days: u32| -> (DevCa, Leaf) {
        let ca = DevCa::open(folder.path()).unwrap();
        let leaf = ca.server(&names, Validity::days(days)).unwrap();
        (ca, leaf)
    };
    let days_left = |tls: &Tls| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        (tls.certificate_not_after().unwrap() - now + 60) / 86_400
    };
    let (ca, leaf) = make(3);
    let config = TlsConfig {
        certificate: Some(leaf.certificate.clone()),
        key: Some(leaf.key.clone()),
        ca: Some(ca.certificate()),
        reload_ms: 10,
        ..TlsConfig::default()
    };
    let tls = Tls::start(config.clone(), Sides::ServerAndClient).unwrap();
    assert_eq!((days_left(&tls), tls.reloads()), (3, Reloads::default()));

    make(30);
    wait_until("the new one is taken", || days_left(&tls) == 30 && tls.reloads().ok >= 1).await;

    std::fs::write(&leaf.key, "no key").unwrap();
    let before = tls.reloads();
    wait_until("the fault is counted at each look", || tls.reloads().failed > before.failed + 1).await;
    assert_eq!((days_left(&tls), tls.reloads().ok), (30, before.ok));

    // The certificate that ends first counts: an authority in the chain, for example.
    let (_, short) = make(2);
    let chain = [std::fs::read(&short.certificate).unwrap(), std::fs::read(ca.certificate()).unwrap()];
    std::fs::write(&short.certificate, chain.concat()).unwrap();
    wait_until("the chain is taken", || days_left(&tls) == 2).await;

    let client = TlsConfig { certificate: None, key: None, ..config };
    assert_eq!(Tls::start(client, Sides::Client).unwrap().certificate_not_after(), None);
}
