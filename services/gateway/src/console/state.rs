//! What the pages share.

use std::sync::Arc;

use vigie_access::WallClock;
use vigie_clients::CoordinatorClient;

use crate::cluster::Cluster;
use crate::console::provider::Provider;
use crate::console::session::Sessions;
use crate::entry::credential::Admission;
use crate::media::bodies::Bodies;
use crate::media::fetching::Fetcher;

/// What the pages share. A clone is a handle of the same.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    /// Keys of session cookies.
    pub(crate) sessions: Arc<Sessions>,
    /// Where people sign in by OpenID Connect; `None` where that is nowhere.
    pub(crate) provider: Option<Arc<Provider>>,
    /// The URL by which browsers reach the gateway, where one is configured.
    pub(crate) public_url: Option<Arc<str>>,
    /// Checks of credentials that a person enters.
    pub(crate) admission: Arc<Admission>,
    /// The state of the cluster.
    pub(crate) cluster: Cluster,
    /// The coordinators, which describe replicas; `None` where none is configured.
    pub(crate) coordinator: Option<CoordinatorClient>,
    /// How bodies are read.
    pub(crate) bodies: Bodies,
    /// How URLs are fetched.
    pub(crate) fetcher: Fetcher,
    /// The present time.
    pub(crate) clock: WallClock,
}
