//! Reads the files again when they change.
//!
//! They are looked at from time to time and compared by content: that notices every way of replacing them, a link swapped
//! in one step as Kubernetes does with its secrets included, and takes a copy of the same for no change.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::files::{self, FileFault, Material};
use crate::tls::Shared;

/// Goes on until nobody uses what it keeps up.
pub(crate) async fn keep_up(shared: Weak<Shared>, every: Duration) {
    let mut told: Option<FileFault> = None;
    loop {
        tokio::time::sleep(every).await;
        let Some(shared) = shared.upgrade() else { return };
        let looked = tokio::task::spawn_blocking(move || look(&shared));
        // The runtime ends.
        let Ok(looked) = looked.await else { return };
        match looked {
            Ok(false) => told = None,
            Ok(true) => {
                told = None;
                tracing::info!("certificates and authorities were read again: new connections use them");
            }
            // The same fault at every look is one fault.
            Err(fault) if told.as_ref() == Some(&fault) => {}
            Err(fault) => {
                tracing::warn!(%fault, "cannot take the new certificates: those before stay in use");
                told = Some(fault);
            }
        }
    }
}

/// Whether there was something new. Blocks.
fn look(shared: &Arc<Shared>) -> Result<bool, FileFault> {
    let files = files::read(&shared.config)?;
    if files.fingerprint() == shared.current.load().fingerprint {
        return Ok(false);
    }
    shared.current.store(Arc::new(Material::new(&files, &shared.config, shared.sides)?));
    Ok(true)
}
