//! Client side of calls to services.
//!
//! Always true: a call never outlasts its deadline, which travels with it; an error of the connection is
//! distinguished from an answer of the service; every queue has a bound; the credential of a network
//! ([`Bearer`]) is on every call to a service of ours, and in no log and no error.
//!
//! Reading order: [`is_plaintext_off_loopback`] and [`EndpointError`] (addresses), [`Bearer`] (the credential
//! of calls), [`Network`] (how connections are made, and which servers run in this process), [`Channel`],
//! [`DirectChannel`] (for calls of one message), [`CallError`], [`Notice`] (reports of long calls),
//! [`Target`] (one endpoint and the calls to it), [`retry`], [`balance`] (the choice between several
//! endpoints), [`Pool`] (several endpoints as one), [`Leader`] (several endpoints, of which one serves),
//! [`lane`] (many requests in one call), [`TlsArgs`].

mod endpoint;
mod bearer;
mod network;
mod channel;
mod error;
mod notice;
mod target;
pub mod retry;
pub mod balance;
mod pool;
mod leader;
pub mod lane;
#[cfg(feature = "args")]
mod args;

#[cfg(feature = "args")]
pub use args::{CredentialArgs, CredentialError, TlsArgs, TlsArgsError};
pub use bearer::{Bearer, BearerFault};
pub use channel::{Channel, DirectChannel};
pub use endpoint::{EndpointError, check as check_endpoint, is_plaintext_off_loopback};
pub use error::CallError;
pub use leader::{Leader, Patience};
pub use network::{Connect, Connection, Network};
pub use notice::{Notice, Wait};
pub use pool::Pool;
pub use target::Target;
pub use vigie_rpc::{CallEnd, Code, Priority};
