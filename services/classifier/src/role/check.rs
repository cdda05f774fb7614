//! Checks that a configured model is that of its card.

use data_encoding::HEXLOWER;
use thiserror::Error;
use tokio::time::Instant;
use vigie_classifiers::card::{Source, TestMismatch};
use vigie_classifiers::{InputError, ModelCard, ScoreError};

use crate::engine::Engine;
use crate::error::EngineError;

/// The reason why a model is not served. No text holds a content, not even that of a test vector.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    /// The card names another file.
    #[error("the card is of the file with the SHA-256 {card}; the configuration names {configured}")]
    File { card: String, configured: String },
    /// The card names another version at the server.
    #[error(
        "the card is of version {card} of the server's model; the configuration names {}",
        named(configured)
    )]
    Version { card: String, configured: String },
    /// The card names a model in a file, but a server's model is configured.
    #[error("the card is of a model in a file, and the configuration has it at a server")]
    OfFile,
    /// The card names a server's model, but a model in a file is configured.
    #[error("the card is of a server's model, and the configuration has it in a file")]
    OfServer,
    /// The engine failed to run the model.
    #[error("{0}")]
    Engine(EngineError),
    /// The test vector cannot be converted to a tensor.
    #[error("the card's test vector is none that the model reads: {0}")]
    Input(InputError),
    /// The model's outputs hold no scores.
    #[error("the model's outputs are not those of the card: {0}")]
    Output(ScoreError),
    /// The scores differ from those of the test vector.
    #[error("{0}")]
    Vector(TestMismatch),
}

impl Problem {
    /// Returns whether the engine had no time for the check, so that the model may still be right.
    pub(crate) const fn is_of_load(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Busy { .. } | EngineError::OutOfTime))
    }
}

fn named(version: &str) -> String {
    if version.is_empty() { "none (`server_version`)".to_owned() } else { version.to_owned() }
}

/// Compares the source of the model in the card with that in the configuration.
pub(crate) fn compare(card: &ModelCard, configured: &Source) -> Result<(), Problem> {
    match (card.source(), configured) {
        (Source::File(card), Source::File(configured)) if card == configured => Ok(()),
        (Source::File(card), Source::File(configured)) => {
            let [card, configured] = [card, configured].map(|sha256| HEXLOWER.encode(&sha256.0));
            Err(Problem::File { card, configured })
        }
        (Source::Server(card), Source::Server(configured)) if card == configured => Ok(()),
        (Source::Server(card), Source::Server(configured)) => {
            let [card, configured] = [card, configured].map(|version| version.to_string());
            Err(Problem::Version { card, configured })
        }
        (Source::File(_), Source::Server(_)) => Err(Problem::OfFile),
        (Source::Server(_), Source::File(_)) => Err(Problem::OfServer),
    }
}

/// Runs the test vector of the card on the path of every content: tensor, engine, scores.
pub(crate) async fn meet(engine: &dyn Engine, card: &ModelCard, deadline: Instant) -> Result<(), Problem> {
    let tensor = card.tensor(card.test_vector().content()).map_err(Problem::Input)?;
    let outputs = engine.run(card.name().as_str(), vec![tensor], deadline).await.map_err(Problem::Engine)?;
    let scores = card.scores(&outputs).map_err(Problem::Output)?;
    card.test_vector().check(&scores).map_err(Problem::Vector)
}
