//! The request of a search, which the coordinator and the matchers take alike.

/// Defines how the `SearchRequest` of a package is made and read.
macro_rules! search_request {
    ($message:path) => {
        impl $message {
            /// The request to look for `queries`, with an answer of at most so many bytes of matches.
            pub fn of<'query>(
                queries: impl IntoIterator<Item = &'query vigie_model::Query>,
                options: &vigie_model::SearchOptions,
                answer_bytes_max: usize,
            ) -> Self {
                Self {
                    queries: queries.into_iter().map(Into::into).collect(),
                    options: Some(options.clone().into()),
                    answer_bytes_max: u32::try_from(answer_bytes_max).unwrap_or(u32::MAX),
                }
            }

            /// The bytes of matches that the answer may hold, if the caller has set them.
            #[must_use]
            pub fn answer_bytes(&self) -> Option<usize> {
                let asked = usize::try_from(self.answer_bytes_max).unwrap_or(vigie_model::ANSWER_BYTES_MAX);
                (asked > 0).then_some(asked.min(vigie_model::ANSWER_BYTES_MAX))
            }
        }

        impl TryFrom<$message> for (Vec<vigie_model::Query>, vigie_model::SearchOptions) {
            type Error = crate::invalid::Invalid;

            fn try_from(message: $message) -> Result<Self, Self::Error> {
                let options = crate::model::search_options::search_options(
                    message.options,
                    crate::model::Sender::Peer,
                )?;
                crate::model::search_options::check_answers(message.queries.len(), &options)?;
                Ok((crate::cost::affordable_queries(message.queries, &options)?, options))
            }
        }
    };
}

pub(crate) use search_request;
