//! A record that is written by one task and collected by another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::run::record::Record;
use crate::run::record::note::Sample;

/// The record of a lane, as far as it has not been collected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Record>>);

impl Recorder {
    pub(crate) fn note(&self, sample: &Sample, warm_up: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(sample, warm_up);
    }

    pub(crate) fn note_probe(&self, began: Duration, added: bool, took: Option<Duration>, warm_up: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note_probe(began, added, took, warm_up);
    }

    /// Adds what another generator has recorded.
    pub(crate) fn add(&self, part: &Record) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(part);
    }

    /// What has come since it was last collected.
    pub(crate) fn collect(&self) -> Record {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
