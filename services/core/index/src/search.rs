//! The search of one segment: how a hash is divided, which rows can be near, and how they are compared.

pub(crate) mod permutation;
pub(crate) mod flips;
pub(crate) mod id_form;
pub(crate) mod chunking;
pub(crate) mod tables;
pub(crate) mod chain;
pub(crate) mod pipeline;
pub(crate) mod signature;
pub(crate) mod verify;
pub(crate) mod buckets;
pub(crate) mod nearest;
