use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;

/// An issuer whose answers are scripted: each fetch gets the next answer, and the last answer is repeated.
#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    fetches: AtomicUsize,
    in_progress: Arc<AtomicUsize>,
    takes: Duration,
}

#[derive(Debug, Clone)]
enum Answer {
    Keys(&'static [&'static str]),
    Bytes(Vec<u8>),
    Away,
    Never,
    Panic,
}

impl Script {
    fn new(answers: &[Answer]) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.iter().cloned().collect()),
            fetches: AtomicUsize::new(0),
            in_progress: Arc::default(),
            takes: Duration::from_millis(100),
        })
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }
}

struct InProgress(Arc<AtomicUsize>);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FetchKeys for Script {
    fn fetch(&self, url: &str, bytes_max: usize) -> Fetched {
        assert_eq!((url, bytes_max), ("https://id.example/keys", JWKS_BYTES_MAX));
        self.fetches.fetch_add(1, Ordering::Relaxed);
        assert_eq!(self.in_progress.fetch_add(1, Ordering::Relaxed), 0, "two fetches at once");
        let in_progress = InProgress(self.in_progress.clone());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        let takes = self.takes;
        Box::pin(async move {
            let _in_progress = in_progress;
            tokio::time::sleep(takes).await;
            match answer {
                Answer::Keys(ids) => Ok(jwks(ids)),
                Answer::Bytes(bytes) => Ok(bytes),
                Answer::Away => Err(FetchFailed("no route to host".to_owned())),
                Answer::Never => std::future::pending().await,
                Answer::Panic => panic!("a fault of the client"),
            }
        })
    }
}

fn jwks(ids: &[&str]) -> Vec<u8> {
    // Any 32 bytes are accepted as an Ed25519 key until a signature is verified with it.
    let key = |id: &&str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": "A".repeat(43) });
    json!({ "keys": ids.iter().map(key).collect::<Vec<_>>() }).to_string().into_bytes()
}

fn cache(script: &Arc<Script>) -> KeyCache {
    let config = json!({
        "issuer": "https://id.example", "audience": "vigie", "jwks_url": "https://id.example/keys",
        "keys_refresh_ms": 600_000, "keys_age_ms_max": 3_600_000,
    });
    KeyCache::new(&serde_json::from_value(config).unwrap(), script.clone())
}

async fn find(cache: &KeyCache, id: &str) -> Result<(), KeyMissing> {
    cache.find(Some(id), Algorithm::EdDsa).await.map(|_| ())
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_once_and_refreshed_in_the_background_when_due() {
    let script = Script::new(&[Answer::Keys(&["a"]), Answer::Keys(&["b"])]);
    let cache = cache(&script);
    assert_eq!(cache.age(), None);
    assert_eq!(find(&cache, "a").await, Ok(()));
    for _ in 0..100 {
        assert_eq!(find(&cache, "a").await, Ok(()));
    }
    assert_eq!(script.fetches(), 1);

    after(600).await;
    let begun = Instant::now();
    assert_eq!(find(&cache, "a").await, Ok(()), "the old key serves while the set is fetched");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    after(1).await;
    assert_eq!(script.fetches(), 2);
    assert_eq!(find(&cache, "a").await, Err(KeyMissing::Unknown), "the issuer withdrew it");
    assert_eq!(find(&cache, "b").await, Ok(()));
    assert_eq!(script.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn lookups_of_unknown_keys_share_one_fetch_a_minute() {
    let script = Script::new(&[Answer::Keys(&["a"]), Answer::Keys(&["a", "b"])]);
    let cache = cache(&script);
    cache.fetch().await;
    assert_eq!(find(&cache, "b").await, Err(KeyMissing::Unknown), "the minute is not over");
    assert_eq!(script.fetches(), 1);

    after(60).await;
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { find(&cache, "b").await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(()));
    }
    assert_eq!(script.fetches(), 2);

    // A token with an unknown key arrives every second for ten minutes. The last fetch was just now, so the
    // first minute has no fetch, and each of the other nine has one.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(600) {
        assert_eq!(find(&cache, "c").await, Err(KeyMissing::Unknown));
        after(1).await;
    }
    assert_eq!(script.fetches(), 2 + 9);
}

#[tokio::test(start_paused = true)]
async fn old_keys_are_used_while_fetches_fail_until_their_greatest_age() {
    for failure in [
        Answer::Away,
        Answer::Never,
        Answer::Panic,
        Answer::Bytes(b"<html>".to_vec()),
        Answer::Bytes(vec![b' '; JWKS_BYTES_MAX + 1]),
    ] {
        let script = Script::new(&[Answer::Keys(&["a"]), failure.clone()]);
        let cache = cache(&script);
        assert_eq!(find(&cache, "a").await, Ok(()));
        for _ in 0..59 {
            after(60).await;
            assert_eq!(find(&cache, "a").await, Ok(()), "{failure:?}");
        }
        assert!(script.fetches() > 20, "{failure:?}: {}", script.fetches());
        after(60).await;
        assert_eq!(find(&cache, "a").await, Err(KeyMissing::NoKeys), "{failure:?}");
        assert_eq!(cache.age(), None);

        *script.answers.lock().unwrap() = [Answer::Keys(&["a"])].into();
        after(5).await;
        assert_eq!(find(&cache, "a").await, Ok(()), "{failure:?}: it is back");
    }
}

#[tokio::test(start_paused = true)]
async fn without_keys_a_call_waits_for_one_fetch_at_most_and_the_next_try_is_soon() {
    let script = Script::new(&[Answer::Never, Answer::Away, Answer::Keys(&["a"])]);
    let cache = cache(&script);
    let begun = Instant::now();
    assert_eq!(find(&cache, "a").await, Err(KeyMissing::NoKeys));
    assert_eq!(begun.elapsed(), FETCH_MAX);
    assert_eq!(find(&cache, "a").await, Err(KeyMissing::NoKeys), "the second try");
    assert_eq!(find(&cache, "a").await, Err(KeyMissing::NoKeys), "it is too early for a third");
    assert_eq!(script.fetches(), 2);
    after(5).await;
    assert_eq!(find(&cache, "a").await, Ok(()));
    assert_eq!(script.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_end_the_fetch_for_the_others() {
    let script = Script::new(&[Answer::Keys(&["a"])]);
    let cache = cache(&script);
    let hasty = tokio::time::timeout(Duration::from_millis(50), find(&cache, "a"));
    assert!(hasty.await.is_err());
    assert_eq!(find(&cache, "a").await, Ok(()));
    assert_eq!(script.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_calls_that_wait_for_a_fetch_are_bounded() {
    let script = Script::new(&[Answer::Never]);
    let cache = cache(&script);
    let waiting: Vec<_> = (0..WAITERS_MAX).map(|_| cache.fetch()).collect();
    let begun = Instant::now();
    assert_eq!(find(&cache, "a").await, Err(KeyMissing::NoKeys));
    assert_eq!(begun.elapsed(), Duration::ZERO, "it does not wait");
    drop(waiting);
    assert_eq!(find(&cache, "a").await, Err(KeyMissing::NoKeys));
    assert_eq!(begun.elapsed(), FETCH_MAX);
}
