//! A record that one task writes and another collects.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::run::record::Record;
use crate::run::record::note::Sample;

/// The part of a lane's record that has not been collected yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    pub(crate) fn note(&self, sample: &Sample, warm_up: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(sample, warm_up);
    }

    pub(crate) fn note_probe(&self, began: Duration, added: bool, took: Option<Duration>, warm_up: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note_probe(began, added, took, warm_up);
    }

    /// Adds a part that another generator has recorded.
    pub(crate) fn add(&self, part: &Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(part);
    }

    /// Returns the part since the last collection.
    pub(crate) fn collect(&self) -> Record {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
