//! Tests of credentials from outside: from what a call carries to its principal.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

mod issuer;
mod tokens;
mod pyjwt;
mod calls;
mod cost;
