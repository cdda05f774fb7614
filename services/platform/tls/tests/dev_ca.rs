//! The development authority: the files it keeps, the files it renews, and the names it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use vigie_tls::dev_ca::{DevCa, DevCaError, Validity};
use vigie_tls::{Sides, TlsConfig};

#[test]
fn the_authority_is_kept_and_what_it_signs_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (DevCa::open(folder.path()).unwrap(), DevCa::open(folder.path()).unwrap());
    assert_eq!((first.is_new, second.is_new), (true, false));
    let names = ["matcher.vigie.internal".to_owned(), "::1".to_owned()];
    let leaf = first.server(&names, Validity::days(90)).unwrap();
    let before = fs::read(&leaf.certificate).unwrap();
    assert_eq!(second.server(&names, Validity::days(90)).unwrap(), leaf);
    assert_ne!(fs::read(&leaf.certificate).unwrap(), before);
    for key in [&leaf.key, &folder.path().join("ca.key")] {
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600, "{key:?}");
    }
    assert_eq!(fs::metadata(&leaf.certificate).unwrap().permissions().mode() & 0o700, 0o600);
    let config = TlsConfig {
        certificate: Some(leaf.certificate),
        key: Some(leaf.key),
        ca: Some(second.certificate()),
        ..TlsConfig::default()
    };
    assert_eq!(config.faults(Sides::ServerAndClient), Vec::<String>::new());
}

#[test]
fn a_key_that_lay_open_is_replaced_by_one_that_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let ca = DevCa::open(folder.path()).unwrap();
    let open = folder.path().join("client-a.key");
    fs::write(&open, "of a former time").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let leaf = ca.client("a", Validity::days(1)).unwrap();
    assert_eq!(leaf.key, open);
    assert_eq!(fs::metadata(&open).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn half_an_authority_is_not_made_whole() {
    for half in ["ca.crt", "ca.key"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(half), "x").unwrap();
        let error = DevCa::open(folder.path()).unwrap_err();
        assert!(matches!(error, DevCaError::Authority(..)), "{error}");
        assert_eq!(fs::read(folder.path().join(half)).unwrap(), b"x");
    }
}

#[test]
fn two_names_that_stand_for_one_file_are_refused_and_the_first_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ca = DevCa::open(folder.path()).unwrap();
    let day = || Validity::days(1);
    let server = |name: &str| ca.server(&[name.to_owned()], day());
    let leaf = ca.client("a/b", day()).unwrap();
    let key = fs::read(&leaf.key).unwrap();
    server("x_y").unwrap();
    for refused in [ca.client("a_b", day()), ca.client("a/b", day()), server("client-a_b"), server("x_y")] {
        assert!(matches!(refused, Err(DevCaError::Twice(_))), "{refused:?}");
    }
    assert_eq!(fs::read(&leaf.key).unwrap(), key);
    // The next run replaces it.
    DevCa::open(folder.path()).unwrap().client("a_b", day()).unwrap();
    assert_ne!(fs::read(&leaf.key).unwrap(), key);
}

#[test]
fn a_certificate_of_another_authority_beside_the_key_is_refused() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [ca, other] = [&folders[0], &folders[1]].map(|folder| DevCa::open(folder.path()).unwrap());
    fs::copy(other.certificate(), ca.certificate()).unwrap();
    let error = DevCa::open(folders[0].path()).unwrap_err();
    assert!(matches!(error, DevCaError::Authority(..)) && error.to_string().contains("ca.key"), "{error}");
}

#[test]
fn what_is_no_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ca = DevCa::open(folder.path()).unwrap();
    for bad in ["", "a b", "a/b", "../a", "ca", "*", "a\nb", "ä"] {
        let refused = ca.server(&[bad.to_owned()], Validity::days(1));
        assert!(matches!(refused, Err(DevCaError::Name(_))), "{bad:?}: {refused:?}");
    }
    for bad in ["", "a b", "..", "ca", "a\nb", "ä", "a//b", "/a", "a/", "a/../b"] {
        let refused = ca.client(bad, Validity::days(1));
        assert!(matches!(refused, Err(DevCaError::Name(_))), "{bad:?}: {refused:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing but the authority");
    ca.server(&["*.matchers.vigie.internal".to_owned()], Validity::days(1)).unwrap();
}
