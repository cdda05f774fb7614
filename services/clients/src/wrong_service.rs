//! Names the service that answers at an endpoint at which another one was expected.
//!
//! A server answers a call of a service that it has not with UNIMPLEMENTED; one of an earlier version, or of somebody else, with no
//! text. Its health service, which every role has, knows the services that it has.

use std::time::Duration;

use futures::future::join_all;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use vigie_net::{CallError, Target};
use vigie_rpc::Code;

/// The services of each role, by which its health service knows it.
const ROLES: [(&str, &str); 4] = [
    ("frontend", "vigie.matching.v1.MatchService"),
    ("coordinator", "vigie.coordinator.v1.CoordinatorService"),
    ("matcher", "vigie.matcher.v1.MatcherService"),
    ("bank", "vigie.bank.v1.BankService"),
];

/// How long the question may take, beyond the call that has failed.
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// Adds to the error of a call to `target` which role answers there, where that is not the one that was called.
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
            // A service that the server has not is NOT_FOUND; one that is not ready has a status too.
            matches!(answer, Ok(Ok(_))).then_some(role)
        }
    });
    join_all(asked).await.into_iter().flatten().next()
}
