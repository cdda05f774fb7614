//! The request and the results of a search, which the coordinator and the matchers share.
//!
//! Queries and results have one of two forms: one message for each, which every version reads, or packed
//! ([`crate::model::packed`]). A server answers in the form of the request.

use vigie_model::{Query, QueryMatches, SearchOptions};

use crate::cost::check_queries;
use crate::invalid::{Invalid, each};
use crate::model::packed::packed_queries;
use crate::model::search_options::{check_answers, search_options};
use crate::model::{Sender, queries};
use crate::pb::model::v1 as pb;

/// Implements the building and the reading of a package's `SearchRequest`.
macro_rules! search_request {
    ($message:path) => {
        impl $message {
            /// Returns the request to search for `queries`. The matches in the answer have `answer_bytes_max`
            /// bytes at most.
            pub fn of<'query>(
                queries: impl IntoIterator<Item = &'query vigie_model::Query>,
                options: &vigie_model::SearchOptions,
                answer_bytes_max: usize,
                form: crate::Form,
            ) -> Self {
                let (queries, packed) = match form {
                    crate::Form::Plain => (queries.into_iter().map(Into::into).collect(), None),
                    crate::Form::Packed => {
                        (Vec::new(), Some(crate::pb::model::v1::PackedQueries::of(queries)))
                    }
                };
                Self {
                    queries,
                    packed,
                    options: Some(options.clone().into()),
                    answer_bytes_max: u32::try_from(answer_bytes_max).unwrap_or(u32::MAX),
                }
            }

            /// Returns the form of the queries, in which the results must be sent too.
            #[must_use]
            pub const fn form(&self) -> crate::Form {
                if self.packed.is_some() { crate::Form::Packed } else { crate::Form::Plain }
            }

            /// Returns the most bytes of matches that the answer may hold, if the caller has set them.
            #[must_use]
            pub fn answer_bytes(&self) -> Option<usize> {
                let asked = usize::try_from(self.answer_bytes_max).unwrap_or(vigie_model::ANSWER_BYTES_MAX);
                (asked > 0).then_some(asked.min(vigie_model::ANSWER_BYTES_MAX))
            }
        }

        impl TryFrom<$message> for (Vec<vigie_model::Query>, vigie_model::SearchOptions) {
            type Error = crate::invalid::Invalid;

            fn try_from(message: $message) -> Result<Self, Self::Error> {
                crate::search::request(message.queries, message.packed, message.options)
            }
        }
    };
}

pub(crate) use search_request;

/// The form of the queries and results of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A message for each query, hash and match.
    Plain,
    /// One message of columns for all queries, and one for all matches.
    Packed,
}

/// Reads a request in either form.
pub(crate) fn request(
    plain: Vec<pb::HashQuery>,
    packed: Option<pb::PackedQueries>,
    options: Option<pb::SearchOptions>,
) -> Result<(Vec<Query>, SearchOptions), Invalid> {
    let options = search_options(options, Sender::Peer)?;
    let queries = match packed {
        None => {
            check_answers(plain.len(), &options)?;
            queries(plain)?
        }
        Some(_) if !plain.is_empty() => {
            return Err(Invalid::new("packed", "comes with `queries`; a request has one of the two"));
        }
        Some(packed) => {
            let queries = packed_queries(packed, Sender::Peer).map_err(|invalid| invalid.within("packed"))?;
            check_answers(queries.len(), &options)?;
            queries
        }
    };
    check_queries(&queries, &options)?;
    Ok((queries, options))
}

/// Reads the results of an answer in either form.
pub(crate) fn results(
    plain: Vec<pb::QueryMatches>,
    packed: Option<pb::PackedMatches>,
) -> Result<Vec<QueryMatches>, Invalid> {
    match packed {
        None => each("results", plain, QueryMatches::try_from),
        Some(_) if !plain.is_empty() => {
            Err(Invalid::new("packed", "comes with `results`; an answer has one of the two"))
        }
        Some(packed) => packed.try_into().map_err(|invalid: Invalid| invalid.within("packed")),
    }
}
