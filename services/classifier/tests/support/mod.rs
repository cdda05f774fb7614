//! Engines of test processes.

#![allow(dead_code, reason = "each test program uses some of it")]

pub(crate) mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use vigie_classifier::{OnnxEngine, OnnxModel, OnnxSettings};
use vigie_sandbox::Requirement;

/// The name of the model in every test.
pub(crate) const MODEL: &str = "model";

/// Returns settings with the test's own process program, and one process.
pub(crate) fn settings(library: &Path) -> OnnxSettings {
    OnnxSettings {
        library: Some(library.to_owned()),
        program: Some(PathBuf::from(env!("CARGO_BIN_EXE_vigie-classifier-worker"))),
        requirement: Requirement::BestEffort,
        workers: 1,
        waiting_max: 8,
        model_bytes_max: 64 << 20,
        memory_bytes_max: 1 << 30,
        tensor_bytes_max: 16 << 20,
        run_within: Duration::from_secs(60),
        start_within: Duration::from_secs(60),
    }
}

/// Writes a model to a file in `folder`.
pub(crate) fn model(folder: &Path, content: &[u8]) -> OnnxModel {
    let file = folder.join("model.onnx");
    std::fs::write(&file, content).unwrap();
    OnnxModel { file, sha256: Sha256::digest(content).into(), trial: None }
}

/// Returns the engine of one model.
pub(crate) fn engine(settings: &OnnxSettings, model: OnnxModel) -> OnnxEngine {
    OnnxEngine::start(settings, BTreeMap::from([(MODEL.to_owned(), model)])).unwrap()
}

/// Returns a deadline that no test reaches.
pub(crate) fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}
