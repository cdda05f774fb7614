//! Tests: the door's bounds, the layers against slow references, conditions against the interpreter of `cel`,
//! and fuzzed policies.

mod support;
mod sources;
mod door;
mod layers;
mod rules;
mod oracle;
mod fuzz;
mod speed;
