//! Tests: the door's bounds, the layers against slow references, conditions against the interpreter of `cel`,
//! fuzzed policies, and score rules.

mod support;
mod sources;
mod door;
mod layers;
mod rules;
mod oracle;
mod fuzz;
mod scores;
mod speed;
