//! Client of the bank's service of declared hash types.

use tokio::time::Instant;
use vigie_model::{Declaration, Distance, VectorClass};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::hash_type_service_client::HashTypeServiceClient;

use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The largest answer: 64 types.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A hash type of vectors to be declared. The bank chooses its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHashType {
    /// Its name.
    pub name: String,
    /// The form of the elements, and the metric.
    pub class: VectorClass,
    /// Elements of each vector.
    pub elements: u16,
    /// The distance used where neither the caller nor the bank names one.
    pub distance_default: Distance,
    /// The largest distance that a search accepts.
    pub distance_max: Distance,
}

/// Speaks to the bank, or to that one of several on one database which serves, about declared hash types. Calls are retried within their
/// deadline.
#[derive(Debug, Clone)]
pub struct HashTypeClient {
    bank: LeadingBank<HashTypeServiceClient<Channel>>,
}

impl HashTypeClient {
    among_banks!(HashTypeServiceClient, ANSWER_BYTES_MAX);

    /// Declares a hash type, permanently. One that is declared already in the same way is answered as it is.
    pub async fn declare(
        &self,
        new: NewHashType,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Declaration>, CallError> {
        let NewHashType { name, class, elements, distance_default, distance_max } = new;
        let request = pb::DeclareHashTypeRequest {
            name,
            elements: elements.into(),
            element: pb::VectorElement::from(class.element).into(),
            metric: pb::VectorMetric::from(class.metric).into(),
            distance_default: distance_default.0,
            distance_max: distance_max.0,
            idempotency_key: key.into_text(),
        };
        let answer: pb::DeclareHashTypeResponse =
            call!(self, deadline, declare_hash_type, DeclareHashType, request)?;
        let declared = answer.hash_type.ok_or_else(|| Invalid::missing("hash_type"));
        self.bank.written(declared.and_then(Declaration::try_from), answer.sequence)
    }

    /// Lists the declared hash types, by ascending number.
    pub async fn list(&self, deadline: Instant) -> Result<Written<Vec<Declaration>>, CallError> {
        let request = pb::ListHashTypesRequest {};
        let answer: pb::ListHashTypesResponse =
            call!(self, deadline, list_hash_types, ListHashTypes, request)?;
        let declared = answer.hash_types.into_iter().map(Declaration::try_from).collect();
        self.bank.written(declared, answer.sequence)
    }
}
