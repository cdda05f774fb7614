//! The paths that belong to this API.

/// Returns whether a path, known or unknown, belongs to this API. Several leading slashes count as one.
pub(crate) fn owns(path: &str) -> bool {
    let rest = path.trim_start_matches('/').strip_prefix("v1");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_version_is_of_this_api() {
        for path in ["/v1", "/v1/", "/v1/banks", "//v1/banks", "/v1/no/such/path"] {
            assert!(owns(path), "{path}");
        }
        for path in ["/", "/v10", "/c/v1", "/status"] {
            assert!(!owns(path), "{path}");
        }
    }
}
