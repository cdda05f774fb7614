//! Several endpoints of one stateless service, as one.
//!
//! Each call goes to the cheaper of two endpoints ([`crate::load`]). Where the connection breaks under it, it is made once
//! more, elsewhere if there is another endpoint: so that an endpoint that is being restarted is not noticed. So it is where
//! the endpoint says that it is not available, if there is another of which that is not known.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;
use tonic::Code;

use crate::error::CallError;
use crate::load::{self, CallEnd, Load};
use crate::target::TargetError;

/// See the module. An endpoint is a handle that is cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pool<T>(Arc<[Member<T>]>);

#[derive(Debug)]
struct Member<T> {
    endpoint: T,
    load: Load,
}

impl<T: Clone> Pool<T> {
    /// A pool of the handles of these endpoints, of which there has to be one at least.
    pub(crate) fn new(
        endpoints: &[impl AsRef<str>],
        handle: impl Fn(&str) -> Result<T, TargetError>,
    ) -> Result<Self, TargetError> {
        if endpoints.is_empty() {
            return Err(TargetError::none());
        }
        let member = |endpoint: &str| Ok(Member { endpoint: handle(endpoint)?, load: Load::default() });
        let members = endpoints.iter().map(|endpoint| member(endpoint.as_ref()));
        Ok(Self(members.collect::<Result<_, _>>()?))
    }

    /// Every endpoint.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|member| &member.endpoint)
    }

    /// The cheapest endpoint for something that is no call, such as a stream.
    pub(crate) fn pick(&self) -> T {
        self.choose(None).endpoint.clone()
    }

    /// Makes a call, and once more elsewhere if its connection breaks. Only for calls that may be made twice.
    pub(crate) async fn call<A, F>(&self, call: impl Fn(T) -> F) -> Result<A, CallError>
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

    /// Another than `first` that is not left out.
    fn another_in(&self, first: &Member<T>) -> Option<&Member<T>> {
        let now = Instant::now();
        let mut others = self.0.iter().filter(|member| !std::ptr::eq(*member, first));
        others.find(|member| !member.load.view(now).is_left_out)
    }

    fn choose(&self, but: Option<&Member<T>>) -> &Member<T> {
        let others = self.0.iter().filter(|member| !but.is_some_and(|but| std::ptr::eq(*member, but)));
        load::choose(others, |member| &member.load, Instant::now()).unwrap_or(&self.0[0])
    }
}

impl<T: Clone> Member<T> {
    async fn call<A, F>(&self, call: &impl Fn(T) -> F) -> Result<A, CallError>
    where
        F: Future<Output = Result<A, CallError>>,
    {
        let under_way = self.load.begin(Instant::now());
        let ended = call(self.endpoint.clone()).await;
        under_way.end(ended.as_ref().map_or_else(CallError::call_end, |_| CallEnd::Answered), Instant::now());
        ended
    }
}
