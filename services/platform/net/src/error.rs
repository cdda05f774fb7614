//! The error of a failed call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prost::Name;
use tonic::{Code, Status};
use vigie_rpc::{CallEnd, code, details};

/// A failed call: the service, the endpoint, and the status that it answered.
#[derive(Debug, Clone)]
pub struct CallError {
    service: &'static str,
    endpoint: Arc<str>,
    status: Box<Status>,
    is_of_the_connection: bool,
    is_for_good: bool,
    is_after_another: bool,
    credentials: Option<Arc<str>>,
}

impl CallError {
    pub(crate) fn new(service: &'static str, endpoint: Arc<str>, status: Status) -> Self {
        let status = Box::new(status);
        let (is_of_the_connection, is_for_good, is_after_another) = (false, false, false);
        let credentials = None;
        Self { service, endpoint, status, is_of_the_connection, is_for_good, is_after_another, credentials }
    }

    /// Returns the error of a failed call within this process, which used no connection.
    #[must_use]
    pub fn within_process(service: &'static str, endpoint: Arc<str>, status: Status) -> Self {
        Self::new(service, endpoint, status)
    }

    pub(crate) fn of_the_connection(self, is_for_good: bool) -> Self {
        Self { is_of_the_connection: true, is_for_good, ..self }
    }

    pub(crate) fn with_credentials(self, credentials: Option<Arc<str>>) -> Self {
        Self { credentials, ..self }
    }

    pub(crate) fn after_another(self) -> Self {
        Self { is_after_another: true, ..self }
    }

    /// Adds the error of the attempt before to the error of an attempt that the deadline ended.
    pub(crate) fn after(self, last: &Self) -> Self {
        let message = format!("{}; the last attempt: {}", self.message(), with_causes(last));
        self.with_message(message)
    }

    /// Adds the errors of other endpoints that were tried for the same call.
    pub(crate) fn beside(self, others: &[Self]) -> Self {
        let own = match std::error::Error::source(&*self.status) {
            Some(source) => format!("cannot be reached: {}", with_causes(source)),
            None => self.message().to_owned(),
        };
        let others: Vec<String> = others.iter().map(|other| with_causes(other)).collect();
        self.with_message(format!("{own}; {}", others.join("; ")))
    }

    /// Returns the same error with another text, which replaces its text and its cause.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        *self.status = Status::new(self.code(), message);
        self
    }

    /// Returns the name of the called service.
    #[must_use]
    pub const fn service(&self) -> &'static str {
        self.service
    }

    /// Returns the name of the credentials that the call carried, such as `API key abcdefghijklmnop of
    /// VIGIE_API_KEY`; `None` if it carried none.
    #[must_use]
    pub fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    /// Returns whether the service could not be reached, or the connection broke during the call; the service
    /// answered nothing.
    #[must_use]
    pub const fn is_of_the_connection(&self) -> bool {
        self.is_of_the_connection
    }

    /// Returns whether every connection to the service will fail in the same way until somebody changes a
    /// certificate or an address, so that another attempt is of no use.
    #[must_use]
    pub const fn is_for_good(&self) -> bool {
        self.is_for_good
    }

    /// Returns whether an earlier attempt failed in another way. That attempt may have been carried out,
    /// whatever this error is.
    #[must_use]
    pub const fn is_after_another(&self) -> bool {
        self.is_after_another
    }

    /// Returns the outcome of the call as evidence about the endpoint.
    #[must_use]
    pub fn call_end(&self) -> CallEnd {
        if self.is_of_the_connection { CallEnd::Failed } else { code::end(self.code()) }
    }

    /// Returns the gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.status.code()
    }

    /// Returns the text that the service answered.
    #[must_use]
    pub fn message(&self) -> &str {
        self.status.message()
    }

    /// Returns the time after which the service asks to be called again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        details::retry_after(&self.status)
    }

    /// Returns the message of this type among the details of the error, if there is one.
    #[must_use]
    pub fn detail<M: prost::Message + Name + Default>(&self) -> Option<M> {
        details::message(&self.status)
    }

    /// Returns the status itself, for a service that passes it on.
    #[must_use]
    pub fn into_status(self) -> Status {
        *self.status
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, endpoint, status, .. } = self;
        match std::error::Error::source(&**status) {
            // The text of the transport's error ("tcp connect error") is more precise than that of the
            // status.
            Some(_) => write!(f, "cannot reach the {service} at {endpoint}"),
            None => write!(f, "{service} at {endpoint}: {}", status.message()),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.status)
    }
}

/// Returns the text of an error and of all its causes, each once: some errors repeat the text of their cause.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = all.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
