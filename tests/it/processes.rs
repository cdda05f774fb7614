//! The real binary, killed, stopped and cut off while it works.

mod kill;
mod crash;
mod faults;
mod tls;
mod telemetry;
mod decoder;
/// The results of decoder processes other than hashes.
mod decoders {
    mod pixels;
}
mod outside;
mod hostile_images;
mod limits;
mod commands;
mod interrupts;
mod examples;
mod trial;
mod loadtest;
/// Classifiers that an operator runs.
mod classifiers {
    mod conversation;
}
