//! Tests the opinion commands against a bank with scripted answers: the requests, and the printed output.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::opinion_service_server::{OpinionService, OpinionServiceServer};
use vigie_proto::pb::model::v1 as pb_model;

/// A fixed time: 2026-11-29 00:00 UTC, in milliseconds since 1970.
const AT: u64 = 1_795_910_400_000;

/// A bank's service of opinions, which records the requests as text.
#[derive(Clone, Default)]
struct Bank(Arc<Mutex<Vec<String>>>);

impl Bank {
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = OpinionServiceServer::new(self.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        endpoint
    }

    /// Returns the requests since the last call of this.
    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().drain(..).collect()
    }

    fn note(&self, request: &impl std::fmt::Debug) {
        self.0.lock().unwrap().push(format!("{request:?}"));
    }
}

macro_rules! bank {
    ($($method:ident($request:ident: $ask:ident) -> $answer:ident $answered:block)*) => {
        #[tonic::async_trait]
        impl OpinionService for Bank {
            $(async fn $method(&self, request: Request<pb::$ask>) -> Result<Response<pb::$answer>, Status> {
                let $request = request.into_inner();
                self.note(&$request);
                let answer = $answered;
                Ok(Response::new(answer))
            })*
        }
    };
}

bank! {
    put_opinions(request: PutOpinionsRequest) -> PutOpinionsResponse {
        assert!(!request.idempotency_key.is_empty());
        pb::PutOpinionsResponse { changed_count: 1, sequence: 21 }
    }
    withdraw_opinions(_request: WithdrawOpinionsRequest) -> WithdrawOpinionsResponse {
        pb::WithdrawOpinionsResponse { changed_count: 2, sequence: 22 }
    }
    list_opinions(request: ListOpinionsRequest) -> ListOpinionsResponse {
        let negative = pb::Opinion {
            item_id: 7,
            kind: pb_model::OpinionKind::Negative.into(),
            reason: pb_model::OpinionReason::PoorHash.into(),
            disputes: true,
            at_unix_ms: AT,
            sequence: 12,
            ..Default::default()
        };
        let taken_back = pb::Opinion { item_id: 9, member: "umbrella".into(), at_unix_ms: AT, sequence: 30, ..Default::default() };
        // The list has two pages.
        let is_first = request.after_sequence < 12;
        pb::ListOpinionsResponse {
            opinions: vec![if is_first { negative } else { taken_back }],
            next_after_sequence: if is_first { 12 } else { 31 },
            has_more: is_first,
            sequence: 31,
        }
    }
    list_disputes(request: ListDisputesRequest) -> ListDisputesResponse {
        let resolution = if request.resolved { pb_model::Resolution::Kept } else { pb_model::Resolution::Unspecified };
        let dispute = pb::Dispute {
            item_id: 7,
            bank: "known".into(),
            opened_at_unix_ms: AT,
            due_at_unix_ms: AT + 86_400_000,
            opened_by: String::new(),
            resolution: resolution.into(),
            resolved_at_unix_ms: if request.resolved { AT + 60_000 } else { 0 },
        };
        pb::ListDisputesResponse { disputes: vec![dispute], next_key: Vec::new() }
    }
    resolve_dispute(_request: ResolveDisputeRequest) -> ResolveDisputeResponse {
        pb::ResolveDisputeResponse { sequence: 23 }
    }
    set_member_hold(_request: SetMemberHoldRequest) -> SetMemberHoldResponse {
        pb::SetMemberHoldResponse { changed_count: 1, sequence: 24 }
    }
    list_member_holds(request: ListMemberHoldsRequest) -> ListMemberHoldsResponse {
        let held =
            |item_id, flooded| pb::MemberHeldItem { item_id, bank: "acme/known".into(), since_unix_ms: AT, flooded };
        let items = if request.after_id == 0 { vec![held(7, false), held(8, true)] } else { Vec::new() };
        pb::ListMemberHoldsResponse { items }
    }
    report_floods(_request: ReportFloodsRequest) -> ReportFloodsResponse {
        pb::ReportFloodsResponse { sequence: 25, held: Vec::new() }
    }
}

/// Runs the program with this bank, and without any `VIGIE_` variables of the test run.
fn vigie(line: &str, bank: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VIGIE_")) {
        command.env_remove(name);
    }
    command.args(line.split(' ')).env("VIGIE_BANK", bank).output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn objects(output: &Output) -> Vec<serde_json::Value> {
    said(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opinion_is_put_on_each_item_once_with_all_that_is_typed() {
    let bank = Bank::default();
    let endpoint = bank.serve().await;
    let line = "opinion put 9 7 9 --negative --reason poor-hash --dispute --proposed iwf/category=A";
    assert_eq!(said(&vigie(line, &endpoint)), "negative: new on 1 of 2 items (sequence 21)\n");
    let asked = bank.asked().concat();
    for part in
        ["item_id: 7", "item_id: 9", "kind: Negative", "reason: PoorHash", "disputes: true", "value: \"A\""]
    {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    assert_eq!(asked.matches("item_id").count(), 2);
    let line = "--json opinion put 7 --seen --hash md5:d41d8cd98f00b204e9800998ecf8427e";
    let object = &objects(&vigie(line, &endpoint))[0];
    assert_eq!(
        (&object["kind"], &object["changed"], &object["items"][0]),
        (&"seen".into(), &1.into(), &7.into())
    );
    assert!(bank.asked().concat().contains("hash: Some("));
    let two = vigie("opinion put 7 9 --seen --hash md5:d41d8cd98f00b204e9800998ecf8427e", &endpoint);
    assert_eq!(two.status.code(), Some(1));
    assert_eq!(bank.asked(), [""; 0], "a hash is of one item");
    assert_eq!(
        said(&vigie("opinion withdraw 7 9 11", &endpoint)),
        "withdrew opinions on 2 of 3 items (sequence 22)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn opinions_are_listed_to_the_end_and_the_end_is_named() {
    let bank = Bank::default();
    let endpoint = bank.serve().await;
    let listed = vigie("opinion list acme/known --mine", &endpoint);
    assert_eq!(
        said(&listed),
        "       7  2026-11-29 00:00  a member: negative, poor-hash, disputes it\n       \
         9  2026-11-29 00:00  umbrella: taken back\n"
    );
    assert!(String::from_utf8_lossy(&listed.stderr).contains("--after 31"));
    let asked = bank.asked();
    assert!(asked.len() == 2 && asked.iter().all(|one| one.contains("mine: true")), "{asked:?}");
    let objects = objects(&vigie("--json opinion list known --after 12", &endpoint));
    assert_eq!((objects.len(), &objects[0]["kind"]), (2, &serde_json::Value::Null));
    assert_eq!(objects[1]["next_after"], 31);
    assert!(bank.asked().concat().contains("after_sequence: 12"));
}

#[tokio::test(flavor = "multi_thread")]
async fn disputes_are_listed_and_resolved() {
    let bank = Bank::default();
    let endpoint = bank.serve().await;
    let open = said(&vigie("dispute list", &endpoint));
    assert_eq!(open, "       7  known  opened 2026-11-29 00:00 UTC by a member, due 2026-11-30 00:00 UTC\n");
    let resolved = &objects(&vigie("--json dispute list --resolved", &endpoint))[0];
    assert_eq!(
        (&resolved["resolution"], &resolved["resolved_at_unix_ms"]),
        (&"kept".into(), &(AT + 60_000).into())
    );
    bank.asked();
    let line = "dispute resolve 7 reclassified --class iwf/category=B --class iwf/category=C";
    assert_eq!(said(&vigie(line, &endpoint)), "item 7: reclassified (sequence 23)\n");
    let asked = bank.asked().concat();
    assert!(asked.contains("Reclassified") && asked.matches("Class {").count() == 2, "{asked}");
    for wrong in ["dispute resolve 7 reclassified", "dispute resolve 7 kept --class iwf/category=B"] {
        let refused = vigie(wrong, &endpoint);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("goes with reclassified"), "{refused:?}");
    }
    assert_eq!(bank.asked(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_held_for_one_member_alone() {
    let bank = Bank::default();
    let endpoint = bank.serve().await;
    assert_eq!(
        said(&vigie("item hold 7 9 --here", &endpoint)),
        "held here: 1 of 2 items changed (sequence 24)\n"
    );
    let lifted = &objects(&vigie("--json item lift 7 --here", &endpoint))[0];
    assert_eq!((&lifted["held_here"], &lifted["changed"]), (&false.into(), &1.into()));
    let asked = bank.asked();
    assert!(asked[0].contains("held: true") && asked[1].contains("held: false"), "{asked:?}");
    let held = said(&vigie("item held --here", &endpoint));
    assert_eq!(
        held,
        "       7  acme/known  held here since 2026-11-29 00:00 UTC
       8  acme/known  held here since 2026-11-29 00:00 UTC by flood control: it matched far too often
"
    );
    let held = objects(&vigie("--json item held --here", &endpoint));
    assert_eq!(held.iter().map(|one| &one["flooded"]).collect::<Vec<_>>(), [false, true]);
}
