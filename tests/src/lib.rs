//! The whole cluster as the tests see it.
