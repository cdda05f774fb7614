//! Checks the crate's guarantees on files: vectors, truncation, hostile input, memory, and copies that
//! further ways find.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]
#![expect(clippy::print_stdout, reason = "a skipped test says so, and a measurement prints its table")]

mod vectors;
mod matrix;
mod truncation;
mod hostile;
mod memory;
mod copies;
mod forms;
