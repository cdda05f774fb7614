//! The SPIFFE IDs in the certificates of members.

use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

/// The scheme of every SPIFFE ID (SPIFFE-ID, section 2).
const SCHEME: &str = "spiffe://";
/// The first segment of the paths of members.
const MEMBER: &str = "member";
/// The longest name of a member, in bytes.
const MEMBER_NAME_BYTES_MAX: usize = 32;

/// The name in a certificate that a handshake has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// The certificate of a member's workload.
    Member(MemberSpiffeId),
    /// The certificate of the deployment itself: a DNS name, or a SPIFFE ID outside of `/member/`. Not a
    /// credential of a member.
    Deployment(Arc<str>),
}

impl CertificateName {
    /// Reads a name in the form that [`vigie_tls::peer_name`] returns.
    ///
    /// # Errors
    ///
    /// The name begins like a member's, but is not valid. Such a name never counts as one of the deployment.
    pub fn read(name: &str) -> Result<Self, CertificateFault> {
        let Some(rest) = name.strip_prefix(SCHEME) else { return Ok(Self::Deployment(name.into())) };
        if !vigie_tls::is_spiffe(name) {
            return Err(CertificateFault::NotSpiffe);
        }
        let mut parts = rest.split('/');
        let domain = parts.next().unwrap_or_default();
        if parts.next() != Some(MEMBER) {
            return Ok(Self::Deployment(name.into()));
        }
        let (Some(member), Some(_workload), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(CertificateFault::Segments);
        };
        if !is_member_name(member) {
            return Err(CertificateFault::MemberName);
        }
        let domain = SCHEME.len()..SCHEME.len() + domain.len();
        let member_start = domain.end + 1 + MEMBER.len() + 1;
        let member = member_start..member_start + member.len();
        Ok(Self::Member(MemberSpiffeId { text: name.into(), domain, member }))
    }
}

/// A member's SPIFFE ID, `spiffe://<domain>/member/<name>/<workload>`. It is compared as a whole: a directory
/// never searches for a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MemberSpiffeId {
    text: Arc<str>,
    domain: Range<usize>,
    member: Range<usize>,
}

impl MemberSpiffeId {
    /// Returns the whole SPIFFE ID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.text[self.domain.clone()]
    }

    /// Returns the member that the ID names.
    #[must_use]
    pub fn member(&self) -> &str {
        &self.text[self.member.clone()]
    }
}

/// The reasons for which a certificate's name is not a member's, though it begins like one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateFault {
    /// The name breaks the rules of SPIFFE IDs: length, characters, empty or dot segments.
    #[error("the certificate's name is not a SPIFFE ID")]
    NotSpiffe,
    /// The workload is missing, or further segments follow it.
    #[error("the certificate's SPIFFE ID has not the form spiffe://<domain>/member/<name>/<workload>")]
    Segments,
    /// The member's name is not valid.
    #[error(
        "the certificate's SPIFFE ID names a member by other than 1 to 32 of a-z 0-9 -, beginning with a letter"
    )]
    MemberName,
}

fn is_member_name(name: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= MEMBER_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(of_name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(name: &str) -> MemberSpiffeId {
        match CertificateName::read(name) {
            Ok(CertificateName::Member(id)) => id,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn a_member_is_named_by_a_whole_spiffe_id() {
        let text = "spiffe://vigie.example/member/acme-2/Uploads_1.a";
        let id = member(text);
        assert_eq!((id.as_str(), id.trust_domain(), id.member()), (text, "vigie.example", "acme-2"));
        assert_eq!(id, member(text));
        for other in [
            "spiffe://vigie.example/member/acme-2/Uploads_1",
            "spiffe://vigie.example/member/acme-2/uploads_1.a",
            "spiffe://other.example/member/acme-2/Uploads_1.a",
            "spiffe://vigie.example/member/acme/Uploads_1.a",
        ] {
            assert_ne!(id, member(other), "{other}");
        }
    }

    #[test]
    fn names_of_the_deployment_are_those_of_no_member() {
        for name in ["frontend.example", "spiffe://vigie.dev/frontend", "spiffe://d/ns/member/sa/x", "member"]
        {
            assert_eq!(CertificateName::read(name), Ok(CertificateName::Deployment(name.into())), "{name}");
        }
    }

    #[test]
    fn what_only_begins_like_a_member_is_refused() {
        let long = format!("spiffe://d/member/{}/x", "a".repeat(MEMBER_NAME_BYTES_MAX + 1));
        let longer = format!("spiffe://d/member/acme/{}", "a".repeat(2_048));
        for (name, fault) in [
            ("spiffe://d/member", CertificateFault::Segments),
            ("spiffe://d/member/acme", CertificateFault::Segments),
            ("spiffe://d/member/acme/a/b", CertificateFault::Segments),
            ("spiffe://d/member/acme/", CertificateFault::NotSpiffe),
            ("spiffe://d/member//x", CertificateFault::NotSpiffe),
            ("spiffe://d/member/../x", CertificateFault::NotSpiffe),
            ("spiffe://d/member/acme/.", CertificateFault::NotSpiffe),
            ("spiffe://d/member/acme/%41", CertificateFault::NotSpiffe),
            ("spiffe://d/member/acme/x?y", CertificateFault::NotSpiffe),
            ("spiffe://D/member/acme/x", CertificateFault::NotSpiffe),
            ("spiffe://", CertificateFault::NotSpiffe),
            ("spiffe://d/member/Acme/x", CertificateFault::MemberName),
            ("spiffe://d/member/2acme/x", CertificateFault::MemberName),
            ("spiffe://d/member/a_b/x", CertificateFault::MemberName),
            (&long, CertificateFault::MemberName),
            (&longer, CertificateFault::NotSpiffe),
        ] {
            assert_eq!(CertificateName::read(name), Err(fault), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*", path in "[a-z/.%]{0,40}") {
            let _ = CertificateName::read(&text);
            let name = format!("spiffe://d/member/{path}");
            if let Ok(CertificateName::Member(id)) = CertificateName::read(&name) {
                prop_assert!(is_member_name(id.member()));
                let start = format!("spiffe://d/member/{}/", id.member());
                prop_assert!(name.starts_with(&start), "{}", name);
            }
        }
    }
}
