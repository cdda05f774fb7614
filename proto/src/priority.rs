//! A call's priority as it travels: in the metadata, beside the request.

use tonic::metadata::{MetadataMap, MetadataValue};
use vigie_model::Priority;

/// The metadata key.
pub const HEADER: &str = "vigie-priority";

/// The value that stands for a priority. An interactive call, the common one, says nothing.
#[must_use]
pub const fn value(priority: Priority) -> Option<&'static str> {
    match priority {
        Priority::Interactive => None,
        Priority::Bulk => Some("bulk"),
    }
}

/// The priority of a call with this metadata. One that says nothing, or something else, is interactive.
#[must_use]
pub fn of(metadata: &MetadataMap) -> Priority {
    let said = metadata.get(HEADER).map(MetadataValue::as_encoded_bytes);
    let bulk = value(Priority::Bulk).map(str::as_bytes);
    if said.is_some() && said == bulk { Priority::Bulk } else { Priority::Interactive }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_survives_the_wire() {
        for priority in [Priority::Interactive, Priority::Bulk] {
            let mut metadata = MetadataMap::new();
            if let Some(value) = value(priority) {
                metadata.insert(HEADER, MetadataValue::from_static(value));
            }
            assert_eq!(of(&metadata), priority);
        }
    }

    #[test]
    fn what_is_not_bulk_is_interactive() {
        for said in ["", "BULK", "bulky", "interactive"] {
            let mut metadata = MetadataMap::new();
            metadata.insert(HEADER, MetadataValue::from_static(said));
            assert_eq!(of(&metadata), Priority::Interactive, "{said}");
        }
    }
}
