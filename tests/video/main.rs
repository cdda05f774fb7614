//! Tests of videos, decoded by the installed programs `ffprobe` and `ffmpeg`, and by stand-ins that
//! misbehave.
//!
//! `VIGIE_FFMPEG` names another `ffmpeg` than that of `PATH`, with `ffprobe` beside it. With
//! `VIGIE_REQUIRE_FFMPEG` set their absence is a failure.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]
#![allow(clippy::print_stdout, reason = "a measurement prints its table")]

mod studio;
mod vectors;
mod clips;
mod hostile;
mod alterations;
mod command;
mod asked;
mod speed;
