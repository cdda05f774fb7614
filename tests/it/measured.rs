//! Measurements of a release build; short forms of some run with the other tests.

mod figures;
mod cost;
mod embeddings;
