//! The real binary, killed while it works.

mod kill;
mod crash;
