//! The lookups of Meta's Hasher-Matcher-Actioner (HMA) over HTTP/1.1 with persistent connections.
//!
//! HMA reports neither coverage nor sequence, so an answer counts as complete. A connection carries one
//! request at a time. A request that finds no free connection waits for one, and the waiting counts as
//! latency.
//!
//! Reading order: `contents` maps content ids to rows, `answer` reads the bodies, `connections` sends
//! requests, `fill` adds the rows to a bank.

mod answer;
mod connections;
pub(crate) mod contents;
pub(crate) mod fill;

use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};
use tonic::Code;
use vigie_clients::Network;
use vigie_hashes::hex::Hex;

use crate::cli::HmaCall;
use crate::judge::truth::Ask;
use crate::run::target::call::{Answer, Asked, Call, Refusal};
use crate::run::target::hma::connections::Connections;
use crate::run::target::hma::contents::Contents;

/// The connections of one lane to one service.
#[derive(Debug, Clone)]
pub(crate) struct Lookups {
    connections: Arc<Connections>,
    call: HmaCall,
    contents: Arc<Contents>,
}

impl Lookups {
    pub(crate) fn new(
        endpoint: &Uri,
        network: &Network,
        connections: usize,
        call: HmaCall,
        contents: Arc<Contents>,
    ) -> anyhow::Result<Self> {
        let connections = Arc::new(Connections::new(endpoint, network, connections)?);
        Ok(Self { connections, call, contents })
    }

    /// Opens every connection; fails with the reason if that takes longer than `within`.
    pub(crate) async fn opened(&self, within: Duration) -> anyhow::Result<()> {
        self.connections.opened(within).await
    }

    pub(crate) async fn ask(&self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let [asked] = call.asks else { return Err(Refusal::new(Code::Unimplemented)) };
        let hash = match asked {
            Asked::Hash(hash) | Asked::Pool(Ask::Hash(hash)) => Hex(hash),
            Asked::Pool(Ask::Image { .. }) | Asked::Video(_) => {
                return Err(Refusal::new(Code::Unimplemented));
            }
        };
        let path = match self.call {
            HmaCall::RawLookup => {
                format!("/m/raw_lookup?signal_type=pdq&signal={hash}&include_distance=true")
            }
            HmaCall::Lookup => format!("/m/lookup?signal_type=pdq&signal={hash}"),
        };
        let response = self.connections.get(&path).await.map_err(|_| Refusal::new(Code::Unavailable))?;
        if response.status != StatusCode::OK {
            let retry_after = response.retry_after;
            return Err(Refusal { code: code(response.status), retry_after, partial: None });
        }
        let hits = answer::read(&response.body, self.call, &self.contents);
        let hits = hits.map_err(|_| Refusal::new(Code::Internal))?;
        Ok(Answer { results: vec![Ok(hits)], complete: true, ..Answer::default() })
    }
}

/// Maps an HTTP status to a gRPC code, by gRPC's own table where that has a row.
const fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        400 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        502..=504 => Code::Unavailable,
        500..=599 => Code::Internal,
        _ => Code::Unknown,
    }
}
