//! Roles in this process: a whole cluster, or single roles.

mod cluster;
mod role;
mod replicas;

pub use self::cluster::{Cluster, as_of, soon};
pub use self::replicas::Replicas;
pub use self::role::{Config, Role, Slot};
pub use vigie::local_cluster::Calls;
