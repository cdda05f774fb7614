//! Why a handshake failed, in words for whoever operates the server.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums of errors are other crates' own, and grow")]

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use thiserror::Error;

/// Whether a connection that failed so fails in the same way however often it is tried: until a certificate, an authority or
/// an address is another one. For who has a deadline and a person that waits.
#[must_use]
pub fn is_for_good(error: &(dyn StdError + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.any(|cause| {
        // What an error of IO holds is not among its causes, only what that one stands on.
        let held = cause.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        let tls = cause.downcast_ref::<Error>().or_else(|| held?.downcast_ref());
        match tls {
            Some(
                Error::InvalidCertificate(_) | Error::NoApplicationProtocol | Error::PeerIncompatible(_),
            ) => true,
            // Plain text, in most cases.
            Some(Error::InvalidMessage(_)) => true,
            Some(Error::AlertReceived(alert)) => LASTING.contains(alert),
            Some(_) => false,
            // In TLS 1.3 a server looks at the client's certificate when the handshake is over for the client: what it says then
            // is read by HTTP/2, which keeps the words of an error and not the error.
            None => {
                let text = cause.to_string();
                LASTING.iter().any(|alert| text.contains(&Error::AlertReceived(*alert).to_string()))
            }
        }
    })
}

/// What a server says to a client that it will never take as it is.
const LASTING: [AlertDescription; 12] = [
    AlertDescription::NoCertificate,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::CertificateRequired,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::HandshakeFailure,
    AlertDescription::ProtocolVersion,
    AlertDescription::NoApplicationProtocol,
];

/// Why a server did not take a connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// It showed none, and has to.
    #[error("the client shows no certificate")]
    NoCertificate,
    /// No authority that is trusted has signed it.
    #[error("the client's certificate is of an unknown authority")]
    UnknownAuthority,
    /// Its time is over.
    #[error("the client's certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("the client's certificate is not valid yet")]
    NotValidYet,
    /// Something else is wrong with it.
    #[error("the client's certificate is not good: {0}")]
    BadCertificate(String),
    /// It is good, and whose it is may not connect.
    #[error("the client is not among client_names: its certificate says {0}")]
    NotAmongNames(String),
    /// TLS 1.1 or older.
    #[error("the client speaks no version of TLS from 1.2 on")]
    OldVersion,
    /// No HTTP/2 (ALPN `h2`): it offers other protocols, or none.
    #[error("the client does not offer HTTP/2")]
    NoHttp2,
    /// What it sent is nothing of the kind: plain text, for example.
    #[error("the client does not speak TLS")]
    NotTls,
    /// It broke the handshake off, and said this.
    #[error("the client refuses this server: {0}")]
    ByClient(&'static str),
    /// It went away in the middle.
    #[error("the client closed the connection during the handshake")]
    Gone,
    /// It took too long.
    #[error("the handshake took longer than {ms} ms")]
    TooSlow {
        /// The longest that it may take.
        ms: u64,
    },
    /// As many as may be are under way.
    #[error("too many handshakes are under way")]
    TooMany,
    /// As many as one host may have are under way.
    #[error("too many handshakes of its host are under way")]
    TooManyOfHost,
    /// There is no certificate to answer with.
    #[error("this process is a client only")]
    NoServer,
    /// Something else.
    #[error("the handshake failed: {0}")]
    Other(String),
}

impl Refused {
    /// What this error of a handshake means.
    pub(crate) fn by(error: &io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Gone,
                _ => Self::Other(error.to_string()),
            };
        };
        match tls {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(fault) => Self::by_certificate(fault),
            Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                // It is looked for before the version is, and only what is older than TLS 1.2 comes without it.
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            ) => Self::OldVersion,
            Error::NoApplicationProtocol => Self::NoHttp2,
            Error::InvalidMessage(_) => Self::NotTls,
            Error::AlertReceived(alert) => Self::ByClient(words(*alert)),
            other => Self::Other(other.to_string()),
        }
    }

    fn by_certificate(fault: &CertificateError) -> Self {
        match fault {
            // Where an authority's name is known and its key another, the signature is what is wrong.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotValidYet,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::BadCertificate("it is not one for clients".to_owned())
            }
            // The texts of the others say which rule was broken; of the certificate itself they hold nothing.
            other => Self::BadCertificate(other.to_string()),
        }
    }

    /// Whether a peer looked by and went, as balancers do that want to know whether a port is open.
    #[must_use]
    pub const fn is_a_visit(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

const fn words(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnknownCA => "it does not know the authority of its certificate",
        AlertDescription::CertificateExpired => "its certificate has expired",
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "its certificate is not good for the name that was called"
        }
        AlertDescription::ProtocolVersion => "no version of TLS is common to both",
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => "it changed its mind",
        _ => "it does not say why",
    }
}
