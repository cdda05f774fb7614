//! Packed queries of a member: the rights, charges and verdicts of the same queries in the plain form.

use vigie_clients::{Code, IdempotencyKey, MatchAnswer};
use vigie_consortium::{Amount, Quota, Verdict};
use vigie_harness::in_process::{as_of, soon};
use vigie_model::{Content, Hash, MatchCall, SearchOptions, Sequence};
use vigie_tests::material::{call, generator, hashed, pdq, pdq_of_a_picture};

use super::Consortium;
use super::policies::{bank, near, policy};

/// Returns everything in an answer that does not depend on the time at which it was given.
fn shown(answer: &MatchAnswer) -> String {
    format!("{:?} {} {}", answer.results, answer.sequence, answer.directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_of_a_policy_are_the_same_in_both_forms() {
    let consortium = Consortium::start(&["acme", "umbra"]).await;
    let (acme, worker) = consortium.team("acme").await;
    let (umbra, other) = consortium.team("umbra").await;
    acme.create_bank(&bank("known")).await;
    umbra.create_bank(&bank("secret")).await;
    let mut rng = generator(45);
    let known = pdq_of_a_picture(&mut rng);
    let hidden = pdq_of_a_picture(&mut rng);
    other.add(&bank("secret"), Hash::pdq(hidden)).await;
    let (_, added) = worker.add(&bank("known"), Hash::pdq(known)).await;
    let rules = [
        ("near", "matches.exists(m, m.distance <= 10)", Verdict::Block),
        ("avatar", "query.surface == 'avatar' && matches.size() == 0", Verdict::Review),
    ];
    acme.decides_by(&consortium, &worker, &policy(vec![], &rules)).await;

    let mut contents: Vec<Content> = (0..64).map(|_| pdq(pdq_of_a_picture(&mut rng))).collect();
    contents[5] = pdq(near(&known, 4));
    contents[9] = pdq(near(&known, 24));
    contents[11] = pdq(hidden);
    contents[60] = hashed([Hash::md5([7; 16]), Hash::pdq(known)]);
    for (surface, otherwise) in [("", Verdict::Allow), ("avatar", Verdict::Review)] {
        let call = MatchCall { surface: surface.into(), ..call(contents.clone(), as_of(added)) };
        let plain = worker.matching.match_content(call.clone(), soon()).await.unwrap();
        let packed = worker.matching.match_packed(call, soon()).await.unwrap();
        assert_eq!(shown(&packed), shown(&plain), "{surface}");
        for (number, result) in packed.results.iter().enumerate() {
            let matched = result.as_ref().unwrap();
            let verdict = matched.decision.as_ref().unwrap().verdict;
            let expected = match number {
                5 | 60 => Verdict::Block,
                // The item is farther than the rule `near` allows, so no rule holds.
                9 => Verdict::Review,
                _ => otherwise,
            };
            assert_eq!(verdict, expected, "{number} on `{surface}`");
            assert_eq!(matched.found.matches.len(), usize::from([5, 9, 60].contains(&number)));
        }
    }
    consortium.cluster.stop().await.unwrap();
}

async fn set_quota(consortium: &Consortium, quota: Quota) -> Sequence {
    let key = IdempotencyKey::random();
    let members = &consortium.operator.members;
    members.set_quota(&"acme".parse().unwrap(), quota, key, soon()).await.unwrap().sequence
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_hashes_are_charged_and_refused_like_hashes() {
    let consortium = Consortium::start(&["acme"]).await;
    let (_, worker) = consortium.team("acme").await;
    let mut rng = generator(46);
    let mut random = |count| (0..count).map(|_| pdq(pdq_of_a_picture(&mut rng))).collect::<Vec<_>>();
    let (batch, one) = (random(256), random(1));
    let ask = async |contents: &[Content], is_packed: bool| {
        let call = call(contents.to_vec(), SearchOptions::default());
        let asked = if is_packed {
            worker.matching.match_packed(call, soon()).await
        } else {
            worker.matching.match_content(call, soon()).await
        };
        asked.map(drop).map_err(|error| (error.code(), error.message().to_owned()))
    };

    // Three batches can be made on one day, whichever form they have, and not a fourth.
    let quota = Quota { units_per_day: Amount::new(1_000).unwrap(), ..Quota::default() };
    let set = set_quota(&consortium, quota).await;
    super::until_known(&worker, set).await;
    for is_packed in [true, false, true] {
        ask(&batch, is_packed).await.unwrap();
    }
    for is_packed in [true, false] {
        assert_eq!(ask(&batch, is_packed).await.unwrap_err().0, Code::ResourceExhausted);
    }

    set_quota(&consortium, Quota { images_only: true, ..Quota::default() }).await;
    let refused = loop {
        match ask(&one, false).await {
            Err(error) if error.0 == Code::PermissionDenied => break error,
            // The frontend does not know the new quota yet.
            Ok(()) | Err((Code::ResourceExhausted, _)) => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(ask(&one, true).await.unwrap_err(), refused);
    consortium.cluster.stop().await.unwrap();
}
