//! The priority of a call, and the header that carries it.

use http::HeaderMap;
use tonic::metadata::{MetadataMap, MetadataValue};

/// The priority of a call. It goes with the call to every service behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// A person or program waits for this answer.
    #[default]
    Interactive,
    /// Many requests are made together, and the caller waits for all of them: streams and large batches. Bulk
    /// calls run while interactive calls leave capacity.
    Bulk,
}

/// The name of the header.
pub const HEADER: &str = "vigie-priority";
const BULK: &str = "bulk";

/// Writes the priority of a call. An interactive call, the common kind, has no header.
pub fn write(priority: Priority, metadata: &mut MetadataMap) {
    match priority {
        Priority::Interactive => {}
        Priority::Bulk => {
            metadata.insert(HEADER, MetadataValue::from_static(BULK));
        }
    }
}

/// Reads the priority of a call with these headers. A call without the header, or with another value, is
/// interactive.
#[must_use]
pub fn read(headers: &HeaderMap) -> Priority {
    match headers.get(HEADER) {
        Some(value) if value.as_bytes() == BULK.as_bytes() => Priority::Bulk,
        Some(_) | None => Priority::Interactive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_survives_the_wire() {
        for priority in [Priority::Interactive, Priority::Bulk] {
            let mut metadata = MetadataMap::new();
            write(priority, &mut metadata);
            assert_eq!(read(metadata.as_ref()), priority);
        }
    }

    #[test]
    fn what_is_not_bulk_is_interactive() {
        for said in ["", "BULK", "bulky", "interactive"] {
            let mut metadata = MetadataMap::new();
            metadata.insert(HEADER, MetadataValue::from_static(said));
            assert_eq!(read(metadata.as_ref()), Priority::Interactive, "{said}");
        }
    }
}
