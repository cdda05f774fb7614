//! The monthly report: the page and its files have the same numbers as the bank.

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use vigie_clients::{Network, StatisticsClient, StatisticsFormat};
use vigie_harness::in_process::soon;

use crate::gateway::client::{Http, cluster};
use crate::gateway::console::browser::Browser;
use crate::gateway::console::people::person;
use crate::gateway::v1::members::{team, turned_on};

/// The present month and the month before.
fn months() -> (String, String) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap();
    let (year, month) = (now.year(), u8::from(now.month()));
    let before = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
    (format!("{year:04}-{month:02}"), format!("{:04}-{:02}", before.0, before.1))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_month_has_the_numbers_of_the_bank() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "a<b>known" })).await.problem(400, "INVALID_ARGUMENT");
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let hashes: Vec<Value> = (1..=7)
        .map(|byte| json!({ "hashes": [{ "type": "md5", "hash": format!("{byte:02x}").repeat(16) }] }))
        .collect();
    http.post("/v1/banks/known/items", &json!({ "items": hashes })).await.body(201);
    let (present, before) = months();
    let client = StatisticsClient::among(&[cluster.bank_url()], &Network::tcp()).unwrap();
    let read = async |format, public| {
        client.get_statistics((&present, &present), format, public, soon()).await.unwrap()
    };
    let numbers: Value = serde_json::from_str(&read(StatisticsFormat::Json, false).await).unwrap();
    let added =
        numbers["own"].as_array().unwrap().iter().find(|one| one["measure"] == "items_added").unwrap();
    assert_eq!(added["total"], 7);

    // The default period is the last complete month; one more click downloads it.
    let mut browser = Browser::new(&cluster);
    assert!(browser.get("/console/").await.ok().links().contains(&"/console/reports".to_owned()));
    let page = browser.get("/console/reports").await.ok();
    assert!(page.text().contains(&format!("Report of {before}")), "{}", page.text());
    let link = format!("/console/reports/file?month={before}&to={before}&format=markdown");
    assert!(page.links().contains(&link), "{:?}", page.links());

    let page = browser.get(&format!("/console/reports?month={present}")).await.ok();
    for words in ["Own numbers of local", "Items added 7 7", "Hashes of added items 7 7"] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
    for (format, form, end) in [
        ("markdown", StatisticsFormat::Markdown, "md"),
        ("csv", StatisticsFormat::Csv, "csv"),
        ("json", StatisticsFormat::Json, "json"),
    ] {
        let path = format!("/console/reports/file?month={present}&format={format}");
        let file = browser.get(&path).await.ok();
        assert_eq!(file.html, read(form, false).await, "{format}");
        let disposition = file.headers["content-disposition"].to_str().unwrap();
        assert_eq!(disposition, format!("attachment; filename=\"statistics-{present}.{end}\""));
        let public = browser.get(&format!("{path}&public=yes")).await.ok();
        assert_eq!(public.html, read(form, true).await, "{format}");
    }
    let public = browser.get(&format!("/console/reports?month={present}&public=yes")).await.ok().text();
    assert!(!public.contains("Own numbers") && !public.contains("Items added 7"), "{public}");
    let two = browser.get(&format!("/console/reports?month={before}&to={present}")).await.ok();
    assert!(two.text().contains(&format!("{before} to {present}")), "{}", two.text());
    for wrong in ["month=2026-13", "month=%3Cb%3E", "month=2026-03&to=2026-01", "month=2000-01&to=2026-01"] {
        let refused = browser.get(&format!("/console/reports?{wrong}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(refused.text().contains("These are no months") && !refused.html.contains("<b>"), "{wrong}");
    }
    assert_eq!(browser.get("/console/reports/file?format=exe").await.status, StatusCode::NOT_FOUND);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_there_for_those_who_administrate_or_audit() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (acme, _) = team(&operator, "acme").await;
    let (mut administrator, _) = person(&cluster, &acme, json!({ "roles": ["administrator"] })).await;
    let page = administrator.get("/console/reports").await.ok();
    assert!(page.text().contains("Own numbers of acme"), "{}", page.text());
    let (mut worker, _) =
        person(&cluster, &acme, json!({ "roles": ["matcher", "reviewer", "contributor"] })).await;
    for path in ["/console/reports", "/console/reports/file"] {
        assert_eq!(worker.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!worker.get("/console/").await.ok().links().contains(&"/console/reports".to_owned()));
    cluster.stop().await.unwrap();
}
