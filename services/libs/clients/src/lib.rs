//! Typed clients of every service: deadline, retry, batching.
