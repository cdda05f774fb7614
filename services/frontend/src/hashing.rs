//! Decodes and hashes files: bounded pools of threads, one for images and one for videos.

pub(crate) mod pool;
pub(crate) mod images;
pub(crate) mod videos;

pub(crate) use images::{HashedImage, Images};
pub(crate) use pool::{HashingMetrics, HashingPool};
pub(crate) use videos::{HashedVideo, Videos};
