//! The reasons of a failed handshake, in words for the operator of the server.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums of errors are other crates' own, and grow")]

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use thiserror::Error;

/// Returns whether a connection that failed with this error will fail in the same way however often it is
/// tried, until a certificate, an authority or an address is changed. For callers with a deadline and a
/// person who waits.
#[must_use]
pub fn is_for_good(error: &(dyn StdError + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.any(|cause| {
        // The error inside an `io::Error` is not among its causes; only the causes of that error are.
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
            // In TLS 1.3 a server checks the client's certificate after the handshake has ended for the
            // client. The server's alert is then read by HTTP/2, which keeps the text of an error and not the
            // error.
            None => {
                let text = cause.to_string();
                LASTING.iter().any(|alert| text.contains(&Error::AlertReceived(*alert).to_string()))
            }
        }
    })
}

/// The alerts that a server sends to a client that it will never accept as it is.
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

/// The reasons for which a server refused a connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The client presented no certificate, although one is required.
    #[error("the client shows no certificate")]
    NoCertificate,
    /// No trusted authority has signed the client's certificate.
    #[error("the client's certificate is of an unknown authority")]
    UnknownAuthority,
    /// The client's certificate has expired.
    #[error("the client's certificate has expired")]
    Expired,
    /// The client's certificate is not valid yet.
    #[error("the client's certificate is not valid yet")]
    NotValidYet,
    /// The client's certificate has another fault.
    #[error("the client's certificate is not valid: {0}")]
    BadCertificate(String),
    /// The certificate is valid, but its holder may not connect.
    #[error("the client is not among client_names: its certificate says {0}")]
    NotAmongNames(String),
    /// The client offers only TLS 1.1 or older.
    #[error("the client does not support TLS 1.2 or later")]
    OldVersion,
    /// The client does not offer HTTP/2 (ALPN `h2`): it offers other protocols, or none.
    #[error("the client does not offer HTTP/2")]
    NoHttp2,
    /// The client did not send TLS, but plain text, for example.
    #[error("the client does not speak TLS")]
    NotTls,
    /// The client ended the handshake with this alert.
    #[error("the client refuses this server: {0}")]
    ByClient(&'static str),
    /// The client closed the connection during the handshake.
    #[error("the client closed the connection during the handshake")]
    Gone,
    /// The handshake took too long.
    #[error("the handshake took longer than {ms} ms")]
    TooSlow {
        /// The limit, in milliseconds.
        ms: u64,
    },
    /// The limit of handshakes in progress is reached.
    #[error("too many handshakes are in progress (handshakes_max)")]
    TooMany,
    /// The limit of handshakes in progress of one host is reached.
    #[error("too many handshakes of its host are in progress (an eighth of handshakes_max)")]
    TooManyOfHost,
    /// This process has no certificate with which to answer.
    #[error("this process is a client only")]
    NoServer,
    /// Another error.
    #[error("the handshake failed: {0}")]
    Other(String),
}

impl Refused {
    /// Returns the reason for an error of a handshake.
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
                // This is checked before the version, and only clients older than TLS 1.2 lack the extension.
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
            // If an authority has a known name but another key, the signature is the fault.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotValidYet,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::BadCertificate("it is not for clients".to_owned())
            }
            // The texts of the others name the broken rule; they contain nothing of the certificate itself.
            other => Self::BadCertificate(other.to_string()),
        }
    }

    /// Returns whether a peer only connected and left, as load balancers do to check that a port is open.
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
            "its certificate is not valid for the name that was called"
        }
        AlertDescription::ProtocolVersion => "no version of TLS is common to both",
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => "it closed the connection",
        _ => "it gave no reason",
    }
}
