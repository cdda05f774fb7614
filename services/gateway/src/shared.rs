//! The state that all handlers share.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::hma::exchanges::credentials::Folder as CredentialsFolder;
use crate::media::bodies::Bodies;
use crate::media::fetching::Fetcher;

/// The state that all handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// The state of the cluster.
    pub(crate) cluster: Cluster,
    /// Reads bodies.
    pub(crate) bodies: Bodies,
    /// Fetches URLs.
    pub(crate) fetcher: Fetcher,
    /// Credentials of programmes.
    pub(crate) credentials: CredentialsFolder,
    /// Whether feeds also have the items that a bank has only from programmes.
    pub(crate) feeds_pass_on: bool,
    /// The URL by which clients reach the gateway, if it is configured.
    pub(crate) public_url: Option<Arc<str>>,
    /// Whether connections are over TLS.
    pub(crate) speaks_tls: bool,
}
