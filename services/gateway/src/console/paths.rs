//! Which paths are of the console, and which of them are open to a person who is not signed in.

/// The path that every page's path begins with.
const PREFIX: &str = "/console";
/// The page on which a person signs in.
pub(crate) const SIGN_IN: &str = "/console/sign-in";
/// The path that the paths of styles and scripts begin with.
pub(crate) const STATIC: &str = "/console/static/";

/// Whether a path is one of the console, known or not.
pub(crate) fn owns(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path of the console is open to a person who is not signed in.
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
