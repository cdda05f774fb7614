//! What handlers share.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::hma::exchanges::credentials::Folder as CredentialsFolder;
use crate::media::bodies::Bodies;
use crate::media::fetching::Fetcher;

/// What handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// The state of the cluster.
    pub(crate) cluster: Cluster,
    /// How bodies are read.
    pub(crate) bodies: Bodies,
    /// How URLs are fetched.
    pub(crate) fetcher: Fetcher,
    /// Credentials of programmes.
    pub(crate) credentials: CredentialsFolder,
    /// Whether feeds also have what a bank knows from programmes alone.
    pub(crate) feeds_pass_on: bool,
    /// How clients reach the gateway, where it is told.
    pub(crate) public_url: Option<Arc<str>>,
    /// Whether connections are over TLS.
    pub(crate) speaks_tls: bool,
}
