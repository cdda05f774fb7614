//! Tests of incidents: subscribers may search an incident's bank at once, and the bank ends with its
//! incident.

use vigie_proto::pb::consortium::v1 as cases;
use vigie_proto::pb::consortium::v1::incident_service_client::IncidentServiceClient;

use crate::tests::beside::statistics::own;
use crate::tests::members::{By, Consortium};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    an_incident_opens_in_one_write_for_its_subscribers,
    a_subscription_takes_effect_on_open_incidents,
    a_closed_incident_is_searched_by_nobody_and_its_bank_goes_when_due,
    the_name_of_an_incidents_bank_is_free_or_nothing_is_opened,
}

const DAY: u64 = 24 * 60 * 60 * 1_000;

async fn an_incident_opens_in_one_write_for_its_subscribers(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { served, operator, administrator, contributor, auditor } = &consortium;
    let host = operator.principal("", cases::Role::Administrator).await;
    operator.member("other").await;
    let other = operator.principal("other", cases::Role::Administrator).await;
    refused(administrator.open("crisis-protocol", "").await, Code::PermissionDenied, "roles");
    refused(contributor.subscribe(&["a"], false).await, Code::PermissionDenied, "roles");
    assert_eq!(administrator.subscribe(&["perpetrator-content"], false).await.unwrap(), 0);
    other.subscribe(&["crisis-protocol"], false).await.unwrap();

    let opened = host.open("perpetrator-content", "").await.unwrap();
    assert_eq!(opened.bank, format!("incident-{}", opened.number));
    assert_eq!(opened.member_count, 1);
    // The bank, the incident and the grant: three changes of one write.
    assert_eq!(opened.sequence, opened.number + 2);
    let bank = format!("local/{}", opened.bank);
    let charter = cases::GetCharterRequest { bank: bank.clone() };
    let mut members = cases::consortium_service_client::ConsortiumServiceClient::new(served.channel.clone());
    let charter = members.get_charter(administrator.carried(charter)).await.unwrap().into_inner();
    assert_eq!(charter.charter.unwrap().confirmations_min, 0);
    // An added item is in probation for nobody, and a subscriber sees its details without hashes.
    let item = host.add(&opened.bank, items(0..1)).await.unwrap()[0];
    let seen = administrator.item(item).await.unwrap();
    assert!(seen.holds.is_empty() && seen.content.unwrap().hashes.is_empty());
    refused(administrator.list_items(&bank).await, Code::PermissionDenied, "");
    refused(other.item(item).await, Code::NotFound, "no item");

    // Every member sees the incident; the bank's name is shown to members that see the bank.
    let listed = administrator.incidents().await;
    assert_eq!((listed.incidents.len(), listed.subscribed_types), (1, vec!["perpetrator-content".into()]));
    let incident = &listed.incidents[0];
    assert_eq!((incident.bank.as_str(), incident.item_count), (bank.as_str(), 1));
    assert_eq!(incident.title, "an event");
    assert_eq!(other.incidents().await.incidents[0].bank, "");
    let entries = auditor.entries().await;
    let entry =
        entries.iter().find(|entry| entry.action.ends_with("OpenIncident") && entry.code == 0).unwrap();
    assert_eq!((entry.bank_ids.len(), entry.sequence), (1, opened.sequence));
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_subscription_takes_effect_on_open_incidents(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { operator, administrator, .. } = &consortium;
    let host = operator.principal("", cases::Role::Administrator).await;
    let one = host.open("one", "first").await.unwrap();
    let two = host.open("two", "second").await.unwrap();
    assert_eq!((one.member_count, two.member_count), (0, 0));
    let seen = async || {
        let listed = administrator.incidents().await.incidents;
        listed.into_iter().map(|incident| incident.bank).collect::<Vec<_>>()
    };
    assert_eq!(seen().await, ["", ""]);
    assert_eq!(administrator.subscribe(&["one", "three"], false).await.unwrap(), 1);
    assert_eq!(seen().await, ["local/first", ""]);
    assert_eq!(administrator.subscribe(&[], true).await.unwrap(), 2);
    assert_eq!(seen().await, ["local/first", "local/second"]);
    // Other capabilities, granted by the host, stay.
    host.share("second", "acme", &[cases::Capability::Match, cases::Capability::Opine]).await;
    assert_eq!(administrator.subscribe(&[], false).await.unwrap(), 0);
    assert_eq!(seen().await, ["", "local/second"]);
    refused(administrator.subscribe(&["No word"], false).await, Code::InvalidArgument, "incident_types");
    // The host owns the banks already.
    assert_eq!(host.subscribe(&["one"], false).await.unwrap(), 1);
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_closed_incident_is_searched_by_nobody_and_its_bank_goes_when_due(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { served, operator, administrator, auditor, .. } = &consortium;
    let host = operator.principal("", cases::Role::Administrator).await;
    administrator.subscribe(&[], true).await.unwrap();
    let [kept, short] = [host.open("a", "kept").await.unwrap(), host.open("a", "short").await.unwrap()];
    host.add("kept", items(0..3)).await.unwrap();
    host.add("short", items(3..5)).await.unwrap();
    refused(administrator.close(kept.number, None).await, Code::PermissionDenied, "roles");
    refused(host.close(kept.number, Some(366)).await, Code::InvalidArgument, "keep_days");
    refused(host.close(0, None).await, Code::InvalidArgument, "number: is missing");
    host.close(kept.number, None).await.unwrap();
    host.close(short.number, Some(0)).await.unwrap();
    refused(host.close(kept.number, None).await, Code::NotFound, "no open incident");

    // The host keeps the bank for the after-action report: it is disabled, and nobody else sees it.
    assert_eq!(host.list_items("kept").await.unwrap(), 3);
    let get = pb::GetBankRequest { name: "kept".into() };
    let bank = served.bank.clone().get_bank(host.carried(get)).await.unwrap().into_inner().bank.unwrap();
    assert!(!bank.enabled);
    refused(administrator.list_items("local/kept").await, Code::NotFound, "no bank");
    // A bank that is kept for no day is deleted at once.
    let of = async |number| {
        let listed = host.incidents().await.incidents;
        listed.into_iter().find(|incident| incident.number == number).unwrap()
    };
    until(async || of(short.number).await.bank_deleted).await;
    assert_eq!(of(short.number).await.item_count, 2);
    let closed = of(kept.number).await;
    assert_eq!((closed.closed_at_unix_ms, closed.bank_until_unix_ms), (NOW, NOW + 30 * DAY));
    assert_eq!((closed.closed_reason.as_str(), closed.bank_deleted), ("over", false));
    served.clock.0.store(NOW + 30 * DAY, Ordering::Relaxed);
    until(async || of(kept.number).await.bank_deleted).await;
    refused(host.list_items("kept").await, Code::NotFound, "no bank");
    let entries = auditor.entries().await;
    let deleted = entries.iter().filter(|entry| entry.action.ends_with("DeleteBank")).count();
    assert_eq!(deleted, 2);
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn the_name_of_an_incidents_bank_is_free_or_nothing_is_opened(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    served.create_bank("taken").await.unwrap();
    let head = served.head().await;
    refused(everyone.open("a", "taken").await, Code::AlreadyExists, "taken");
    refused(everyone.open("A", "free").await, Code::InvalidArgument, "incident_type");
    assert_eq!(served.head().await, head);
    assert!(everyone.incidents().await.incidents.is_empty());
    // If an administrator deletes the bank, nothing else is affected.
    let opened = everyone.open("a", "free").await.unwrap();
    served.delete_bank("free").await.unwrap();
    everyone.close(opened.number, Some(0)).await.unwrap();
    until(async || everyone.incidents().await.incidents[0].bank_deleted).await;
    for number in 0..64 {
        everyone.open("a", &format!("b{number}")).await.unwrap();
    }
    refused(everyone.open("a", "more").await, Code::FailedPrecondition, "64 incidents");
    assert_eq!(own(&served, "incidents_opened").await, Some(65));
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

/// Waits until a condition holds.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so().await {
        assert!(begun.elapsed().as_secs() < 30, "it does not become so");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

impl By {
    async fn open(&self, incident_type: &str, bank: &str) -> Result<cases::OpenIncidentResponse, Status> {
        let request = cases::OpenIncidentRequest {
            incident_type: incident_type.into(),
            title: "an event".into(),
            bank: bank.into(),
            ..Default::default()
        };
        let mut client = IncidentServiceClient::new(self.0.clone());
        Ok(client.open_incident(self.carried(request)).await?.into_inner())
    }

    async fn close(&self, number: u64, keep_days: Option<u32>) -> Result<(), Status> {
        let reason = "over".to_owned();
        let request = cases::CloseIncidentRequest { number, reason, keep_days, ..Default::default() };
        IncidentServiceClient::new(self.0.clone()).close_incident(self.carried(request)).await.map(drop)
    }

    async fn incidents(&self) -> cases::ListIncidentsResponse {
        let request = self.carried(cases::ListIncidentsRequest::default());
        IncidentServiceClient::new(self.0.clone()).list_incidents(request).await.unwrap().into_inner()
    }

    async fn subscribe(&self, types: &[&str], every_type: bool) -> Result<u32, Status> {
        let incident_types = types.iter().map(|of| (*of).to_owned()).collect();
        let request =
            cases::SetIncidentSubscriptionRequest { incident_types, every_type, ..Default::default() };
        let mut client = IncidentServiceClient::new(self.0.clone());
        Ok(client.set_incident_subscription(self.carried(request)).await?.into_inner().incident_count)
    }
}
