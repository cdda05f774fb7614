//! The slots or bytes that each client has in flight, and its fair share.
//!
//! Shares are max-min fair: the limit divided by the number of active clients. A client within its share gets
//! a slot though others have taken all of them; beyond its share it takes what is left. So a client that
//! sends little is never pushed out by one that sends much, and a client that is alone has everything.
//!
//! A client is identified by its identity ([`crate::authorization::identity`]), and otherwise by the host
//! that it calls from. Behind a proxy all calls come from the proxy's address, so without certificates all
//! are one client.
//!
//! Memory is bounded: clients beyond [`CLIENTS_MAX`] are distinguished only by [`BUCKETS`] values of a hash.
//! Clients with the same value share.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::authorization::identity::ClientIdentity;
use crate::connection::peer::{Peer, host};

/// The most clients that are counted one by one.
const CLIENTS_MAX: usize = 1_024;
/// The number of buckets for the other clients.
const BUCKETS: u64 = 64;
/// A client is active while it has calls in flight, and this long after its last one.
const ACTIVE_FOR: Duration = Duration::from_secs(1);
/// The average is a moving mean over about this many calls.
const AVERAGE_CALLS: f64 = 32.0;
/// The part of its share below which a client's average counts as little.
const LITTLE: f64 = 0.75;
/// The interval at which inactive clients are removed.
const COUNT_EVERY: Duration = Duration::from_millis(100);

/// The key under which a client is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum Client {
    Named(ClientIdentity),
    /// The host that the client calls from, as [`host`] returns it.
    Peer(IpAddr),
    /// A client whose address the transport does not give: all such calls count as one client's.
    #[default]
    Unknown,
    Bucket(u64),
}

impl Client {
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        if let Some(identity) = extensions.get::<ClientIdentity>() {
            return Self::Named(identity.clone());
        }
        match extensions.get::<Peer>().and_then(|peer| peer.address) {
            Some(address) => Self::Peer(host(address.ip())),
            None => Self::Unknown,
        }
    }
}

fn count(calls: usize) -> f64 {
    u32::try_from(calls).map_or(f64::from(u32::MAX), f64::from)
}

/// The clients of one server.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    known: HashMap<Client, Known>,
    active: usize,
    counted: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    in_flight: usize,
    /// The mean number of the client's calls in flight, as its last calls found it.
    average: f64,
    seen: Duration,
}

impl Clients {
    /// Counts a request of the client. Returns the key under which the client is counted, and what it has in
    /// flight.
    pub(crate) fn meet(&mut self, client: Client, now: Duration) -> (Client, usize) {
        if now >= self.counted + COUNT_EVERY {
            self.counted = now;
            self.known.retain(|_, known| known.in_flight > 0 || known.seen + ACTIVE_FOR > now);
            self.active = self.known.len();
        }
        let client = if self.known.len() < CLIENTS_MAX || self.known.contains_key(&client) {
            client
        } else {
            Client::Bucket(self.known.hasher().hash_one(&client) % BUCKETS)
        };
        let active = &mut self.active;
        let known = self.known.entry(client.clone()).or_insert_with(|| {
            *active += 1;
            Known { in_flight: 0, average: 0.0, seen: now }
        });
        known.seen = now;
        known.average += (count(known.in_flight) - known.average) / AVERAGE_CALLS;
        (client, known.in_flight)
    }

    pub(crate) fn in_flight(&self, client: &Client) -> usize {
        self.known.get(client).map_or(0, |known| known.in_flight)
    }

    /// Returns the share of each active client in `slots`.
    pub(crate) fn share(&self, slots: usize) -> usize {
        slots / self.active.max(1)
    }

    /// Returns the part of `slots` that the client may have though others want them too. A client with few
    /// calls on average sends them in bursts, so its part is half as much again.
    pub(crate) fn due(&self, client: &Client, slots: usize) -> usize {
        let share = self.share(slots);
        let little = |known: &Known| known.average < LITTLE * count(share);
        if self.known.get(client).is_some_and(little) { share + share / 2 } else { share }
    }

    /// Returns whether more than one client is active.
    pub(crate) fn several(&self) -> bool {
        self.active > 1
    }

    pub(crate) fn enter(&mut self, client: &Client, amount: usize) {
        if let Some(known) = self.known.get_mut(client) {
            known.in_flight += amount;
        }
    }

    pub(crate) fn leave(&mut self, client: &Client, amount: usize) {
        if let Some(known) = self.known.get_mut(client) {
            known.in_flight = known.in_flight.saturating_sub(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Client {
        Client::Named(ClientIdentity(name.into()))
    }

    #[test]
    fn those_who_are_active_share_and_those_who_left_do_not() {
        let mut clients = Clients::default();
        let mut now = Duration::from_secs(1);
        clients.meet(named("a"), now);
        clients.enter(&named("a"), 1);
        assert_eq!(clients.share(12), 12);
        clients.meet(named("b"), now);
        assert_eq!((clients.share(12), clients.several()), (6, true));

        now += ACTIVE_FOR;
        assert_eq!(clients.meet(named("a"), now), (named("a"), 1));
        assert_eq!((clients.share(12), clients.several()), (12, false), "b has left");
        clients.leave(&named("a"), 1);
        assert_eq!(clients.in_flight(&named("a")), 0);
    }

    #[test]
    fn clients_without_number_take_bounded_memory() {
        let mut clients = Clients::default();
        for number in 0..10 * CLIENTS_MAX {
            let (client, _) = clients.meet(named(&number.to_string()), Duration::from_secs(1));
            clients.enter(&client, 1);
        }
        let most = CLIENTS_MAX + usize::try_from(BUCKETS).unwrap();
        assert!(clients.known.len() <= most, "{}", clients.known.len());
    }

    #[test]
    fn the_addresses_of_one_host_are_one_client() {
        let client = |address: &str| {
            let mut extensions = http::Extensions::new();
            let address = Some((address.parse::<IpAddr>().unwrap(), 1).into());
            extensions.insert(Peer { address, certificate_name: None });
            Client::of(&extensions)
        };
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(Client::of(&http::Extensions::new()), Client::Unknown);
    }
}
