//! The one binary: the whole cluster, one role of it, or a client.
fn main() {}
