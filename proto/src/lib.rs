//! The wire contract: protocol files, generated code, and the checked conversions to and from the model.
//!
//! [`pb`] is generated from `proto/`; only the `grpc.rs` of a service and the clients use it. On receipt,
//! `TryFrom<pb::X>` converts every message to a model type. The conversion checks each bound that the
//! protocol's comments state, and names the field at fault ([`Invalid`]). On sending, `From` cannot fail.
//!
//! Reading order: [`pb`], [`invalid`], [`status`], then one module for each package.

pub mod pb;
pub mod invalid;
pub mod status;
mod time;
mod model;
mod cost;
mod search;
mod matching;
mod coordinator;
mod matcher;
pub mod bank;
pub mod consortium;
#[cfg(feature = "decoder")]
pub mod decoder;

pub use invalid::{Invalid, invalid_fields};
pub use matching::classification::{classifications, classifiers};
pub use matching::conversation::{raw_scores, raw_scores_to_wire};
pub use matching::hashes_of_video;
pub use matching::surface as matching_surface;
pub use model::packed::Packing;
pub use search::Form;

use pb::bank::v1::{bank_service_server, exchange_service_server, feed_service_server};
use pb::classifier::v1::classifier_service_server;
use pb::consortium::v1::{
    audit_service_server, consortium_service_server, decision_service_server, hash_type_service_server,
    incident_service_server, model_card_service_server, opinion_service_server, policy_service_server,
    referral_service_server, report_service_server, statistics_service_server,
};
use pb::coordinator::v1::coordinator_service_server;
use pb::matcher::v1::matcher_service_server;
use pb::matching::v1::{match_service_server, scoring_service_server};

/// The encoded descriptors, with comments, of every package, of `google.rpc`, and of all packages that these
/// import. The format is a `google.protobuf.FileDescriptorSet`. Server reflection answers from it, and
/// clients are generated from it.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Every service with the role that serves it, as (service, role).
pub const ROLES: &[(&str, &str)] = &[
    (match_service_server::SERVICE_NAME, "frontend"),
    (scoring_service_server::SERVICE_NAME, "frontend"),
    (classifier_service_server::SERVICE_NAME, "classifier"),
    (coordinator_service_server::SERVICE_NAME, "coordinator"),
    (matcher_service_server::SERVICE_NAME, "matcher"),
    (bank_service_server::SERVICE_NAME, "bank"),
    (feed_service_server::SERVICE_NAME, "bank"),
    (exchange_service_server::SERVICE_NAME, "bank"),
    (consortium_service_server::SERVICE_NAME, "bank"),
    (audit_service_server::SERVICE_NAME, "bank"),
    (opinion_service_server::SERVICE_NAME, "bank"),
    (policy_service_server::SERVICE_NAME, "bank"),
    (hash_type_service_server::SERVICE_NAME, "bank"),
    (model_card_service_server::SERVICE_NAME, "bank"),
    (statistics_service_server::SERVICE_NAME, "bank"),
    (report_service_server::SERVICE_NAME, "bank"),
    (referral_service_server::SERVICE_NAME, "bank"),
    (incident_service_server::SERVICE_NAME, "bank"),
    (decision_service_server::SERVICE_NAME, "bank"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use tonic_reflection::pb::{v1, v1alpha};
    use vigie_consortium::Method;

    use super::*;

    /// Every method has a row in the table of rights, so the callers of each method have been decided.
    #[test]
    fn every_method_of_the_descriptors_has_its_row_in_the_table_of_rights() {
        let served = [
            DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            v1::FILE_DESCRIPTOR_SET,
            v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut described = BTreeSet::new();
        for descriptors in served {
            for file in prost_types::FileDescriptorSet::decode(descriptors).unwrap().file {
                for service in &file.service {
                    let path = format!("/{}.{}/", file.package(), service.name());
                    described.extend(service.method.iter().map(|method| format!("{path}{}", method.name())));
                }
            }
        }
        let with_row: BTreeSet<String> = Method::ALL.iter().map(|method| method.path().to_owned()).collect();
        assert_eq!(described, with_row);
        assert_eq!(with_row.len(), Method::ALL.len());
    }

    #[test]
    fn every_service_of_the_descriptors_has_a_role() {
        let files = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let described = files.iter().flat_map(|file| {
            file.service.iter().map(|service| format!("{}.{}", file.package(), service.name()))
        });
        let mut described: Vec<String> = described.collect();
        let served = ROLES.iter().map(|(service, _)| service);
        let mut with_role: Vec<String> = served.map(|&service| service.to_owned()).collect();
        described.sort();
        with_role.sort();
        assert_eq!(described, with_role);
    }
}
