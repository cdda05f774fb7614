//! The crate's promises, checked on files: vectors, truncation, hostile input, memory.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod vectors;
mod matrix;
mod truncation;
mod hostile;
mod memory;
