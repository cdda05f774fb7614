//! A stranger follows the bank's log as often as it can, and the cluster's own matchers still start.

use std::net::IpAddr;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};
use vigie_harness::in_process::{Cluster, soon};
use vigie_proto::pb::bank::v1::feed_service_client::FeedServiceClient;
use vigie_proto::pb::bank::v1::{WatchRequest, WatchResponse};

/// Returns a connection from another host.
async fn stranger(url: String) -> Channel {
    let here: IpAddr = [127, 0, 0, 2].into();
    Endpoint::from_shared(url).unwrap().local_address(Some(here)).connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matcher_starts_though_one_client_has_all_the_followers_that_it_can_have() {
    let mut cluster = Cluster::start().await.unwrap();
    cluster.stop_matcher(0).await.unwrap();

    // Connections are kept too, because a stream ends with its connection.
    let mut connections = Vec::new();
    let mut streams: Vec<Streaming<WatchResponse>> = Vec::new();
    let mut refused = 0;
    for _ in 0..3 {
        let mut feed = FeedServiceClient::new(stranger(cluster.bank_url()).await);
        for _ in 0..170 {
            let request = WatchRequest { shard: 0, shard_count: 1, ..WatchRequest::default() };
            match feed.watch(request).await {
                Ok(stream) => streams.push(stream.into_inner()),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                    refused += 1;
                }
            }
        }
        connections.push(feed);
    }
    assert_eq!(streams.len() + refused, 510);
    assert!(refused > 0 && streams.len() < 400, "{}", streams.len());

    cluster.start_matcher(0).await.unwrap();
    cluster.wait_ready(soon()).await.unwrap();
    drop((streams, connections));
    cluster.stop().await.unwrap();
}
