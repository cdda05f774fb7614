//! Video, without its decoder: what a file is, which of its frames are hashed, and how a decoded frame is.
//!
//! A program of others decodes. It hands on raw frames of 8-bit RGB, and this module hashes them, always whole and never scaled: a
//! frame that was scaled first is up to 76 bits from what vPDQ computes.
//!
//! Reading order: [`limits`], [`container`], [`sampling`], [`frame`], `bars`, [`kept`].

pub mod limits;
pub mod container;
mod whole;
pub mod sampling;
pub mod frame;
mod bars;
pub mod kept;

pub use bars::Bars;
pub use container::{Container, begins_as_video};
pub use frame::{Inner, RgbFrame};
pub use kept::{Kept, Room};
pub use limits::VideoLimits;
pub use sampling::{Rate, Sampling};
