//! Authenticates the caller of each call of a server, and decides whether the caller may call the method.
//!
//! ```text
//! call -> Access (a guard of the server) -> Called (an extension of the request) -> handler
//!          |  certificate, API key, token: vigie-credentials
//!          |  the deployment's own processes: `process`
//!          |  member, roles, rights: vigie-consortium, by the present view of the directory
//! ```
//!
//! A handler checks [`Called`] again for each request of a stream, and for the objects that a request names.
//! So revoking a credential ends its open streams.
//!
//! Always true: a call whose rights cannot be checked is refused; a wrong credential fails the call, even
//! where none is needed; no header names a member; texts of refusals repeat only what the caller named.
//!
//! Reading order: [`AccessConfig`], [`ClusterKey`] and `process`, [`WallClock`], [`Directories`],
//! [`HashTypes`], [`FollowedDirectory`], [`Tally`], `reporting` and [`Refusals`], [`Membership`], [`Access`],
//! [`Called`], `refused`, `fetch`.

mod config;
mod process;
mod wall_clock;
mod directories;
mod tally;
mod reporting;
mod refusals;
mod membership;
/// Hash types of vectors, which a deployment declares.
mod vectors {
    pub(crate) mod hash_types;
}
mod followed;
mod access;
mod called;
mod refused;
mod fetch;

pub use access::Access;
pub use called::Called;
pub use config::{AccessConfig, ProcessesConfig};
pub use directories::{Directories, NoMembers};
pub use fetch::fetch_keys;
pub use followed::{DirectoryConfig, FollowedDirectory};
pub use membership::Membership;
pub use process::{ClusterKey, ClusterKeyFault};
pub use refusals::Refusals;
pub use refused::denied;
pub use tally::{Counted, Counts, Event, Tally, Who};
pub use vectors::hash_types::HashTypes;
pub use wall_clock::WallClock;
