//! The limit of failed attempts, for each host.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The number of hosts in one part of the table, of which one is dropped when a ninth comes.
const WAYS: usize = 8;

/// Returns the key of the host at this address. For IPv6 it is the /64 prefix, because a host has as many
/// addresses below it as it likes.
#[must_use]
pub fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// A token bucket for each host: a failed attempt takes a token, and while there is none every attempt fails
/// without being checked.
///
/// Secrets of 256 bits cannot be guessed. The limit keeps guesses from costing processor time and log lines,
/// and shows which clients are misconfigured. An attempt in progress when the last token is taken is still
/// checked, so a host may fail as often as it has concurrent calls, and no more.
///
/// Memory is fixed. In a full table, the host that would soonest have all its tokens back is dropped. An
/// attacker with very many hosts therefore passes the limit, but cannot lock out others.
#[derive(Debug)]
pub struct FailedAttempts {
    /// The time in which one token is added.
    interval: Duration,
    /// The time in which all tokens are added.
    window: Duration,
    parts: Box<[Mutex<Part>]>,
    /// Drawn at random for each process, so that nobody can choose addresses that fall into one part.
    hashes: RandomState,
}

type Part = [Option<Bucket>; WAYS];

/// A bucket, stored as the instant at which it is full again (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    host: IpAddr,
    full_at: Instant,
}

impl FailedAttempts {
    /// Returns a limit of `burst` failed attempts at once and `per_minute` in the long run, for `hosts_max`
    /// hosts or a few more. Zero counts as 1.
    #[must_use]
    pub fn new(burst: u32, per_minute: u32, hosts_max: usize) -> Self {
        let interval = Duration::from_secs(60) / per_minute.max(1);
        let parts = hosts_max.div_ceil(WAYS).max(1);
        Self {
            interval,
            window: interval * burst.max(1),
            parts: (0..parts).map(|_| Mutex::new([None; WAYS])).collect(),
            hashes: RandomState::new(),
        }
    }

    /// Checks whether the host at this address may try.
    ///
    /// # Errors
    ///
    /// The host has failed too often. Returns the time until it may try once.
    pub fn check(&self, address: IpAddr) -> Result<(), Duration> {
        let (host, now) = (host(address), Instant::now());
        let part = self.part(host);
        let Some(bucket) = part.iter().flatten().find(|bucket| bucket.host == host) else { return Ok(()) };
        // The first token is there one interval after the bucket is empty, which is `window - interval`
        // before it is full.
        let full_in = bucket.full_at.saturating_duration_since(now);
        let first_token_in = full_in.saturating_sub(self.window - self.interval);
        if first_token_in.is_zero() { Ok(()) } else { Err(first_token_in) }
    }

    /// Takes a token from the host at this address.
    pub fn failed(&self, address: IpAddr) {
        let (host, now) = (host(address), Instant::now());
        let mut part = self.part(host);
        // The host's own slot, otherwise an empty one, otherwise that of the bucket that is full soonest. An
        // array of eight has a minimum.
        let is_own = |slot: &Option<Bucket>| slot.is_some_and(|bucket| bucket.host == host);
        let order = |slot: &&mut Option<Bucket>| (!is_own(slot), slot.map(|bucket| bucket.full_at));
        let Some(slot) = part.iter_mut().min_by_key(order) else { return };
        let held = slot.filter(|bucket| bucket.host == host).map_or(now, |bucket| bucket.full_at);
        let full_at = (held.max(now) + self.interval).min(now + self.window);
        *slot = Some(Bucket { host, full_at });
    }

    fn part(&self, host: IpAddr) -> MutexGuard<'_, Part> {
        let hash = self.hashes.hash_one(host);
        // The remainder is smaller than the number of parts.
        let index = usize::try_from(hash % self.parts.len() as u64).unwrap_or_default();
        self.parts[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_failed_too_often_waits_and_others_do_not() {
        let attempts = FailedAttempts::new(5, 30, 1_000);
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..5 {
            assert_eq!(attempts.check(one), Ok(()));
            attempts.failed(one);
        }
        assert_eq!(attempts.check(one), Err(Duration::from_secs(2)));
        assert_eq!(attempts.check(other), Ok(()));

        // One token comes back every two seconds.
        tokio::time::advance(Duration::from_millis(1_999)).await;
        assert_eq!(attempts.check(one), Err(Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(attempts.check(one), Ok(()));
        attempts.failed(one);
        assert_eq!(attempts.check(one), Err(Duration::from_secs(2)));

        // All tokens are back after ten seconds, and never more than all.
        tokio::time::advance(Duration::from_secs(1_000)).await;
        for _ in 0..5 {
            assert_eq!(attempts.check(one), Ok(()));
            attempts.failed(one);
        }
        assert!(attempts.check(one).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_were_under_way_do_not_lengthen_the_wait() {
        let attempts = FailedAttempts::new(5, 30, 1_000);
        for _ in 0..1_000 {
            attempts.failed(address("192.0.2.1"));
        }
        assert_eq!(attempts.check(address("192.0.2.1")), Err(Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_64_of_ipv6_is_one_host_and_a_mapped_address_is_that_of_ipv4() {
        let attempts = FailedAttempts::new(1, 1, 1_000);
        attempts.failed(address("2001:db8:0:1::1"));
        assert!(attempts.check(address("2001:db8:0:1:ffff:ffff:ffff:ffff")).is_err());
        assert_eq!(attempts.check(address("2001:db8:0:2::1")), Ok(()));
        attempts.failed(address("::ffff:192.0.2.1"));
        assert!(attempts.check(address("192.0.2.1")).is_err());
        assert_eq!(attempts.check(address("192.0.2.2")), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_does_not_grow_and_keeps_those_who_failed_most() {
        let attempts = FailedAttempts::new(10, 10, 256);
        let slots = attempts.parts.len() * WAYS;
        assert_eq!(slots, 256);
        let worst = address("198.51.100.1");
        for _ in 0..10 {
            attempts.failed(worst);
        }
        for number in 0..100_000_u32 {
            attempts.failed(Ipv4Addr::from_bits(number).into());
        }
        assert!(attempts.check(worst).is_err());
        let held: usize =
            attempts.parts.iter().map(|part| part.lock().unwrap().iter().flatten().count()).sum();
        assert_eq!(held, slots);
    }

    #[test]
    fn limits_of_zero_count_as_one() {
        let attempts = FailedAttempts::new(0, 0, 0);
        attempts.failed(address("192.0.2.1"));
        assert!(attempts.check(address("192.0.2.1")).is_err());
    }
}
