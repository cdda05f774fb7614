//! How urgent a call is, and the header in which that travels beside the request.

use http::HeaderMap;
use tonic::metadata::{MetadataMap, MetadataValue};

/// How urgent a call is. It travels with the call to every service behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Somebody waits for the answer.
    #[default]
    Interactive,
    /// Much is asked at once, and somebody waits for the whole of it: streams and large batches. It goes on while
    /// interactive calls leave capacity.
    Bulk,
}

/// The name of the header.
pub const HEADER: &str = "vigie-priority";
const BULK: &str = "bulk";

/// Writes the priority of a call that is to be made. An interactive call, the common one, has no header.
pub fn write(priority: Priority, metadata: &mut MetadataMap) {
    match priority {
        Priority::Interactive => {}
        Priority::Bulk => {
            metadata.insert(HEADER, MetadataValue::from_static(BULK));
        }
    }
}

/// Reads the priority of a call that came with these headers. A call without the header, or with another value, is interactive.
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
