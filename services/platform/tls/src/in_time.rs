//! Checks the validity period of a chain of certificates.
//!
//! Everything else about the certificate of this process is for its peers to judge: it may be of an authority
//! that only they know.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter};

/// Checks the first certificate, and the path from it to one of these authorities as far as it is known.
pub(crate) fn check(
    chain: &[CertificateDer<'_>],
    authorities: &[TrustAnchor<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Result<(), &'static str> {
    let Some((first, others)) = chain.split_first() else { return Ok(()) };
    // A certificate that cannot be read is reported where it is used.
    let Ok(certificate) = EndEntityCert::try_from(first) else { return Ok(()) };
    let checked = certificate.verify_for_usage(algorithms, authorities, others, now, AnyUse, None, None);
    match checked {
        Err(Error::CertExpired { .. }) => Err("holds a certificate that has expired"),
        Err(Error::CertNotValidYet { .. }) => Err("holds a certificate that is not valid yet"),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns the earliest end of these certificates, in seconds since 1970.
pub(crate) fn ends(
    chain: &[CertificateDer<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Option<u64> {
    // The verifier checks the period first: at the end of time every certificate has expired, and the error
    // contains its end.
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let end = |certificate| {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        let checked = certificate.verify_for_usage(algorithms, &[], &[], end_of_time, AnyUse, None, None);
        let Err(Error::CertExpired { not_after, .. }) = checked else { return None };
        Some(not_after.as_secs())
    };
    chain.iter().filter_map(end).min()
}

struct AnyUse;

impl ExtendedKeyUsageValidator for AnyUse {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}
