//! Measurements of a release build; short forms of some run with every test.

mod figures;
mod cost;
mod embeddings;
