//! Draws benign pictures by seed, and alters them: test material that may be shown to anyone.
//!
//! A demonstration, a cluster test and a load test all need images that are surely harmless, as many as wanted,
//! with known altered copies. Photographs would have to be stored, licensed and checked; these are made where
//! they are needed. [`draw`] gives the same pixels for a seed on every platform, so that two processes can name a picture by
//! its seed alone.
//!
//! What the pictures are made to be: pleasant to look at; detailed enough that a perceptual hash of them is to be
//! trusted (PDQ quality of 50 and more); and far apart from each other, in any rotation or reflection.
//! [`Alteration::DEMO`] lists changes after which PDQ still recognises them.
//!
//! Reading order: [`draw`] in `scenes.rs` is the whole path of a seed. Below it lie `stage` (canvas, light, sky,
//! sea, land), `props` (boats, gulls, firs, rocks) and one file for each subject in `scenes/`; below these `canvas`
//! and `shapes`, `light` and `colour`, `noise`, `rng` and `numbers`. Apart from all that stand `encode` and `alter`.

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
