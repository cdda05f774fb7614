//! The same path through ONNX Runtime in its process, if `VIGIE_ONNXRUNTIME` names its library.

use std::path::PathBuf;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use vigie_classifiers::ModelCardDraft;
use vigie_proto::pb::classifier::v1::ScoreFailureKind;

use super::server::{picture_model, text_model};
use super::world::{World, conversation, picture, pictures, pixels, texts};
use super::{COLOUR, TEXT};
use crate::config::Config;

/// Returns the library, and the program of this crate that runs as a classifier process.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let library = std::env::var_os("VIGIE_ONNXRUNTIME").map(PathBuf::from);
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("vigie-classifier-worker");
    let both = library.zip(program.exists().then_some(program));
    if both.is_none() {
        println!(
            "SKIPPED: VIGIE_ONNXRUNTIME does not name ONNX Runtime's library, or there is no program of a worker"
        );
    }
    both
}

#[tokio::test]
async fn models_in_files_have_the_scores_that_are_computed_by_hand() {
    let Some((library, program)) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        (path, data_encoding::HEXLOWER.encode(&Sha256::digest(content)))
    };
    let files = [
        ("pictures", file("pictures.onnx", &picture_model().file())),
        ("texts", file("texts.onnx", &text_model().file())),
    ];
    let models: Vec<_> = files
        .iter()
        .map(|(name, (file, sha256))| json!({ "name": name, "file": file, "sha256": sha256 }))
        .collect();
    let config: Config = serde_json::from_value(json!({
        "onnxruntime_library": library, "program": program, "sandbox": "best_effort", "workers": 1, "models": models,
    }))
    .unwrap();
    let of_file = |card: ModelCardDraft, at: usize| ModelCardDraft {
        server_version: None,
        digest: Some(files[at].1.1.clone()),
        ..card
    };
    let world = World::serving(&config, &[of_file(pictures(), 0), of_file(texts(), 1)]).await;
    let scored = world.score(vec![picture(1, pixels(COLOUR.0)), conversation(&TEXT.0)]).await;
    scored[0].is(&COLOUR.1);
    scored[1].is(&TEXT.1);
    // A file other than the card's is not run, though it is configured.
    world.cards.set(&[of_file(pictures(), 1), of_file(texts(), 1)]);
    let refused = world.until("pictures", |model| model.problem.contains("the configuration names")).await;
    assert!(!refused.is_served);
    let scored = world.score(vec![picture(1, pixels(COLOUR.0))]).await;
    assert_eq!(scored[0].kind(), Some(ScoreFailureKind::NotServed));
}
