//! Calls to the services of the bank: one bank, or that one of several on one database which serves.

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

/// Names one write, so that it is done once however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A key that nobody else draws: 128 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", rand::rng().random::<u128>()))
    }

    /// A key of the caller's own, such as the name of an import and the number of its batch.
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
    /// What it made.
    pub value: T,
    /// A search that asks for this sequence sees the write.
    pub sequence: Sequence,
}

/// The bank that serves, by the generated client `S` of one of its services. Reads, and writes with an idempotency key, are retried
/// within their deadline.
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
    /// The one that serves of the banks at these endpoints, at least one, on a network.
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

    /// The same banks and connections, for a caller with this credential.
    pub(crate) fn bearing(&self, bearer: Option<Bearer>) -> Self {
        Self { banks: self.banks.clone(), bearer }
    }

    /// The endpoint of the bank that answered last, or of the first.
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
                // Boxed: the machinery of attempts would hold it several times.
                Box::pin(async move {
                    let call = target.call(path, deadline, request, |request| send(stub, request));
                    explained(&target, call.await).await
                })
            })
            .await
    }

    /// The checked answer of a call.
    pub(crate) fn written<T>(
        &self,
        value: Result<T, Invalid>,
        sequence: u64,
    ) -> Result<Written<T>, CallError> {
        Ok(Written { value: self.checked(value)?, sequence: Sequence(sequence) })
    }

    /// A part of an answer, which breaks the contract where it is invalid.
    pub(crate) fn checked<T>(&self, value: Result<T, Invalid>) -> Result<T, CallError> {
        value.map_err(|invalid| self.banks.handle().target.unreadable(&invalid))
    }
}

/// Makes one retried call of a client that has its [`LeadingBank`] in `bank`.
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

/// How each client of the bank is made: `$stub` is the client that is generated, and `$bytes_max` the size of its largest answer.
macro_rules! among_banks {
    ($stub:ident, $bytes_max:expr) => {
        /// The one that serves of the banks at these endpoints, at least one, on a network.
        pub fn among(
            endpoints: &[impl AsRef<str>],
            network: &vigie_net::Network,
        ) -> Result<Self, vigie_net::EndpointError> {
            let stub = |channel| $stub::new(channel).max_decoding_message_size($bytes_max);
            Ok(Self { bank: LeadingBank::among(endpoints, network, stub)? })
        }

        /// The same banks, on which calls are tried again as long as this. By default they are until their deadline.
        #[must_use]
        pub fn with_patience(self, patience: vigie_net::Patience) -> Self {
            Self { bank: self.bank.with_patience(patience) }
        }

        /// The same banks and connections, for a caller with this credential.
        #[must_use]
        pub fn bearing(&self, bearer: Option<vigie_net::Bearer>) -> Self {
            Self { bank: self.bank.bearing(bearer) }
        }
    };
}

pub(crate) use {among_banks, call};
