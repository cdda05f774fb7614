//! Names the service that answers at an endpoint where another one was expected.
//!
//! A server answers a call of a service that it does not have with UNIMPLEMENTED; an earlier version, or
//! foreign software, adds no text. Its health service, which every role has, knows the services that it has.

use std::time::Duration;

use futures::future::join_all;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use vigie_net::{CallError, Target};
use vigie_rpc::Code;

/// The service of each role that its health service knows.
const ROLES: [(&str, &str); 4] = [
    ("frontend", "vigie.matching.v1.MatchService"),
    ("coordinator", "vigie.coordinator.v1.CoordinatorService"),
    ("matcher", "vigie.matcher.v1.MatcherService"),
    ("bank", "vigie.bank.v1.BankService"),
];

/// The most time of the question, beyond the failed call.
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// Adds to the error of a call to `target` the role that answers there, if it is not the expected one.
pub(crate) async fn explained<A>(target: &Target, ended: Result<A, CallError>) -> Result<A, CallError> {
    let error = match ended {
        Err(error) if error.code() == Code::Unimplemented => error,
        ended => return ended,
    };
    let expected = error.service();
    Err(match role_at(target).await.filter(|role| *role != expected) {
        Some(role) => error.with_message(format!("a {role} answers at this address, and no {expected}")),
        None if error.message().is_empty() => {
            error.with_message(format!("what answers at this address is no {expected} of this version"))
        }
        None => error,
    })
}

async fn role_at(target: &Target) -> Option<&'static str> {
    let asked = ROLES.map(|(role, service)| {
        let mut health = HealthClient::new(target.channel());
        async move {
            let request = Request::new(HealthCheckRequest { service: service.to_owned() });
            let answer = tokio::time::timeout(ASKED_WITHIN, health.check(request)).await;
            // The health service answers NOT_FOUND for a service that the server does not have; a service
            // that is not ready has a status too.
            matches!(answer, Ok(Ok(_))).then_some(role)
        }
    });
    join_all(asked).await.into_iter().flatten().next()
}
