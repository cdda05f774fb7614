//! The console in a real browser: the tasks of an analyst by clicks and keys, every page for barriers, errors and requests elsewhere, and
//! hostile text.
//!
//! Scripts in `browser/` drive Chromium by `playwright-core` and look for barriers by `axe-core`. `VIGIE_CHROMIUM` names another Chromium
//! than that of `PATH`. With `VIGIE_REQUIRE_BROWSER` set its absence, or that of Node or the packages, is a failure.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]
#![allow(clippy::print_stdout, reason = "a test that is skipped, and one that is looked at, say so")]

#[path = "../it/gateway"]
#[allow(dead_code, reason = "what other tests of the gateway need is in the same files")]
mod gateway {
    pub(crate) mod client;
    pub(crate) mod filled;
}
mod node;
mod pages;
mod tasks;
