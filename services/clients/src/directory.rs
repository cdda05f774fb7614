//! Client of the bank's directory of members.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;
use vigie_net::{CallError, Channel, EndpointError, Leader, Network, Patience, Target};
use vigie_proto::consortium::{DirectoryPart, DirectoryRequest};
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::feed_service_client::FeedServiceClient;

/// The most bytes of a message: about 1 MiB of rows, and keys of deleted rows.
const PART_BYTES_MAX: usize = 8 << 20;
/// The most parts of one answer: 1 GiB of rows, more than any directory has.
const PARTS_MAX: usize = 1_024;

/// Reads the directory from the bank, or from the serving one of several banks on one database.
#[derive(Debug, Clone)]
pub struct DirectoryClient {
    banks: Leader<Endpoint>,
}

#[derive(Debug, Clone)]
struct Endpoint {
    target: Target,
    stub: FeedServiceClient<Channel>,
}

impl DirectoryClient {
    /// Makes a client of the banks at these endpoints, at least one, on a network.
    pub fn new_on(endpoints: &[impl AsRef<str>], network: &Network) -> Result<Self, EndpointError> {
        let on = network.clone();
        let connect = move |endpoint: &str| {
            let target = Target::new("bank", endpoint, &on)?;
            let stub = FeedServiceClient::new(target.channel()).max_decoding_message_size(PART_BYTES_MAX);
            Ok(Endpoint { target, stub })
        };
        // Each round counts the age of its answer from the round's own beginning.
        Ok(Self { banks: Leader::new("bank", endpoints, network, connect)?.with_patience(Patience::Once) })
    }

    /// Reads a directory newer than the caller's, and waits for one as long as the request says. The answer
    /// must arrive by `deadline`.
    pub async fn read(
        &self,
        request: DirectoryRequest,
        deadline: Instant,
    ) -> Result<Vec<DirectoryPart>, CallError> {
        self.banks
            .call(deadline, |Endpoint { target, mut stub }| async move {
                let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                let read = tokio::time::timeout(left, async {
                    let mut stream =
                        stub.read_directory(pb::ReadDirectoryRequest::from(request)).await?.into_inner();
                    let mut parts = Vec::new();
                    while let Some(message) = stream.message().await? {
                        let is_last = message.state.is_some();
                        parts.push(message);
                        if is_last {
                            return Ok(parts);
                        }
                        if parts.len() > PARTS_MAX {
                            break;
                        }
                    }
                    Err(Status::unavailable("the directory broke off"))
                });
                let read = read.await.unwrap_or_else(|_| {
                    Err(Status::deadline_exceeded("the directory did not arrive in time"))
                });
                let parts = read.map_err(|status| target.failed(status))?;
                let parts = parts.into_iter().map(DirectoryPart::try_from).collect::<Result<_, _>>();
                parts.map_err(|invalid| target.unreadable(&invalid))
            })
            .await
    }
}
