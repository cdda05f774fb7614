//! Several endpoints of one stateless service, used as one.
//!
//! Each call goes to the cheaper of two endpoints ([`crate::balance`]). If the connection breaks during a
//! call, the call is made once more, at another endpoint if there is one, so that the restart of an endpoint
//! is not noticed. The same holds if the endpoint answers that it is not available, provided that another one
//! is not left out.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;
use tonic::Code;
use vigie_rpc::CallEnd;

use crate::balance::{self, Load};
use crate::endpoint::EndpointError;
use crate::error::CallError;

/// The endpoints of a service. `T` is the handle of one endpoint, which is cheap to clone. Clones of the pool
/// share the state.
#[derive(Debug, Clone)]
pub struct Pool<T>(Arc<[Member<T>]>);

#[derive(Debug)]
struct Member<T> {
    /// The endpoint as configured.
    name: String,
    endpoint: T,
    load: Load,
}

impl<T: Clone> Pool<T> {
    /// Returns a pool of the handles of these endpoints. At least one is needed.
    ///
    /// # Errors
    ///
    /// There is no endpoint, or `handle` refuses one.
    pub fn new(
        endpoints: &[impl AsRef<str>],
        handle: impl Fn(&str) -> Result<T, EndpointError>,
    ) -> Result<Self, EndpointError> {
        if endpoints.is_empty() {
            return Err(EndpointError::none());
        }
        let member = |endpoint: &str| {
            Ok(Member { name: endpoint.to_owned(), endpoint: handle(endpoint)?, load: Load::default() })
        };
        let members = endpoints.iter().map(|endpoint| member(endpoint.as_ref()));
        Ok(Self(members.collect::<Result<_, _>>()?))
    }

    /// Iterates over the handles of all endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|member| &member.endpoint)
    }

    /// Returns the handle of the cheapest endpoint, for a use other than a call, such as a stream.
    #[must_use]
    pub fn pick(&self) -> T {
        self.choose(None).endpoint.clone()
    }

    /// Makes a call, and once more elsewhere if its connection breaks. Only for calls that may be made twice.
    pub async fn call<A, F>(&self, call: impl Fn(T) -> F) -> Result<A, CallError>
    where
        F: Future<Output = Result<A, CallError>>,
    {
        let first = self.choose(None);
        match first.call(&call).await {
            Err(error) if error.is_of_the_connection() => self.choose(Some(first)).call(&call).await,
            Err(error) if error.code() == Code::Unavailable => match self.another_in(first) {
                Some(second) => second.call(&call).await,
                None => Err(error),
            },
            ended => ended,
        }
    }

    /// Returns an endpoint other than `first` that is not left out.
    fn another_in(&self, first: &Member<T>) -> Option<&Member<T>> {
        let now = Instant::now();
        let mut others = self.0.iter().filter(|member| !std::ptr::eq(*member, first));
        others.find(|member| !member.load.view(now).is_left_out)
    }

    fn choose(&self, but: Option<&Member<T>>) -> &Member<T> {
        let others = self.0.iter().filter(|member| !but.is_some_and(|but| std::ptr::eq(*member, but)));
        balance::choose(others, |member| &member.load, Instant::now()).unwrap_or(&self.0[0])
    }
}

impl<T: Clone> Member<T> {
    async fn call<A, F>(&self, call: &impl Fn(T) -> F) -> Result<A, CallError>
    where
        F: Future<Output = Result<A, CallError>>,
    {
        let under_way = self.load.begin(Instant::now());
        let ended = call(self.endpoint.clone()).await;
        let end = ended.as_ref().map_or_else(CallError::call_end, |_| CallEnd::Answered);
        if let Some(turn) = under_way.end(end, Instant::now()) {
            turn.log(&self.name, &ended.as_ref().err().map(ToString::to_string).unwrap_or_default());
        }
        ended
    }
}
