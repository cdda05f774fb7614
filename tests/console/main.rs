//! Tests of the console in a real browser: an analyst's tasks by clicks and keys; each page checked for
//! accessibility, script errors and requests to other hosts; and hostile text.
//!
//! Scripts in `browser/` control Chromium by `playwright-core` and check accessibility by `axe-core`.
//! `VIGIE_CHROMIUM` names another Chromium than the one in `PATH`. With `VIGIE_REQUIRE_BROWSER` set, a
//! missing browser, Node or package is a failure.
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
