//! Draws harmless pictures from seeds, and alters them: test material that may be shown to anyone.
//!
//! A demonstration, a cluster test and a load test all need images that are certainly harmless, in any
//! number, with known altered copies. Photographs would have to be stored, licensed and checked; these
//! pictures are drawn where they are needed. [`draw`] returns the same pixels for a seed on every platform,
//! so that two processes can identify a picture by its seed alone.
//!
//! The pictures are designed to be pleasant to look at; detailed enough that their perceptual hash is trusted
//! (PDQ quality of 50 and more); and far from each other, in any rotation or reflection. [`Alteration::DEMO`]
//! lists changes after which PDQ still recognises them.
//!
//! Reading order: [`draw`] in `scenes.rs` is the whole path of a seed. Below it are `stage` (canvas, light,
//! sky, sea, land), `props` (boats, gulls, firs, rocks) and one file for each subject in `scenes/`; below
//! these `canvas` and `shapes`, `light` and `colour`, `noise`, `rng` and `numbers`. `encode` and `alter` are
//! separate from all these.

mod numbers;
mod rng;
mod noise;
mod colour;
mod shapes;
mod canvas;
mod light;
mod stage;
mod props;
mod scenes;
mod encode;
mod alter;

pub use alter::Alteration;
pub use encode::{Format, encode_jpeg, encode_png};
pub use image::RgbImage;
pub use scenes::{draw, scene_name};
