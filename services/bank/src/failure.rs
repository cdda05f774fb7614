//! The failure of a store, as callers outside this crate see it.

use thiserror::Error;

use crate::store::StoreError;

/// A failure of the store, with the store's own message.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct StoreFailure(#[from] StoreError);
