//! Credentials from outside: what a call carries in, who it is out.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

mod issuer;
mod tokens;
mod pyjwt;
mod calls;
mod cost;
