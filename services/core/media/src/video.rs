//! Video, without its decoder: the container of a file, the frames that are hashed, and the hash of a decoded
//! frame.
//!
//! An external program decodes. It passes on raw frames of 8-bit RGB, and this module hashes them, always
//! whole and never scaled: the hash of a frame that was scaled first differs by up to 76 bits from that of
//! vPDQ.
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
