//! Who goes first.

/// How urgent a call is. It travels with the call to every service behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Somebody waits for the answer.
    #[default]
    Interactive,
    /// Much is asked at once, and somebody waits for the whole of it: streams and large batches. It goes on while
    /// interactive calls leave room.
    Bulk,
}
