//! Answers calls of methods that the server does not have. The answer names the role that has the method, so
//! that the user of a client with the wrong address reads which one it needs.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};
use vigie_rpc::details::cut;

use crate::call::answered::Answered;
use crate::call::methods::Methods;

/// The most bytes of a caller's service name, and of its method name, that the answer repeats.
const NAME_BYTES_MAX: usize = 120;

/// A service of the cluster, and the role that serves it.
pub(crate) type ServiceRole = (&'static str, &'static str);

/// Answers calls of absent methods with `UNIMPLEMENTED`.
#[derive(Debug, Clone)]
pub(crate) struct AbsentLayer {
    methods: Methods,
    offer: Arc<Offer>,
}

/// The services of this server, and the role of each service in the cluster.
#[derive(Debug)]
struct Offer {
    served: Vec<&'static str>,
    roles: &'static [ServiceRole],
}

impl AbsentLayer {
    pub(crate) fn new(methods: Methods, served: Vec<&'static str>, roles: &'static [ServiceRole]) -> Self {
        Self { methods, offer: Arc::new(Offer { served, roles }) }
    }
}

impl<S> Layer<S> for AbsentLayer {
    type Service = Absent<S>;

    fn layer(&self, inner: S) -> Absent<S> {
        Absent { inner, layer: self.clone() }
    }
}

/// The service of [`AbsentLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Absent<S> {
    inner: S,
    layer: AbsentLayer,
}

impl<S> Service<Request<Body>> for Absent<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answered<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if self.layer.methods.has(path) {
            return Answered::Passed { call: self.inner.call(request) };
        }
        Answered::Here { status: Status::unimplemented(self.layer.offer.absence_of(path)) }
    }
}

impl Offer {
    fn absence_of(&self, path: &str) -> String {
        let called = path.trim_start_matches('/');
        let (service, method) = called.split_once('/').unwrap_or((called, ""));
        let (service, method) = (cut(service, NAME_BYTES_MAX), cut(method, NAME_BYTES_MAX));
        let role_of = |service: &str| {
            self.roles.iter().find(|(served, _)| *served == service).map(|(_, role)| format!("the {role}"))
        };
        if self.served.contains(&service) {
            return format!("{service} has no method `{method}`");
        }
        let this = self.served.first().and_then(|first| role_of(first));
        let this = this.unwrap_or_else(|| "another server".to_owned());
        match role_of(service) {
            Some(role) => format!("{service} is served by {role}; this is {this}"),
            None => format!(
                "no role of the cluster serves `{service}`; this is {this}, which serves {}",
                self.served.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        let roles = &[("a.v1.One", "first"), ("a.v1.Two", "first"), ("b.v1.Other", "second")];
        let offer = Offer { served: vec!["a.v1.One", "a.v1.Two"], roles };
        assert_eq!(offer.absence_of(path), expected);
    }

    #[test]
    fn the_answer_names_the_role_that_has_the_service() {
        check("/b.v1.Other/Do", "b.v1.Other is served by the second; this is the first");
    }

    #[test]
    fn a_service_of_nobody_and_a_method_of_no_service_are_named() {
        check("/a.v1.One/Nothing", "a.v1.One has no method `Nothing`");
        let nobody =
            "no role of the cluster serves `c.v1.No`; this is the first, which serves a.v1.One, a.v1.Two";
        check("/c.v1.No/Do", nobody);
        check("/", &nobody.replace("c.v1.No", ""));
    }

    #[test]
    fn a_long_path_is_cut() {
        let offer = Offer { served: Vec::new(), roles: &[] };
        assert!(offer.absence_of(&format!("/{}", "x".repeat(10_000))).len() < 2 * NAME_BYTES_MAX);
    }
}
