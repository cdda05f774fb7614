//! The state that all pages share.

use std::sync::Arc;

use vigie_access::WallClock;
use vigie_clients::CoordinatorClient;

use crate::cluster::Cluster;
use crate::console::provider::Provider;
use crate::console::session::Sessions;
use crate::entry::credential::Admission;
use crate::media::bodies::Bodies;
use crate::media::fetching::Fetcher;

/// The state that all pages share. Clones share the same state.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    /// Keys of session cookies.
    pub(crate) sessions: Arc<Sessions>,
    /// The identity provider; `None` if none is configured.
    pub(crate) provider: Option<Arc<Provider>>,
    /// The URL by which browsers reach the gateway, if one is configured.
    pub(crate) public_url: Option<Arc<str>>,
    /// Checks of credentials that a person enters.
    pub(crate) admission: Arc<Admission>,
    /// The state of the cluster.
    pub(crate) cluster: Cluster,
    /// The client of the coordinators, which describe replicas; `None` if none is configured.
    pub(crate) coordinator: Option<CoordinatorClient>,
    /// The reader of request bodies, with its limits.
    pub(crate) bodies: Bodies,
    /// The fetcher of URLs, with its limits.
    pub(crate) fetcher: Fetcher,
    /// The wall clock.
    pub(crate) clock: WallClock,
}
