//! Plans versions of model cards: it numbers them, and names the document that keeps each version.

use std::sync::Arc;

use vigie_consortium::{CardVersion, Change, Directory, DocumentId, DocumentKey, DocumentKind};

use crate::error::Error;

/// A card that a caller puts. The bank gives it its version.
#[derive(Debug, Clone)]
pub(crate) struct NewCard {
    /// The card. Its version is ignored.
    pub(crate) card: Arc<CardVersion>,
    /// The newest version that the caller expects; 0 for none, `None` to skip the check.
    pub(crate) expected: Option<u32>,
}

impl NewCard {
    /// Returns the change that puts the card as the next version.
    pub(crate) fn change(&self, directory: &Directory) -> Result<Change, Error> {
        let Self { card, expected } = self;
        let newest = directory.model_card(card.name()).map_or(0, |newest| newest.version());
        if expected.is_some_and(|expected| expected != newest) {
            return Err(Error::StaleCard { newest });
        }
        let version = newest.checked_add(1).ok_or(Error::Broken)?;
        // A version with more digits may make the document too long.
        let numbered = card.with_version(version).map_err(|fault| Error::Card(fault.to_string()))?;
        Ok(Change::ModelCardPut(Arc::new(numbered)))
    }
}

/// Returns the id of the document of a version of a card.
pub(crate) fn card_id(name: &str, version: u32) -> DocumentId {
    let key = [name.as_bytes(), &[0], &version.to_be_bytes()].concat();
    // The longest name of a model, with a version, is shorter than the longest key.
    (DocumentKind::ModelCard, DocumentKey::new(&key).unwrap_or_default())
}
