//! The name that a certificate gives its holder.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// What every SPIFFE ID begins with (SPIFFE-ID, section 2).
const SPIFFE: &str = "spiffe://";
/// The longest SPIFFE ID, in bytes (SPIFFE-ID, section 2.3).
const SPIFFE_BYTES_MAX: usize = 2_048;

/// The longest DNS name, in bytes (RFC 1035, section 2.3.4, without the length of the root).
const DNS_BYTES_MAX: usize = 253;

/// The name of the peer whose chain of certificates this is, which has been checked: its first SPIFFE ID, or else its first
/// DNS name.
///
/// What an authority signed is trusted to be the peer's name, and nothing more: a name that holds anything that has no
/// place in one is none, so it can be written to a log as it is.
#[must_use]
pub fn peer_name(chain: &[CertificateDer<'_>]) -> Option<String> {
    let certificate = EndEntityCert::try_from(chain.first()?).ok()?;
    let spiffe = certificate.valid_uri_names().find(|uri| is_spiffe(uri));
    let name = spiffe.or_else(|| certificate.valid_dns_names().next())?;
    Some(name.to_owned())
}

/// Whether [`peer_name`] may say this of somebody.
pub(crate) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        (1..=63).contains(&label.len()) && label.bytes().all(is_fit)
    };
    is_spiffe(name) || (name.len() <= DNS_BYTES_MAX && name.split('.').all(is_label))
}

fn is_spiffe(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix(SPIFFE) else { return false };
    let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
    let of_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    uri.len() <= SPIFFE_BYTES_MAX
        && !domain.is_empty()
        && domain.bytes().all(of_domain)
        && path.bytes().all(of_path)
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
        let named = vec![dns("frontend.example"), other.clone(), uri(spiffe), uri("spiffe://other.dev/x")];
        assert_eq!(name_of(named).as_deref(), Some(spiffe));
        let named = vec![other.clone(), dns("frontend.example"), dns("b.example")];
        assert_eq!(name_of(named).as_deref(), Some("frontend.example"));
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        assert_eq!(name_of(vec![other, address]), None);
        assert_eq!(name_of(Vec::new()), None);
        assert_eq!(peer_name(&[]), None);
        assert_eq!(peer_name(&[CertificateDer::from(vec![1, 2, 3])]), None);
    }

    #[test]
    fn what_is_no_name_is_not_taken_for_one() {
        let long = format!("spiffe://vigie.dev/{}", "a".repeat(SPIFFE_BYTES_MAX));
        for bad in
            ["spiffe://", "spiffe:///path", "spiffe://UPPER/a", "spiffe://a/b\nc", "spiffe://a/b c", &long]
        {
            assert_eq!(name_of(vec![uri(bad)]), None, "{bad:?}");
        }
    }
}
