//! Client of the bank's service of model cards.

use tokio::time::Instant;
use vigie_consortium::CardVersion;
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::model_card_service_client::ModelCardServiceClient;

use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: enough for the summaries of 64 models with 64 classes each, and for more than
/// one card.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A summary of a model's card.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSummary {
    /// The name of the model.
    pub name: String,
    /// The version of the card.
    pub version: u32,
    /// `image` or `conversation`.
    pub kind: String,
    /// `shadow` or `active`.
    pub mode: String,
    /// `in_use` or `retired`.
    pub state: String,
    /// The classes, in the order of the card.
    pub classes: Vec<ModelClass>,
}

/// A class of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelClass {
    /// The name of the class.
    pub name: String,
    /// The class of a taxonomy that it represents, in the form `taxonomy/dimension=value`.
    pub stands_for: Option<String>,
    /// The threshold and N for its rate of at most 1 in N; `None` if no threshold was chosen.
    pub threshold: Option<(f32, u64)>,
}

/// The requested version of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadModelCard {
    /// The version of the card.
    pub card: CardVersion,
    /// The number of the newest version.
    pub newest_version: u32,
}

/// Calls the bank's service of model cards, on the serving one of several banks on one database. Calls are
/// retried within their deadline.
#[derive(Debug, Clone)]
pub struct ModelCardClient {
    bank: LeadingBank<ModelCardServiceClient<Channel>>,
}

impl ModelCardClient {
    among_banks!(ModelCardServiceClient, ANSWER_BYTES_MAX);

    /// Sets the card of a model as a new version, and returns the number that the bank gives it. `expected`:
    /// the number of the newest version, 0 for none; the call fails if it is not. `None` skips this check.
    pub async fn put(
        &self,
        document: &str,
        expected: Option<u32>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        let request = pb::PutModelCardRequest {
            document: document.to_owned(),
            expected_version: expected,
            idempotency_key: key.into_text(),
        };
        let answer: pb::PutModelCardResponse = call!(self, deadline, put_model_card, PutModelCard, request)?;
        self.bank.written(Ok(answer.version), answer.sequence)
    }

    /// Reads a version of a card; 0 means the newest version.
    pub async fn get(
        &self,
        name: &str,
        version: u32,
        deadline: Instant,
    ) -> Result<Written<ReadModelCard>, CallError> {
        let request = pb::GetModelCardRequest { name: name.to_owned(), version };
        let answer: pb::GetModelCardResponse = call!(self, deadline, get_model_card, GetModelCard, request)?;
        let card = answer.card.ok_or_else(|| Invalid::missing("card")).and_then(CardVersion::try_from);
        let newest_version = answer.newest_version;
        self.bank.written(card.map(|card| ReadModelCard { card, newest_version }), answer.sequence)
    }

    /// Lists the newest version of each card, by ascending name.
    pub async fn list(&self, deadline: Instant) -> Result<Written<Vec<ModelSummary>>, CallError> {
        let request = pb::ListModelCardsRequest {};
        let answer: pb::ListModelCardsResponse =
            call!(self, deadline, list_model_cards, ListModelCards, request)?;
        let models = answer.models.into_iter().map(ModelSummary::from).collect();
        self.bank.written(Ok(models), answer.sequence)
    }
}

impl From<pb::ModelSummary> for ModelSummary {
    fn from(message: pb::ModelSummary) -> Self {
        let pb::ModelSummary { name, version, kind, mode, state, classes } = message;
        let class = |class: pb::ModelClass| ModelClass {
            name: class.name,
            stands_for: (!class.stands_for.is_empty()).then_some(class.stands_for),
            threshold: class.threshold.map(|threshold| (threshold, class.at_most_one_in)),
        };
        Self { name, version, kind, mode, state, classes: classes.into_iter().map(class).collect() }
    }
}
