//! Streams the log to followers, each at its own pace.
//!
//! A [`Follower`] is asked for the next range when its client has taken the one before, so a slow follower
//! costs nothing but its lag. The newest changes are in memory, where any number of followers share them. A
//! follower farther behind reads pages from the store until it has caught up, and gets heartbeats while it
//! waits for them.
//!
//! A follower that has caught up also gets the proof of its slice: with every heartbeat, and about as often
//! while changes flow.
//!
//! Always true: the ranges of a follower join without a gap, and each holds every change in it that is in the
//! follower's slice. The head that followers get is never ahead of what is committed and flushed.

mod limits;
mod claims;
mod recent;
mod shared;
mod follower;
mod admission;

pub use self::admission::Admission;
pub use self::follower::{Follower, Range};
pub use self::limits::FeedLimits;
pub use self::shared::Feed;
