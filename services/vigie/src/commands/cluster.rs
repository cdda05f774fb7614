//! Commands that start a cluster or a role, or prepare the start.

pub(crate) mod up;
pub(crate) mod role;
pub(crate) mod demo;
pub(crate) mod dev_ca;
pub(crate) mod config;
mod config_show;
pub(crate) mod descriptors;
