//! The failure of a store as callers outside see it.

use thiserror::Error;

use crate::store::StoreError;

/// A failure of the store, with its own words.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct StoreFailure(#[from] StoreError);
