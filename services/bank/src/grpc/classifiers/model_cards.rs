//! The service that keeps model cards.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use vigie_consortium::{CardVersion, Change, Class};
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::{Invalid, invalid_fields};

use crate::error::Error;
use crate::grpc::{BankGrpc, Reading};
use crate::plan::classifiers::model_cards::{NewCard, card_id};
use crate::plan::members::MembersAction;

/// Reads the card of a request, with every fault. Its version does not count.
fn read_card(document: &str) -> Result<CardVersion, Status> {
    let within = |(field, reason): (String, String)| {
        let field = if field == "." { "document".to_owned() } else { format!("document.{field}") };
        Invalid { field, reason }
    };
    let card = CardVersion::read_as(document, 1)
        .map_err(|fault| invalid_fields(fault.faults().into_iter().map(within).collect()))?;
    let faults: Vec<Invalid> = card
        .card()
        .output()
        .classes()
        .iter()
        .enumerate()
        .filter_map(|(at, class)| {
            let stands_for = class.stands_for.as_ref()?;
            let reason = unknown_class(stands_for.taxonomy(), stands_for.dimension(), stands_for.value())?;
            Some(within((format!("output.classes[{at}].stands_for"), reason)))
        })
        .collect();
    if faults.is_empty() { Ok(card) } else { Err(invalid_fields(faults)) }
}

/// Returns the reason why the words are no class of a taxonomy that this bank knows; `None` if they are one.
fn unknown_class(taxonomy: &str, dimension: &str, value: &str) -> Option<String> {
    let known = vigie_consortium::items::taxonomy::taxonomies();
    if !known.contains_key(taxonomy) {
        let known: Vec<&str> = known.keys().map(String::as_str).collect();
        return Some(format!("{taxonomy} is no taxonomy that is known here; there are {}", known.join(", ")));
    }
    Class::new(taxonomy, dimension, value).err().map(|error| error.to_string())
}

impl Reading {
    /// A version of a card; the newest for 0.
    async fn card_version(&self, name: &str, version: u32) -> Result<Arc<CardVersion>, Status> {
        let newest = self.view.directory().model_card(name).ok_or_else(|| Error::no_card(name, 0))?;
        if version == 0 || version == newest.version() {
            return Ok(Arc::clone(newest));
        }
        let found = self.read(self.store.documents(&[card_id(name, version)])).await?;
        let document = found.first().ok_or_else(|| Error::no_card(name, version))?;
        let text = std::str::from_utf8(&document.payload).map_err(|_| Error::Broken)?;
        Ok(Arc::new(CardVersion::read(text).map_err(|_| Error::Broken)?))
    }
}

#[tonic::async_trait]
impl pb::model_card_service_server::ModelCardService for BankGrpc {
    async fn put_model_card(
        &self,
        request: Request<pb::PutModelCardRequest>,
    ) -> Result<Response<pb::PutModelCardResponse>, Status> {
        self.reading(&request)?.admitted()?;
        let (document, expected) = (request.get_ref().document.clone(), request.get_ref().expected_version);
        // A card of the largest size takes milliseconds.
        let card =
            tokio::task::spawn_blocking(move || read_card(&document)).await.map_err(|_| Error::Broken)??;
        let card = Arc::new(card);
        let action =
            |_: &pb::PutModelCardRequest| Ok(MembersAction::PutModelCard(NewCard { card, expected }));
        let (change, sequence) = self.change(request, action).await?;
        let Change::ModelCardPut(card) = change else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::PutModelCardResponse { version: card.version(), sequence }))
    }

    async fn get_model_card(
        &self,
        request: Request<pb::GetModelCardRequest>,
    ) -> Result<Response<pb::GetModelCardResponse>, Status> {
        let reading = self.reading(&request)?;
        reading.admitted()?;
        let pb::GetModelCardRequest { name, version } = request.into_inner();
        let card = reading.card_version(&name, version).await?;
        let directory = reading.view.directory();
        let newest_version = directory.model_card(&name).map_or(0, |newest| newest.version());
        let sequence = directory.sequence().0;
        Ok(Response::new(pb::GetModelCardResponse { card: Some((&*card).into()), newest_version, sequence }))
    }

    async fn list_model_cards(
        &self,
        request: Request<pb::ListModelCardsRequest>,
    ) -> Result<Response<pb::ListModelCardsResponse>, Status> {
        let reading = self.reading(&request)?;
        reading.admitted()?;
        let directory = reading.view.directory();
        let models = directory.model_cards().iter().map(|card| (&**card).into()).collect();
        Ok(Response::new(pb::ListModelCardsResponse { models, sequence: directory.sequence().0 }))
    }
}
