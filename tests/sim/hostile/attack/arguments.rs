//! Random arguments: objects of the hostile member, objects that it has seen, objects of others, and ones
//! that never existed.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use vigie_model::{Hash, PdqHash};
use vigie_proto::pb::bank::v1 as pb_bank;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::matching::v1 as pb_matching;
use vigie_proto::pb::model::v1 as pb_model;
use vigie_tests::material::pdq_of_a_picture;

use crate::hostile::honest::World;
use crate::hostile::plan::{BANKS, HONEST, near};

/// The name of the hostile member.
pub(in crate::hostile) const NAME: &str = "umbra";

/// The values from which arguments are drawn.
pub(super) struct Arguments {
    pub(super) rng: SmallRng,
    /// Its banks that are shared with others; their terms stay the same.
    pub(super) lures: Vec<String>,
    /// Its banks that are not shared; they may have any terms.
    dens: Vec<String>,
    pub(super) bank_ids: Vec<u32>,
    pub(super) own_items: Vec<u64>,
    pub(super) seen_items: Vec<u64>,
    pub(super) principals: Vec<u64>,
    /// Ids of decisions about its own lookups.
    pub(super) decisions: Vec<Vec<u8>>,
    /// Items and hashes of honest members, and the number of idempotency keys that they have used.
    honest_items: Vec<u64>,
    honest_hashes: Vec<PdqHash>,
    honest_keys: u64,
    /// Whether shared banks require at least two members.
    asks_two: bool,
}

impl Arguments {
    pub(super) fn new(world: &World<'_>, rng: SmallRng, asks_two: bool) -> Self {
        Self {
            rng,
            lures: vec!["lure-0".to_owned(), "lure-1".to_owned()],
            dens: Vec::new(),
            bank_ids: world.bank_ids.iter().flatten().copied().collect(),
            own_items: Vec::new(),
            seen_items: Vec::new(),
            principals: Vec::new(),
            decisions: Vec::new(),
            honest_items: Vec::new(),
            honest_hashes: Vec::new(),
            honest_keys: 0,
            asks_two,
        }
    }

    /// Learns what honest members have done since.
    pub(super) fn learn(&mut self, world: &World<'_>) {
        self.honest_items = world.items.values().copied().collect();
        self.honest_hashes = world.items.keys().map(|slot| world.plan.slots[*slot].hash).collect();
        self.honest_keys = world.keys;
    }

    pub(super) fn made(&mut self, bank: Option<pb_bank::Bank>) {
        if let Some(bank) = bank {
            self.dens.push(bank.name);
            self.bank_ids.push(bank.id);
        }
    }

    pub(super) fn renamed(&mut self, name: &str, bank: Option<pb_bank::Bank>) {
        let Some(bank) = bank else { return };
        for own in self.lures.iter_mut().chain(&mut self.dens) {
            if own == name {
                own.clone_from(&bank.name);
            }
        }
    }

    pub(super) fn deleted(&mut self, name: &str) {
        self.lures.retain(|lure| lure != name);
        self.dens.retain(|den| den != name);
    }

    /// Learns the ids of decisions in an answer.
    pub(super) fn decided(&mut self, answer: &pb_matching::MatchResponse) {
        use pb_matching::match_result::Outcome;
        for result in &answer.results {
            let Some(Outcome::Matched(matched)) = &result.outcome else { continue };
            let id = matched.decision.iter().map(|decision| &decision.decision_id);
            self.decisions.extend(id.filter(|id| !id.is_empty()).cloned());
        }
    }

    /// Returns a decision of its own, or one that never existed.
    pub(super) fn decision(&mut self) -> Vec<u8> {
        let own = self.decisions.choose(&mut self.rng).cloned();
        own.unwrap_or_else(|| vec![self.rng.random(); 16])
    }

    /// Returns no key, one of its own that it may have used before, or one that an honest member uses now or
    /// next.
    pub(super) fn key(&mut self) -> String {
        match self.rng.random_range(0..6) {
            0 => format!("hostile {}", self.rng.random_range(0..6)),
            1 => format!("honest {}", self.honest_keys + self.rng.random_range(0..3)),
            _ => String::new(),
        }
    }

    pub(super) fn word(&mut self, word: &str) -> String {
        format!("{word}-{}", self.rng.random_range(0..3))
    }

    pub(super) fn page(&mut self) -> i32 {
        self.rng.random_range(1..100)
    }

    /// Returns a time near the present, or 0.
    pub(super) fn moment(&mut self) -> u64 {
        if self.rng.random() { 0 } else { 1_700_000_000_000 + self.rng.random_range(0..10_000_000) }
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        (0..self.rng.random_range(0..64)).map(|_| self.rng.random()).collect()
    }

    /// Returns a name for a bank that it does not share, or the name of an honest bank.
    pub(super) fn den(&mut self) -> String {
        if self.rng.random_bool(0.1) {
            return format!("{}/{}", HONEST[self.rng.random_range(0..3)], BANKS[0]);
        }
        format!("den-{}", self.rng.random_range(0..6))
    }

    pub(super) fn lure(&mut self) -> String {
        self.lures.choose(&mut self.rng).cloned().unwrap_or_else(|| "lure-0".to_owned())
    }

    pub(super) fn bank_of_another(&mut self) -> String {
        let (owner, bank) = (self.rng.random_range(0..3), usize::from(self.rng.random_bool(0.3)));
        format!("{}/{}", HONEST[owner], BANKS[bank])
    }

    /// Returns an honest bank, one of its own, or one that does not exist.
    pub(super) fn bank(&mut self) -> String {
        match self.rng.random_range(0..10) {
            0..5 => self.bank_of_another(),
            5..7 => self.lure(),
            7 => self.dens.choose(&mut self.rng).cloned().unwrap_or_default(),
            8 => self.alias(),
            _ => format!("{NAME}/none"),
        }
    }

    pub(super) fn alias(&mut self) -> String {
        ["", "theirs", "mine", "known"].choose(&mut self.rng).map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn member(&mut self) -> String {
        [HONEST[0], HONEST[1], HONEST[2], NAME, NAME, "local", "nobody"]
            .choose(&mut self.rng)
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// Returns one of its own principals other than the one that makes these calls, or any.
    pub(super) fn principal(&mut self) -> u64 {
        let own = self.principals.choose(&mut self.rng).copied();
        own.filter(|_| self.rng.random_bool(0.7)).unwrap_or_else(|| match self.rng.random_range(1..40) {
            // The first principals are excluded, because one of them makes these calls.
            number if number > 12 => number,
            number => 1_000 + number,
        })
    }

    pub(super) fn item(&mut self) -> u64 {
        let kind = self.rng.random_range(0..10);
        let known = match kind {
            0..5 => self.honest_items.choose(&mut self.rng),
            5..8 => self.own_items.choose(&mut self.rng),
            8 => self.seen_items.choose(&mut self.rng),
            _ => None,
        };
        known.copied().unwrap_or_else(|| self.rng.random_range(1..400))
    }

    /// Returns mostly one item: among several, one that does not exist makes the whole call fail.
    pub(super) fn items(&mut self) -> Vec<u64> {
        let count = if self.rng.random_bool(0.8) { 1 } else { self.rng.random_range(2..5) };
        let mut items: Vec<u64> = (0..count).map(|_| self.item()).collect();
        items.sort_unstable();
        items.dedup();
        items
    }

    fn pdq(&mut self) -> PdqHash {
        let known = self.honest_hashes.choose(&mut self.rng).copied();
        match (known, self.rng.random_range(0..4)) {
            (Some(known), 0..2) => known,
            (Some(known), 2) => near(&known, 2 * self.rng.random_range(1..12), &mut self.rng),
            (_, _) => pdq_of_a_picture(&mut self.rng),
        }
    }

    pub(super) fn hash(&mut self) -> pb_model::Hash {
        Hash::pdq(self.pdq()).into()
    }

    pub(super) fn class(&mut self) -> pb_model::Class {
        let value = ["a", "b", "x"][self.rng.random_range(0..3)].to_owned();
        pb_model::Class { taxonomy: "local".into(), dimension: "kind".into(), value }
    }

    pub(super) fn details(&mut self) -> pb_bank::ItemDetails {
        let classification = (0..self.rng.random_range(0..3)).map(|_| self.class()).collect();
        pb_bank::ItemDetails { classification, note: self.word("note"), ..Default::default() }
    }

    pub(super) fn labels(&mut self) -> Option<pb_bank::ItemLabels> {
        let labels = (0..self.rng.random_range(0..3)).map(|_| self.word("label")).collect();
        self.rng.random_bool(0.5).then_some(pb_bank::ItemLabels { labels })
    }

    pub(super) fn origin(&mut self) -> Option<pb_bank::Origin> {
        let (programme, case) = (self.word("programme"), String::new());
        let key = format!("honest-{}", self.rng.random_range(0..8));
        self.rng.random_bool(0.2).then_some(pb_bank::Origin { programme, key, case })
    }

    /// Returns items with contents that honest members have banked, with near ones, and with others.
    pub(super) fn contents(&mut self) -> Vec<pb_bank::ItemContent> {
        let count = if self.rng.random_bool(0.8) { 1 } else { self.rng.random_range(2..6) };
        let item = |with: &mut Self| pb_bank::ItemContent {
            hashes: vec![with.hash()],
            labels: vec!["hostile".into()],
            external_reference: if with.rng.random_bool(0.8) { with.word("hostile") } else { String::new() },
            origin: with.origin(),
            details: with.rng.random_bool(0.5).then(|| with.details()),
        };
        (0..count).map(|_| item(self)).collect()
    }

    pub(super) fn lookup(&mut self) -> pb_matching::MatchRequest {
        let hash = pb_model::QueryHash { hash: Some(self.hash()), variant: 0 };
        let content = pb_matching::match_query::Content::Hashed(pb_matching::HashedContent {
            hashes: vec![hash],
            pdq_quality: None,
        });
        let query = pb_matching::MatchQuery { content: Some(content) };
        let banks = if self.rng.random_bool(0.2) { vec![self.bank()] } else { Vec::new() };
        let options = Some(pb_model::SearchOptions { banks, ..Default::default() });
        let surface = self.word("surface");
        pb_matching::MatchRequest {
            queries: vec![query],
            options,
            surface,
            ..pb_matching::MatchRequest::default()
        }
    }

    /// Returns the terms of a bank of its own. Those of a shared one require at least two members.
    pub(super) fn charter(&mut self, is_shared: bool) -> pb::Charter {
        let min = if is_shared && self.asks_two { 2 } else { 0 };
        let suppresses_bank_ids = (0..self.rng.random_range(0..4))
            .filter_map(|_| self.bank_ids.choose(&mut self.rng).copied())
            .collect();
        pb::Charter {
            confirmations_min: self.rng.random_range(min..4),
            hold_on_negatives: self.rng.random_range(min..4),
            shadow: self.rng.random_bool(0.2),
            suppresses_bank_ids,
            dispute_days: self.rng.random_range(0..5),
            purge_hours: self.rng.random_range(0..48),
            two_person_items: self.rng.random_range(0..3),
            match_record_days: self.rng.random_range(0..40),
            frames_answer_images: self.rng.random_bool(0.3),
            images_answer_videos: self.rng.random_bool(0.3),
            ..Default::default()
        }
    }

    pub(super) fn grant(&mut self, bank: String, member: String) -> pb::PutGrantRequest {
        // Without the right to match the grant would have no effect that matters here.
        let others = (2..6).filter(|_| self.rng.random_bool(0.5));
        let capabilities = std::iter::once(pb::Capability::Match.into()).chain(others).collect();
        pb::PutGrantRequest { bank, member, capabilities, ..Default::default() }
    }

    pub(super) fn policy(&mut self) -> pb::Policy {
        let conditions = [
            "matches.size() > 0",
            "matches.all(m, matches.all(n, m.distance <= n.distance))",
            "matches[9].distance > 3",
            "nothing.of.this",
            "",
        ];
        let rule = |with: &mut Self, number: usize| pb::VerdictRule {
            name: format!("rule-{number}"),
            condition: conditions.choose(&mut with.rng).map(ToString::to_string).unwrap_or_default(),
            verdict: with.rng.random_range(1..6),
            shadow: with.rng.random_bool(0.2),
        };
        let rules = (0..self.rng.random_range(0..4)).map(|number| rule(self, number)).collect();
        let banks = (0..self.rng.random_range(0..3)).map(|_| pb::BankRule {
            bank: self.bank(),
            ignored: self.rng.random_bool(0.3),
            positives_min: self.rng.random_range(0..3),
            ignore_disputed: self.rng.random(),
            ..Default::default()
        });
        pb::Policy { banks: banks.collect(), rules, scores: Vec::new() }
    }
}
