//! The paths of the console, and those that are open to a person who is not signed in.

/// The prefix of the paths of all pages.
const PREFIX: &str = "/console";
/// The path of the sign-in page.
pub(crate) const SIGN_IN: &str = "/console/sign-in";
/// The prefix of the paths of styles and scripts.
pub(crate) const STATIC: &str = "/console/static/";

/// Returns whether a path belongs to the console. The page may not exist.
pub(crate) fn owns(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns whether a path of the console is open to a person who is not signed in.
pub(crate) fn is_open(path: &str) -> bool {
    let below_sign_in =
        path.strip_prefix(SIGN_IN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below_sign_in || path.starts_with(STATIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signing_in_and_what_pages_load_is_open() {
        for path in ["/console/sign-in", "/console/sign-in/callback", "/console/static/console.css"] {
            assert!(owns(path) && is_open(path), "{path}");
        }
        for path in ["/console", "/console/", "/console/sign-in-x", "/console/sign-out", "/console/banks"] {
            assert!(owns(path) && !is_open(path), "{path}");
        }
        for path in ["/", "/consoles", "/v1/console", "/c/console"] {
            assert!(!owns(path), "{path}");
        }
    }
}
