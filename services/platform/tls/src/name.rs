//! The name of the holder of a certificate.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The scheme of every SPIFFE ID (SPIFFE-ID, section 2).
const SPIFFE: &str = "spiffe://";
/// The longest SPIFFE ID, in bytes (SPIFFE-ID, section 2.3).
const SPIFFE_BYTES_MAX: usize = 2_048;

/// The longest DNS name, in bytes (RFC 1035, section 2.3.4, without the length of the root).
const DNS_BYTES_MAX: usize = 253;

/// The longest trust domain, in bytes (SPIFFE-ID, section 2.1).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// Returns the name of a peer from its chain of certificates, which has been checked: its SPIFFE ID, or
/// otherwise its first DNS name, in lower case.
///
/// A certificate with a SPIFFE ID has no other URI (X509-SVID, section 2). A certificate that has one, or
/// whose ID is malformed, has no name at all, so that it is not accepted under another of its names.
///
/// The authority is trusted to have signed the peer's own name, and for nothing more. A name with characters
/// that are not allowed in names counts as none, so a name can be written to a log as it is.
#[must_use]
pub fn peer_name(chain: &[CertificateDer<'_>]) -> Option<String> {
    let certificate = EndEntityCert::try_from(chain.first()?).ok()?;
    let uris: Vec<&str> = certificate.valid_uri_names().collect();
    if uris.iter().any(|uri| claims_to_be_spiffe(uri)) {
        return match uris[..] {
            [uri] if is_spiffe(uri) => Some(uri.to_owned()),
            _ => None,
        };
    }
    certificate.valid_dns_names().next().map(str::to_ascii_lowercase)
}

/// Compares the scheme, in which capitals do not matter.
fn claims_to_be_spiffe(uri: &str) -> bool {
    uri.get(..SPIFFE.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SPIFFE))
}

/// Returns whether [`peer_name`] can return this name.
pub(crate) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        (1..=63).contains(&label.len()) && label.bytes().all(is_fit)
    };
    is_spiffe(name) || (name.len() <= DNS_BYTES_MAX && name.split('.').all(is_label))
}

/// Returns whether this is the SPIFFE ID of a workload (SPIFFE-ID, section 2): a trust domain of 1 to 255
/// bytes, and a path whose segments are neither empty nor `.` nor `..`; at most 2,048 bytes in all.
#[must_use]
pub fn is_spiffe(uri: &str) -> bool {
    let Some((domain, path)) = uri.strip_prefix(SPIFFE).and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let of_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(of_path);
    uri.len() <= SPIFFE_BYTES_MAX
        && (1..=TRUST_DOMAIN_BYTES_MAX).contains(&domain.len())
        && domain.bytes().all(of_domain)
        && path.split('/').all(is_segment)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn name_of(names: Vec<SanType>) -> Option<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        peer_name(&[certificate.der().clone()])
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn a_spiffe_id_goes_before_a_dns_name_and_that_before_none() {
        let spiffe = "spiffe://vigie.dev/ns/a/sa/Frontend-1";
        let other = uri("https://example.org/frontend");
        assert_eq!(name_of(vec![dns("frontend.example"), uri(spiffe)]).as_deref(), Some(spiffe));
        let named = vec![other.clone(), dns("Frontend.Example"), dns("b.example")];
        assert_eq!(name_of(named).as_deref(), Some("frontend.example"));
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        assert_eq!(name_of(vec![other, address]), None);
        assert_eq!(name_of(Vec::new()), None);
        assert_eq!(peer_name(&[]), None);
        assert_eq!(peer_name(&[CertificateDer::from(vec![1, 2, 3])]), None);
    }

    #[test]
    fn a_spiffe_id_beside_another_uri_is_no_name_and_nothing_stands_in_for_it() {
        let spiffe = || uri("spiffe://vigie.dev/frontend");
        for other in ["spiffe://other.dev/x", "https://example.org/frontend", "spiffe://vigie.dev/frontend"] {
            for names in [vec![spiffe(), uri(other)], vec![uri(other), dns("a.example"), spiffe()]] {
                assert_eq!(name_of(names), None, "{other}");
            }
        }
    }

    #[test]
    fn what_is_no_name_is_not_taken_for_one() {
        let long = format!("spiffe://vigie.dev/{}", "a".repeat(SPIFFE_BYTES_MAX));
        let long_domain = format!("spiffe://{}/a", "a".repeat(TRUST_DOMAIN_BYTES_MAX + 1));
        for bad in [
            "spiffe://",
            "spiffe:///path",
            "spiffe://UPPER/a",
            "SPIFFE://vigie.dev/a",
            "spiffe://a/b\nc",
            "spiffe://a/b c",
            "spiffe://a",
            "spiffe://a/",
            "spiffe://a/b/",
            "spiffe://a//b",
            "spiffe://a/./b",
            "spiffe://a/..",
            "spiffe://a:1/b",
            "spiffe://u@a/b",
            "spiffe://a/b?c",
            "spiffe://a/%62",
            &long,
            &long_domain,
        ] {
            assert_eq!(name_of(vec![uri(bad), dns("a.example")]), None, "{bad:?}");
            assert!(!is_name(bad), "{bad:?}");
        }
        for good in ["spiffe://a/b", "spiffe://a.b-c_1/...", "a", "a.example", "_x.a-b.example"] {
            assert!(is_name(good), "{good:?}");
        }
    }
}
