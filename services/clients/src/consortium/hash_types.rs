//! Client of the bank's service of declared hash types.

use tokio::time::Instant;
use vigie_model::{Declaration, Distance, VectorClass};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::hash_type_service_client::HashTypeServiceClient;

use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: 64 types.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A hash type of vectors to declare. The bank chooses its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHashType {
    /// Its name.
    pub name: String,
    /// The form of the elements, and the metric.
    pub class: VectorClass,
    /// Number of elements of each vector.
    pub elements: u16,
    /// The distance that is used if neither the caller nor the bank names one.
    pub distance_default: Distance,
    /// The largest distance that a search accepts.
    pub distance_max: Distance,
}

/// Calls the bank's service of hash types, on the serving one of several banks on one database. Calls are
/// retried within their deadline.
#[derive(Debug, Clone)]
pub struct HashTypeClient {
    bank: LeadingBank<HashTypeServiceClient<Channel>>,
}

impl HashTypeClient {
    among_banks!(HashTypeServiceClient, ANSWER_BYTES_MAX);

    /// Declares a hash type, permanently. A type that is declared already in the same way is returned
    /// unchanged.
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
