//! Adding files, hashes and lists; and an export, which an import accepts.

use http::StatusCode;
use serde_json::{Value, json};
use vigie_pictures::{draw, encode_jpeg};

use crate::gateway::client::{Http, cluster};
use crate::gateway::console::browser::{Browser, Shown};

async fn bank(http: &Http, name: &str) {
    http.post("/v1/banks", &json!({ "name": name })).await.body(201);
}

async fn items(http: &Http, bank: &str) -> Vec<Value> {
    http.get(&format!("/v1/banks/{bank}/items")).await.body(200)["items"].as_array().unwrap().clone()
}

fn md5(byte: u8) -> String {
    format!("{byte:02x}").repeat(16)
}

/// The exported parts of an item.
fn content(item: &Value) -> (String, Value, Value) {
    (item["hashes"].to_string(), item["labels"].clone(), item["external_reference"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_hashes_are_added_and_a_bad_one_costs_itself() {
    let cluster = cluster().await;
    let (http, mut browser) = (Http::new(&cluster), Browser::new(&cluster));
    bank(&http, "known").await;
    let path = "/console/banks/known/add";
    let page = browser.get(path).await.ok();
    let picture = encode_jpeg(&draw(3, 300, 200), 90);
    let other = encode_jpeg(&draw(4, 300, 200), 90);
    let files: [(&str, &str, &[u8]); 3] = [
        ("files", "a.jpg", &picture),
        ("files", "<b>.jpg", b"no picture at all"),
        // A picture with a video's file name.
        ("files", "b.mp4", &other),
    ];
    let lines = format!("{}\nnonsense\n{}\n", md5(1), md5(2));
    let fields =
        [("labels", "one, two"), ("case", "c-1"), ("note", "n"), ("hashes", &*lines), ("type", "md5")];
    let mut once = None;
    for _ in 0..2 {
        let added = browser.upload(&page, path, &fields, &files).await.ok();
        let text = added.text();
        assert!(text.contains("4 items were added.") && text.contains("2 were refused."), "{text}");
        assert!(text.contains("Line 2 Refused") && text.contains("<b>.jpg Refused"), "{text}");
        assert!(added.html.contains("&lt;b&gt;.jpg") && !added.html.contains("<b>"), "{}", added.html);
        // A repeated form is the same write.
        let there = items(&http, "known").await;
        assert_eq!(there.len(), 4, "{there:?}");
        assert!(once.is_none_or(|before: Vec<Value>| before == there));
        once = Some(there);
    }
    let there = once.unwrap();
    let references: Vec<_> = there.iter().map(|item| item["external_reference"].clone()).collect();
    assert_eq!(references, [json!("a.jpg"), json!("b.mp4"), Value::Null, Value::Null]);
    let types: Vec<_> =
        there[0]["hashes"].as_array().unwrap().iter().map(|one| one["hash_type"].clone()).collect();
    assert!(types.contains(&json!("pdq")) && types.contains(&json!("md5")), "{types:?}");
    for item in &there {
        assert_eq!((&item["labels"], &item["details"]["note"]), (&json!(["one", "two"]), &json!("n")));
        assert_eq!(item["submissions"][0]["case"], "c-1");
    }

    // Another form with the same file: the item exists already, and nothing is added.
    let again = browser.get(path).await.ok();
    let known = browser.upload(&again, path, &[("case", "c-1")], &files[..1]).await.ok();
    assert!(known.text().contains("1 was there already."), "{}", known.text());
    // Faults of the whole form are shown in it, and the entered text is kept.
    let digits = "ab".repeat(32);
    for (fields, fault) in [
        (vec![("hashes", &*digits)], "Choose the type."),
        (vec![("note", "kept"), ("classes", "iwf"), ("hashes", &*digits)], "taxonomy/dimension=value"),
        (vec![("labels", "kept")], "Choose a file or enter a hash."),
    ] {
        let refused = browser.upload(&again, path, &fields, &[("files", "", b"")]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.text().contains(fault), "{}", refused.text());
        assert!(refused.html.contains(fields[0].1), "{}", refused.html);
    }
    assert_eq!(items(&http, "known").await.len(), 4);
    cluster.stop().await.unwrap();
}

/// The digest of the list that a page has tried.
fn tried(page: &Shown) -> String {
    page.html.split("name=\"tried\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_tried_first_and_an_export_is_one() {
    let cluster = cluster().await;
    let (http, mut browser) = (Http::new(&cluster), Browser::new(&cluster));
    bank(&http, "known").await;
    let path = "/console/banks/known/import";
    let page = browser.get(path).await.ok();
    let list =
        format!("md5,labels,external_reference\n{},\"<i>x</i>\",r1\nbad,l,r2\n{},l;m,r3\n", md5(1), md5(2));
    let file = [("file", "list.csv", list.as_bytes())];
    let trial = browser.upload(&page, path, &[("do", "try"), ("labels", "imported")], &file).await.ok();
    let text = trial.text();
    assert!(text.contains("2 items would be added.") && text.contains("1 line is no item"), "{text}");
    assert!(text.contains("md5: 2") && text.contains("Format csv"), "{text}");
    assert!(trial.html.contains("data-heading=\"Line\"><div>3</div></td>"), "{}", trial.html);
    assert!(items(&http, "known").await.is_empty());

    // A list that was not tried, or was tried with other options, is not added.
    let digest = tried(&trial);
    for (fields, content) in [
        (vec![("do", "import"), ("labels", "imported"), ("tried", "")], &list),
        (vec![("do", "import"), ("labels", "other"), ("tried", &*digest)], &list),
        (vec![("do", "import"), ("labels", "imported"), ("tried", &*digest)], &list.replace("r3", "r4")),
    ] {
        let shown =
            browser.upload(&trial, path, &fields, &[("file", "list.csv", content.as_bytes())]).await.ok();
        assert!(shown.text().contains("nothing was added"), "{}", shown.text());
        assert!(items(&http, "known").await.is_empty());
    }
    // The form is sent twice, and the list is written once.
    let fields = [("do", "import"), ("labels", "imported"), ("tried", &*digest)];
    for _ in 0..2 {
        let done = browser.upload(&trial, path, &fields, &file).await.ok();
        let text = done.text();
        assert!(
            text.contains("2 items were added.") && text.contains("1 line is no item and was left out."),
            "{text}"
        );
        assert_eq!(items(&http, "known").await.len(), 2);
    }
    // An ambiguous hash type has to be chosen.
    let digits = format!("{}\n", "ab".repeat(32));
    let refused =
        browser.upload(&page, path, &[("do", "try")], &[("file", "x.txt", digits.as_bytes())]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("Choose the type."), "{}", refused.text());

    // An import of the export adds the same items.
    let there: Vec<_> = items(&http, "known").await.iter().map(content).collect();
    for format in ["csv", "jsonl"] {
        let target = format!("copy-{format}");
        bank(&http, &target).await;
        let export = browser.get(&format!("/console/banks/known/export/file?format={format}")).await.ok();
        let disposition = export.headers["content-disposition"].to_str().unwrap();
        assert_eq!(disposition, format!("attachment; filename=\"known.{format}\""));
        assert_eq!(export.headers["x-content-type-options"], "nosniff");
        let path = format!("/console/banks/{target}/import");
        let page = browser.get(&path).await.ok();
        let file = [("file", "copy", export.html.as_bytes())];
        let trial = browser.upload(&page, &path, &[("do", "try")], &file).await.ok();
        let digest = tried(&trial);
        browser.upload(&trial, &path, &[("do", "import"), ("tried", &digest)], &file).await.ok();
        let copied: Vec<_> = items(&http, &target).await.iter().map(content).collect();
        assert_eq!(copied, there, "{format}");
    }
    let list = browser.get("/console/banks/known/export/file?format=list").await;
    assert_eq!(list.status, StatusCode::BAD_REQUEST);
    let list = browser.get("/console/banks/known/export/file?format=list&type=md5").await.ok();
    assert_eq!(list.html.lines().count(), 2, "{}", list.html);
    assert_eq!(
        browser.get("/console/banks/known/export/file?format=vpdq").await.status,
        StatusCode::BAD_REQUEST
    );
    cluster.stop().await.unwrap();
}
