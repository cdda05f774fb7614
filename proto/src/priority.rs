//! The header by which a call says how urgent it is.

use http::HeaderMap;
use vigie_model::Priority;

/// The header's name. Without it, or with a value that is not known, a call is interactive.
pub const HEADER: &str = "vigie-priority";

const BULK: &str = "bulk";

/// The header's value for a call; an interactive one needs none.
#[must_use]
pub const fn value(priority: Priority) -> Option<&'static str> {
    match priority {
        Priority::Interactive => None,
        Priority::Bulk => Some(BULK),
    }
}

/// What the headers of a call say.
#[must_use]
pub fn of(headers: &HeaderMap) -> Priority {
    match headers.get(HEADER) {
        Some(value) if value == BULK => Priority::Bulk,
        Some(_) | None => Priority::Interactive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_priority_survives_the_wire() {
        for priority in [Priority::Interactive, Priority::Bulk] {
            let mut headers = HeaderMap::new();
            headers.extend(
                value(priority).map(|value| (HEADER.parse().unwrap(), HeaderValue::from_static(value))),
            );
            assert_eq!(of(&headers), priority);
        }
        let unknown = HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_static("urgent"))]);
        assert_eq!(of(&unknown), Priority::Interactive);
    }
}
