//! Tests of hash types of vectors: declared once and permanently, known after a restart, required by items
//! and charters.

use vigie_proto::pb::consortium::v1 as members;
use vigie_proto::pb::consortium::v1::consortium_service_client::ConsortiumServiceClient;
use vigie_proto::pb::consortium::v1::hash_type_service_client::HashTypeServiceClient;

use crate::tests::members::{By, Consortium};
use crate::tests::*;

on_both_stores!(
    a_declared_type_outlives_a_restart_and_others_do_not_take_its_place,
    an_item_has_vectors_of_declared_types_alone,
    an_operator_declares_and_everybody_lists,
);

/// Returns a type of three elements with the cosine metric.
fn wanted(name: &str) -> members::DeclareHashTypeRequest {
    members::DeclareHashTypeRequest {
        name: name.into(),
        elements: 3,
        element: members::VectorElement::F32.into(),
        metric: members::VectorMetric::Cosine.into(),
        distance_default: 100_000,
        distance_max: 500_000,
        idempotency_key: String::new(),
    }
}

async fn declare(
    by: &By,
    request: members::DeclareHashTypeRequest,
) -> Result<(members::DeclaredHashType, u64), Status> {
    let request = by.carried(request);
    let declared = HashTypeServiceClient::new(by.0.clone()).declare_hash_type(request).await?.into_inner();
    Ok((declared.hash_type.unwrap(), declared.sequence))
}

async fn list(by: &By) -> Vec<members::DeclaredHashType> {
    let request = by.carried(members::ListHashTypesRequest {});
    HashTypeServiceClient::new(by.0.clone()).list_hash_types(request).await.unwrap().into_inner().hash_types
}

fn of_everyone(served: &Served) -> By {
    By(served.channel.clone(), String::new())
}

fn vector(hash_type: i32, elements: &[f32]) -> pb::ItemContent {
    let value = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
    pb::ItemContent { hashes: vec![pb_model::Hash { hash_type, value }], ..Default::default() }
}

async fn a_declared_type_outlives_a_restart_and_others_do_not_take_its_place(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = of_everyone(&served);
    assert_eq!(list(&everyone).await, []);
    let (clip, first) = declare(&everyone, wanted("bank_clip")).await.unwrap();
    assert_eq!((clip.hash_type / 256, clip.hash_type % 256 > 0), (4, true));
    let expected = members::DeclaredHashType { hash_type: clip.hash_type, ..declared("bank_clip") };
    assert_eq!(clip, expected);
    // The same declaration again changes nothing.
    assert_eq!(declare(&everyone, wanted("bank_clip")).await.unwrap(), (clip.clone(), first));
    assert_eq!(served.head().await.sequence, first);
    let l2 = members::VectorMetric::L2.into();
    for changed in [
        members::DeclareHashTypeRequest { elements: 4, ..wanted("bank_clip") },
        members::DeclareHashTypeRequest { distance_default: 1, ..wanted("bank_clip") },
        members::DeclareHashTypeRequest { metric: l2, ..wanted("bank_clip") },
    ] {
        refused(declare(&everyone, changed).await, Code::AlreadyExists, "bank_clip");
    }
    for (changed, says) in [
        (wanted("pdq"), "pdq is the name of another hash type"),
        (wanted("Clip"), "lower-case letters"),
        (members::DeclareHashTypeRequest { elements: 0, ..wanted("other") }, "1 to 4096 elements"),
        (members::DeclareHashTypeRequest { elements: 70_000, ..wanted("other") }, "elements"),
        (members::DeclareHashTypeRequest { element: 0, ..wanted("other") }, "element"),
        (members::DeclareHashTypeRequest { distance_max: 2_000_001, ..wanted("other") }, "distance"),
    ] {
        let status = declare(&everyone, changed).await.unwrap_err();
        assert!(matches!(status.code(), Code::InvalidArgument | Code::AlreadyExists), "{status}");
        assert!(status.message().contains(says), "{status}");
    }
    let request = members::DeclareHashTypeRequest { metric: l2, ..wanted("bank_other") };
    let (other, _) = declare(&everyone, request).await.unwrap();
    assert_eq!(other.hash_type / 256, 5);
    served.stop().await;

    let served = Served::start(bed.config()).await;
    let everyone = of_everyone(&served);
    assert_eq!(list(&everyone).await, [clip.clone(), other]);
    refused(
        declare(&everyone, members::DeclareHashTypeRequest { elements: 4, ..wanted("bank_clip") }).await,
        Code::AlreadyExists,
        "permanent",
    );
    served.create_bank("known").await.unwrap();
    served.add("known", vec![vector(clip.hash_type, &[1.0, 2.0, 3.0])]).await.unwrap();
    served.stop().await;
}

fn declared(name: &str) -> members::DeclaredHashType {
    let members::DeclareHashTypeRequest {
        name,
        elements,
        element,
        metric,
        distance_default,
        distance_max,
        ..
    } = wanted(name);
    members::DeclaredHashType {
        hash_type: 0,
        name,
        elements,
        element,
        metric,
        distance_default,
        distance_max,
    }
}

async fn an_item_has_vectors_of_declared_types_alone(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("known").await.unwrap();
    // 2,046 is the number of vectors of bytes that no test declares.
    let undeclared = served.add("known", vec![vector(2_046, &[1.0])]).await;
    refused(undeclared, Code::InvalidArgument, "declare it first with `vigie hash-type declare`");
    let (clip, _) = declare(&of_everyone(&served), wanted("bank_items")).await.unwrap();
    let added = served.add("known", vec![vector(clip.hash_type, &[3.0, 0.0, 4.0])]).await.unwrap();
    // In its compared form: of length 1.
    let banked = served.item(added.item_ids[0]).await.unwrap().item.unwrap().content.unwrap();
    assert_eq!(banked.hashes, vector(clip.hash_type, &[0.6, 0.0, 0.8]).hashes);
    for (elements, says) in [
        (&[1.0, 2.0][..], "a bank_items hash has 3 elements (12 bytes), not 8 bytes"),
        (&[0.0, 0.0, 0.0], "all elements of the vector are zero"),
        (&[1.0, f32::NAN, 0.0], "an element of the vector is not a number"),
    ] {
        let wrong = served.add("known", vec![vector(clip.hash_type, elements)]).await;
        refused(wrong, Code::InvalidArgument, says);
    }

    let set = async |distances: &[(i32, u32)]| {
        let of_type = |(hash_type, distance): &(i32, u32)| pb_model::MaxDistance {
            hash_type: *hash_type,
            distance: *distance,
        };
        let vector_distances = distances.iter().map(of_type).collect();
        let charter = Some(members::Charter { vector_distances, ..Default::default() });
        let request = members::SetCharterRequest { bank: "known".into(), charter, ..Default::default() };
        ConsortiumServiceClient::new(served.channel.clone()).set_charter(request).await.map(drop)
    };
    refused(set(&[(2_046, 1)]).await, Code::InvalidArgument, "no hash type that is declared here");
    refused(set(&[(1, 31)]).await, Code::InvalidArgument, "vector_distances");
    refused(set(&[(clip.hash_type, 500_001)]).await, Code::InvalidArgument, "0.500000");
    set(&[(clip.hash_type, 250_000)]).await.unwrap();
    served.stop().await;

    let served = Served::start(bed.config()).await;
    let request = members::GetCharterRequest { bank: "known".into() };
    let mut client = ConsortiumServiceClient::new(served.channel.clone());
    let charter = client.get_charter(request).await.unwrap().into_inner().charter.unwrap();
    let distance = pb_model::MaxDistance { hash_type: clip.hash_type, distance: 250_000 };
    assert_eq!(charter.vector_distances, [distance]);
    served.stop().await;
}

async fn an_operator_declares_and_everybody_lists(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    for other in [&consortium.administrator, &consortium.contributor, &consortium.auditor] {
        refused(declare(other, wanted("bank_audited")).await, Code::PermissionDenied, "");
    }
    let (clip, sequence) = declare(&consortium.operator, wanted("bank_audited")).await.unwrap();
    for by in [&consortium.administrator, &consortium.contributor, &consortium.auditor] {
        assert_eq!(list(by).await, std::slice::from_ref(&clip));
    }
    let path = "/vigie.consortium.v1.HashTypeService/DeclareHashType";
    let entries = consortium.auditor.entries().await;
    let written: Vec<_> =
        entries.iter().filter(|one| one.action == path && one.code == 0).map(|one| one.sequence).collect();
    assert_eq!(written, [sequence]);
    consortium.served.stop().await;
}
