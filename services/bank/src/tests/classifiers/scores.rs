//! Uses of classifiers: counted once, by member, model, version and class, and read in full by nobody but
//! their member.

use vigie_proto::pb::consortium::v1 as members;
use vigie_proto::pb::consortium::v1::statistics_service_client::StatisticsServiceClient;

use crate::tests::*;

on_both_stores! {
    uses_are_counted_once_and_outlive_a_restart,
    wrong_uses_are_refused_with_their_field,
}

fn scores(model: &str, version: u32, class: &str) -> members::CountedScores {
    members::CountedScores {
        member_id: 1,
        model: model.into(),
        version,
        class: class.into(),
        scored: 40,
        above: 7,
        reviews: 3,
        unavailable: 2,
    }
}

async fn record(served: &Served, scores: Vec<members::CountedScores>, key: &str) -> Result<(), Status> {
    let request = members::RecordMatchesRequest { scores, idempotency_key: key.into(), ..Default::default() };
    StatisticsServiceClient::new(served.channel.clone()).record_matches(request).await.map(drop)
}

async fn csv(served: &Served, is_public: bool) -> String {
    let request = members::GetStatisticsRequest {
        from_month: "2023-11".into(),
        to_month: "2023-11".into(),
        format: members::StatisticsFormat::Csv.into(),
        public: is_public,
    };
    let mut client = StatisticsServiceClient::new(served.channel.clone());
    client.get_statistics(request).await.unwrap().into_inner().text
}

/// The host's own numbers of a class: scored, above, reviews and unavailable.
fn own(csv: &str, class: &str) -> Option<[u64; 4]> {
    let number = |measure: &str| {
        let begin = format!("own_classifiers,{measure},all,{class},,shown,");
        csv.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok())
    };
    let [scored, above, reviews, unavailable] = ["scored", "above", "reviews", "unavailable"].map(number);
    Some([scored?, above?, reviews?, unavailable?])
}

async fn uses_are_counted_once_and_outlive_a_restart(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let without = csv(&served, false).await;
    assert!(!without.contains("classifiers,"), "{without}");
    let of_all = vec![scores("nsfw", 1, "nude"), scores("nsfw", 2, "nude"), scores("talk", 2, "grooming")];
    for _ in 0..2 {
        record(&served, of_all.clone(), "first").await.unwrap();
    }
    record(&served, vec![scores("nsfw", 2, "nude")], "second").await.unwrap();
    // The uses of somebody else are in no row of the host's own.
    record(&served, vec![members::CountedScores { member_id: 9, ..scores("nsfw", 2, "nude") }], "")
        .await
        .unwrap();
    let check = async |served: &Served| {
        let text = csv(served, false).await;
        assert_eq!(own(&text, "nsfw/1/nude"), Some([40, 7, 3, 2]), "{text}");
        assert_eq!(own(&text, "nsfw/2/nude"), Some([80, 14, 6, 4]));
        assert_eq!(own(&text, "talk/2/grooming"), Some([40, 7, 3, 2]));
        assert_eq!(own(&text, "talk/1/grooming"), None);
        // Two members are too few for a total, and what is small of a member is not shown; no other table has
        // their classes.
        let across: Vec<&str> = text.lines().filter(|line| line.starts_with("classifiers,")).collect();
        let shown = |line: &str| line.rsplit(',').next().and_then(|number| number.parse::<u64>().ok());
        let is_total = |line: &str| line.contains(",all,");
        assert!(across.len() > 20, "{across:?}");
        for line in across {
            assert!(shown(line).is_none_or(|number| number >= 10 && !is_total(line)), "{line}");
        }
        assert!(text.lines().all(|line| !line.contains("nude") || line.contains("classifiers,")), "{text}");
        let public = csv(served, true).await;
        assert!(public.contains("\nclassifiers,") && !public.contains("own_classifiers,"), "{public}");
    };
    check(&served).await;
    served.stop().await;
    let served = Served::start(bed.config()).await;
    check(&served).await;
    record(&served, of_all, "first").await.unwrap();
    check(&served).await;
    served.stop().await;
}

async fn wrong_uses_are_refused_with_their_field(bed: Bed) {
    let served = Served::start(bed.config()).await;
    for (wrong, says) in [
        (scores("Nsfw", 1, "nude"), "scores[1].model"),
        (scores("", 1, "nude"), "scores[1].model"),
        (scores("nsfw", 1, "a/b"), "scores[1].class"),
        (scores("nsfw", 0, "nude"), "scores[1].version"),
    ] {
        let given = vec![scores("nsfw", 1, "nude"), wrong];
        refused(record(&served, given, "").await, Code::InvalidArgument, says);
    }
    let many = vec![scores("nsfw", 1, "nude"); 1_001];
    refused(record(&served, many, "").await, Code::InvalidArgument, "1 to 1000");
    refused(record(&served, Vec::new(), "").await, Code::InvalidArgument, "1 to 1000");
    assert!(!csv(&served, false).await.contains("classifiers,"));
    served.stop().await;
}
