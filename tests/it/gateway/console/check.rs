//! Checking: the results for pictures, videos, hashes and URLs.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use vigie_harness::in_process::Cluster;
use vigie_pictures::{Alteration, draw, encode_jpeg};

use crate::gateway::client::{Http, cluster, cluster_with};
use crate::gateway::console::browser::{Browser, Shown};

const PATH: &str = "/console/check";
/// The time limit for the frontend to follow a change.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);

/// Adds an item to the bank `known`, and creates the bank if it does not exist.
async fn add(cluster: &Cluster, item: Value) -> u64 {
    let http = Http::new(cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await;
    let added = http.post("/v1/banks/known/items", &json!({ "items": [item] })).await.body(201);
    added["item_ids"][0].as_u64().unwrap()
}

/// The hashes of a picture, in an item's format.
async fn hashes(cluster: &Cluster, picture: &[u8]) -> Value {
    let raw = [("content-type", "image/jpeg")];
    let hashed = Http::new(cluster).send(Method::POST, "/v1/hash", &raw, picture.to_vec()).await.body(200);
    json!([{ "type": "pdq", "hash": hashed["pdq"] }, { "type": "md5", "hash": hashed["md5"] }])
}

/// Sends hashes by the form of the page.
async fn check(browser: &mut Browser, hashes: &str) -> Shown {
    let page = browser.get(PATH).await.ok();
    browser.send(&page, PATH, &[("hashes", hashes)]).await.ok()
}

/// Asserts that the page has these texts.
#[track_caller]
fn has(shown: &Shown, texts: &[&str]) {
    let text = shown.text();
    for one in texts {
        assert!(text.contains(one), "{one}: {text}");
    }
}

/// Asserts that the page calls no content unknown.
#[track_caller]
fn has_no_all_clear(shown: &Shown) {
    assert!(!shown.html.contains("badge good"), "{}", shown.text());
    assert!(!shown.text().contains("nothing matches"), "{}", shown.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_known_turned_and_framed_and_others_are_not() {
    let cluster = cluster().await;
    let picture = draw(3, 640, 480);
    let jpeg = encode_jpeg(&picture, 90);
    let hashes = hashes(&cluster, &jpeg).await;
    let label = "<b id='x'>\"label\"</b>";
    let item = json!({ "hashes": hashes, "labels": [label], "external_reference": "<i>reference</i>" });
    let id = add(&cluster, item).await;
    let mirrored = Alteration::MirroredHorizontally.apply(&picture);
    let framed = Alteration::Letterboxed { per_mille: 250 }.apply(&picture);
    let other = encode_jpeg(&draw(4, 640, 480), 90);

    let mut browser = Browser::new(&cluster);
    let page = browser.get(PATH).await.ok();
    let files: [(&str, &str, &[u8]); 4] = [
        ("files", "same.jpg", &jpeg),
        ("files", "mirrored.jpg", &mirrored),
        ("files", "<u>framed</u>.jpg", &framed),
        ("files", "other.jpg", &other),
    ];
    let shown = browser.upload(&page, PATH, &[], &files).await.ok();
    has(
        &shown,
        &[
            "Answers: 3 known, 1 not known",
            "same.jpg Known 1 item in: known",
            "It was mirrored, left to right.",
            "It matched after its borders were removed.",
            "other.jpg Not known Everything was searched, and nothing matches.",
            "All 2 parts of the list were searched, as of",
            "Why did it match?",
            "of 256 bits differ",
            "No member has said anything about it.",
            "No policy decides here",
            label,
        ],
    );
    assert!(shown.links().contains(&format!("/console/items/{id}")), "{:?}", shown.links());
    for markup in ["<b id", "<i>", "<u>"] {
        assert!(!shown.html.contains(markup), "{markup}: {}", shown.html);
    }
    // Scripts find the element of each preview.
    assert!((0..4).all(|number| shown.html.contains(&format!("data-preview=\"{number}\""))));
    // The same page in French, without a word of English in its sentences.
    browser.cookies.insert("vigie-language".to_owned(), "fr".to_owned());
    let french = browser.upload(&page, PATH, &[], &files[..2]).await.ok();
    has(&french, &["Réponses : 2 connus", "comme dans un miroir", "Les 2 parties de la liste"]);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_of_every_form_is_found() {
    let cluster = cluster().await;
    let (md5, sha1, pdq) = ("01".repeat(16), "02".repeat(20), "0f".repeat(32));
    let sha256 = "03".repeat(32);
    let frames: Vec<String> = [1, 2, 3]
        .map(|number| format!("{number},100,{},{number}.000", format!("{:02x}", number * 77).repeat(32)))
        .to_vec();
    let vpdq = frames.join("\n");
    let hash = |name: &str, text: &str| json!({ "type": name, "hash": text });
    let item = json!([
        hash("md5", &md5),
        hash("sha1", &sha1),
        hash("pdq", &pdq),
        hash("sha256", &sha256),
        hash("vpdq", &vpdq)
    ]);
    let id = add(&cluster, json!({ "hashes": item })).await;

    let mut browser = Browser::new(&cluster);
    // Five bits from the banked hash.
    let near = format!("{}10", "0f".repeat(31));
    let list = format!(
        "[{}]",
        frames
            .iter()
            .map(|frame| {
                let parts: Vec<&str> = frame.split(',').collect();
                format!("\"{},{},{}\"", parts[2], parts[1], parts[3])
            })
            .collect::<Vec<_>>()
            .join(",")
    );
    for (entered, said) in [
        (md5.clone(), "The same file, byte for byte (MD5)."),
        (md5.to_uppercase(), "The same file, byte for byte (MD5)."),
        (format!("{md5}  picture.jpg"), "The same file, byte for byte (MD5)."),
        (format!("SHA1 (picture.jpg) = {sha1}"), "The same file, byte for byte (SHA-1)."),
        (sha256.clone(), "The same file, byte for byte (SHA-256)."),
        (pdq.clone(), "The same picture: the PDQ hashes are equal."),
        (
            format!("pdq:{near}"),
            "Almost the same picture: 5 of 256 bits of PDQ differ, and up to 31 count as a match.",
        ),
        (format!("{pdq},87,picture.jpg"), "The same picture: the PDQ hashes are equal."),
        (vpdq.clone(), "100 % of the known video is in what you sent"),
        (list, "100 % of what you sent is in the known video"),
    ] {
        let shown = check(&mut browser, &entered).await;
        has(&shown, &["Answers: 1 known", "Known 1 item in: known", said]);
        assert!(shown.links().contains(&format!("/console/items/{id}")), "{entered}");
    }
    // Several lines, one of them unknown.
    let shown = check(&mut browser, &format!("{md5}\n\n{}\n{sha1}", "09".repeat(16))).await;
    has(
        &shown,
        &["Answers: 2 known, 1 not known", "Line 3: MD5, MD5 (URL) Not known", "Line 4: SHA-1 Known"],
    );
    // A PDQ hash of too little detail is not searched, and the page does not show it as an answer.
    let shown = check(&mut browser, &format!("pdq:{pdq},12")).await;
    has(&shown, &["Nothing found, but not everything was searched", "12 of 100; at least 50 is needed"]);
    has_no_all_clear(&shown);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_beside_its_field_and_nothing_is_checked() {
    let cluster =
        cluster_with(|config| config.gateway.fetch.private_hosts = vec!["127.0.0.2".to_owned()]).await;
    let mut browser = Browser::new(&cluster);
    let page = browser.get(PATH).await.ok();
    let md5 = "01".repeat(16);
    let wrong = check(&mut browser, &format!("{md5}\n<s>no hash</s>\n{}", &md5[1..])).await;
    has(&wrong, &["Nothing was checked.", "Not a hash of a known type, in line: 2, 3."]);
    assert!(
        wrong.html.contains("aria-invalid=\"true\"") && wrong.text().contains("<s>no hash</s>"),
        "{}",
        wrong.html
    );
    assert!(!wrong.html.contains("<s>") && !wrong.text().contains("Answers:"), "{}", wrong.html);
    let many = check(&mut browser, &format!("{md5}\n").repeat(65)).await;
    has(&many, &["At most 64 hashes are checked at once."]);
    let nothing = browser.send(&page, PATH, &[]).await.ok();
    has(&nothing, &["Choose a picture or a video, or enter a hash."]);
    let files = [("files", "a.jpg", b"x".as_slice()); 17];
    has(&browser.upload(&page, PATH, &[], &files).await.ok(), &["At most 16 files are checked at once."]);
    for (url, why) in [
        ("http://127.0.0.1:1/a.jpg", "the host of the url is not allowed"),
        ("file:///etc/passwd", "only http and https are fetched"),
        ("http://127.0.0.2:1/a.jpg", "its host cannot be reached"),
        ("no url", "invalid url"),
    ] {
        let refused = browser.send(&page, PATH, &[("url", url), ("hashes", &md5)]).await.ok();
        has(&refused, &["Nothing was checked.", why]);
        assert!(refused.html.contains(&format!("value=\"{url}\"")) && !refused.text().contains("Answers:"));
    }
    for (classifiers, why) in [
        ("NSFW", "Not a list of at most 16 names."),
        ("nsfw, gore", "There is no model of images called nsfw."),
    ] {
        let refused = browser.send(&page, PATH, &[("classifiers", classifiers), ("hashes", &md5)]).await.ok();
        has(&refused, &["Nothing was checked.", why]);
        assert!(
            refused.html.contains(&format!("value=\"{classifiers}\""))
                && !refused.text().contains("Answers:")
        );
    }
    // A form of another session is refused.
    let mut other = Browser::new(&cluster);
    assert_eq!(other.send(&page, PATH, &[("hashes", &md5)]).await.status, StatusCode::FORBIDDEN);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_fetched_where_that_is_allowed_and_no_field_asks_for_one_elsewhere() {
    let allowed =
        cluster_with(|config| config.gateway.fetch.private_hosts = vec!["127.0.0.1".to_owned()]).await;
    let mut browser = Browser::new(&allowed);
    let page = browser.get(PATH).await.ok();
    // A file that this gateway serves to everybody.
    let url = format!("http://{}/status/live", Http::new(&allowed).authority());
    let shown = browser.send(&page, PATH, &[("url", &url)]).await.ok();
    has(&shown, &["The file of the URL", "Only its digests were searched"]);
    allowed.stop().await.unwrap();

    let off = cluster_with(|config| config.gateway.fetch.enabled = false).await;
    let mut browser = Browser::new(&off);
    let page = browser.get(PATH).await.ok();
    assert!(!page.html.contains("name=\"url\""), "{}", page.html);
    let refused = browser.send(&page, PATH, &[("url", &url)]).await.ok();
    has(&refused, &["Nothing was checked."]);
    off.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_searched_by_its_digests_and_says_so() {
    let cluster = cluster().await;
    let mut browser = Browser::new(&cluster);
    let page = browser.get(PATH).await.ok();
    let files: [(&str, &str, &[u8]); 2] =
        [("files", "broken.jpg", b"no picture"), ("files", "empty.jpg", b"")];
    let shown = browser.upload(&page, PATH, &[], &files).await.ok();
    has(
        &shown,
        &[
            "broken.jpg Nothing found, but not everything was searched",
            "Only its digests were searched (MD5",
            "an unchanged copy is found, a changed one is not",
            "empty.jpg",
        ],
    );
    has_no_all_clear(&shown);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_away_makes_every_answer_look_partial() {
    let mut cluster = cluster().await;
    let http = Http::new(&cluster);
    let digests: Vec<String> = (0..20).map(|byte| format!("{byte:02x}").repeat(16)).collect();
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let items: Vec<Value> =
        digests.iter().map(|md5| json!({ "hashes": [{ "type": "md5", "hash": md5 }] })).collect();
    http.post("/v1/banks/known/items", &json!({ "items": items })).await.body(201);
    let mut browser = Browser::new(&cluster);
    has(&check(&mut browser, &digests.join("\n")).await, &["Answers: 20 known"]);

    cluster.stop_matcher(1).await.unwrap();
    let shown = check(&mut browser, &digests.join("\n")).await;
    let text = shown.text();
    has_no_all_clear(&shown);
    let (known, unclear) = (
        text.matches(" Known 1 item").count(),
        text.matches("but not everything was searched It may").count(),
    );
    assert!(known > 0 && unclear > 0 && known + unclear == 20, "{known} and {unclear}: {text}");
    assert_eq!(text.matches("This answer is not complete:").count(), unclear);
    assert_eq!(text.matches("More may match than is shown").count(), known);
    has(&shown, &["Only 1 of 2 parts of the list were searched.", "Part 1 did not answer."]);
    // No matcher answers.
    cluster.stop_matcher(0).await.unwrap();
    let shown = check(&mut browser, &digests[0]).await;
    has(&shown, &["Answers: 1 not checked", "It could not be checked: no part of the list answers"]);
    assert!(!shown.text().contains("127.0.0.1"), "{}", shown.text());
    has_no_all_clear(&shown);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_decides_and_what_members_say_is_shown() {
    let cluster = cluster().await;
    let md5 = "01".repeat(16);
    let id = add(&cluster, json!({ "hashes": [{ "type": "md5", "hash": md5 }] })).await;
    let http = Http::new(&cluster);
    let policy = json!({
        "rule": [{ "name": "of-the-console", "when": "query.surface == 'console' && matches.size() > 0", "verdict": "BLOCK" }],
    });
    http.put("/v1/policy?expected_version=0", &policy).await.body(200);
    let opinion = json!({ "kind": "negative", "reason": "different-content", "dispute": false });
    let said = http.put(&format!("/v1/items/{id}/opinion"), &opinion).await;
    assert_eq!(said.status, StatusCode::OK, "{}", said.body);
    let mut browser = Browser::new(&cluster);
    let begun = Instant::now();
    let wanted = [
        "Your policy decides: BLOCK Stop it. The rule is “of-the-console”, in version 1 of the policy.",
        "1 member has looked and says that it is something else.",
        "Your member: it is not what the item says.",
    ];
    loop {
        let shown = check(&mut browser, &md5).await;
        if wanted.iter().all(|one| shown.text().contains(one)) {
            break;
        }
        if begun.elapsed() > FOLLOWED_WITHIN {
            has(&shown, &wanted);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let shown = check(&mut browser, &"02".repeat(16)).await;
    has(&shown, &["Your policy decides: ALLOW Let it through. No rule's condition held"]);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_known_by_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let encode = |name: &str, quality: &str| -> Option<Vec<u8>> {
        let path = folder.path().join(name);
        let source = ["-v", "error", "-f", "lavfi", "-i", "mandelbrot=size=320x240:rate=4", "-t", "4"];
        let mut ffmpeg = std::process::Command::new("ffmpeg");
        let run = ffmpeg.args(source).args(["-c:v", "mpeg4", "-q:v", quality, "-threads", "1"]).arg(&path);
        run.status().ok().filter(std::process::ExitStatus::success)?;
        std::fs::read(&path).ok()
    };
    let (Some(video), Some(copy)) = (encode("a.mp4", "3"), encode("b.mp4", "9")) else {
        assert!(
            std::env::var_os("VIGIE_REQUIRE_FFMPEG").is_none(),
            "no ffmpeg, and VIGIE_REQUIRE_FFMPEG is set"
        );
        eprintln!("SKIPPED: no ffmpeg, so videos are not checked. Debian and Ubuntu: apt-get install ffmpeg");
        return;
    };
    let cluster = cluster_with(|config| {
        config.frontend.decoder_program = Some(env!("CARGO_BIN_EXE_decoder-stand-in").into());
    })
    .await;
    let raw = [("content-type", "video/mp4")];
    let hashed = Http::new(&cluster)
        .send(Method::POST, "/v1/hash/video?dense=true", &raw, video.clone())
        .await
        .body(200);
    add(&cluster, json!({ "hashes": [{ "type": "vpdq", "hash": hashed["vpdq"] }] })).await;
    let mut browser = Browser::new(&cluster);
    let page = browser.get(PATH).await.ok();
    // The bytes make it a video, whatever the file name.
    let shown = browser.upload(&page, PATH, &[], &[("files", "copy.jpg", &copy)]).await.ok();
    has(
        &shown,
        &[
            "Answers: 1 known",
            "of the known video is in what you sent",
            "320 × 240",
            "Rules for videos that hold",
            "All 2 parts of the list were searched",
        ],
    );
    cluster.stop().await.unwrap();
}
