//! Calls the services of the bank: of one bank, or of the serving one of several banks on one database.

use std::fmt;
use std::future::Future;

use rand::RngExt as _;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use vigie_consortium::Method;
use vigie_model::Sequence;
use vigie_net::{Bearer, CallError, Channel, EndpointError, Leader, Network, Patience, Target};
use vigie_proto::Invalid;

use crate::wrong_service::explained;

/// The key of one write, so that it is done once however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Makes a key that nobody else draws: 128 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::rng().random::<u128>()))
    }

    /// Makes a key of the caller's own, such as the name of an import and the number of its batch.
    #[must_use]
    pub fn named(name: impl fmt::Display) -> Self {
        Self(name.to_string())
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// A write that is committed and flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The result of the write.
    pub value: T,
    /// A search with this minimum sequence sees the write.
    pub sequence: Sequence,
}

/// The serving bank, called through the generated client `S` of one of its services. Reads, and writes with
/// an idempotency key, are retried within their deadline.
#[derive(Debug, Clone)]
pub(crate) struct LeadingBank<S> {
    banks: Leader<Endpoint<S>>,
    bearer: Option<Bearer>,
}

#[derive(Debug, Clone)]
struct Endpoint<S> {
    target: Target,
    stub: S,
}

impl<S: Clone> LeadingBank<S> {
    /// Finds the serving one of the banks at these endpoints, at least one, on a network.
    pub(crate) fn among(
        endpoints: &[impl AsRef<str>],
        network: &Network,
        stub: impl Fn(Channel) -> S + Send + Sync + 'static,
    ) -> Result<Self, EndpointError> {
        let on = network.clone();
        let endpoint = move |endpoint: &str| {
            let target = Target::new("bank", endpoint, &on)?;
            let stub = stub(target.channel());
            Ok(Endpoint { target, stub })
        };
        Ok(Self { banks: Leader::new("bank", endpoints, network, endpoint)?, bearer: None })
    }

    pub(crate) fn with_patience(self, patience: Patience) -> Self {
        Self { banks: self.banks.with_patience(patience), ..self }
    }

    /// Returns the same banks and connections, for a caller with this credential.
    pub(crate) fn bearing(&self, bearer: Option<Bearer>) -> Self {
        Self { banks: self.banks.clone(), bearer }
    }

    /// Returns the endpoint of the bank that answered last, or the first one.
    pub(crate) fn endpoint(&self) -> &str {
        self.banks.endpoint()
    }

    /// Makes one retried call: `send` sends each attempt.
    pub(crate) async fn call<Q: Clone, A, F>(
        &self,
        method: Method,
        deadline: Instant,
        request: Q,
        send: impl Fn(S, Request<Q>) -> F,
    ) -> Result<A, CallError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let (path, send) = (method.path().trim_start_matches('/'), &send);
        self.banks
            .call(deadline, |Endpoint { target, stub }| {
                let (target, request) = (target.bearing(self.bearer.clone()), request.clone());
                // Boxed: otherwise the state of the attempts would contain the future several times.
                Box::pin(async move {
                    let call = target.call(path, deadline, request, |request| send(stub, request));
                    explained(&target, call.await).await
                })
            })
            .await
    }

    /// Returns the checked result of a write.
    pub(crate) fn written<T>(
        &self,
        value: Result<T, Invalid>,
        sequence: u64,
    ) -> Result<Written<T>, CallError> {
        Ok(Written { value: self.checked(value)?, sequence: Sequence(sequence) })
    }

    /// Checks a part of an answer: an invalid one breaks the contract.
    pub(crate) fn checked<T>(&self, value: Result<T, Invalid>) -> Result<T, CallError> {
        value.map_err(|invalid| self.banks.handle().target.unreadable(&invalid))
    }
}

/// Makes one retried call of a client that has its [`LeadingBank`] in the field `bank`.
macro_rules! call {
    ($self:ident, $deadline:ident, $stub:ident, $method:ident, $request:expr) => {
        $self
            .bank
            .call(vigie_consortium::Method::$method, $deadline, $request, |mut stub, request| async move {
                stub.$stub(request).await
            })
            .await
    };
}

/// Makes the constructors of a client of the bank: `$stub` is the generated client, and `$bytes_max` the most
/// bytes of an answer.
macro_rules! among_banks {
    ($stub:ident, $bytes_max:expr) => {
        /// Makes a client of the serving one of the banks at these endpoints, at least one, on a network.
        pub fn among(
            endpoints: &[impl AsRef<str>],
            network: &vigie_net::Network,
        ) -> Result<Self, vigie_net::EndpointError> {
            let stub = |channel| $stub::new(channel).max_decoding_message_size($bytes_max);
            Ok(Self { bank: LeadingBank::among(endpoints, network, stub)? })
        }

        /// Limits the time for which calls are retried. The default is their deadline.
        #[must_use]
        pub fn with_patience(self, patience: vigie_net::Patience) -> Self {
            Self { bank: self.bank.with_patience(patience) }
        }

        /// Returns the same banks and connections, for a caller with this credential.
        #[must_use]
        pub fn bearing(&self, bearer: Option<vigie_net::Bearer>) -> Self {
            Self { bank: self.bank.bearing(bearer) }
        }
    };
}

pub(crate) use {among_banks, call};
