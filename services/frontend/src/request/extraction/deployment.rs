//! A deployment whose search is a linear scan.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tonic::Status;
use vigie_consortium::quotas::Sign;
use vigie_consortium::rights::Reference;
use vigie_consortium::{
    Capabilities, Capability, Change, Credential, Directory, Expiry, Grant, Member, Method, Principal,
    PrincipalId, Quota, Role, Roles, Text, TokenSubject, View,
};
use vigie_model::{
    BankId, Coverage, Distance, Frame, Hash, HashType, ItemId, Match, MatchCall, MemberId, PdqHash, Quality,
    Query, QueryMatches, Rendition, SearchOptions, Sequence, UnixMillis, VideoEvidence, VideoRuleSet,
    VideoSide,
};
use vigie_proto::Form;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::model::v1 as model;

use super::distance;
use crate::matching::{Answer, SearchedQueries};
use crate::prepared::{Found, Prepared, Searched, take_queries};
use crate::request::alarms::{Alarm, RaiseAlarm};
use crate::request::answering::response;
use crate::request::floods::Floods;
use crate::request::meters::Meters;
use crate::request::rights::Rights;

pub(super) const OWNER: MemberId = MemberId(2);
/// A member with the capability `match`.
pub(super) const MEMBER: MemberId = MemberId(3);
/// A member with the capabilities `match` and `see-hashes`.
pub(super) const SEES_HASHES: MemberId = MemberId(4);

const BANK: BankId = BankId(1);
const NOW: UnixMillis = UnixMillis(1_000);
const ISSUER: &str = "https://id.test";

/// An item: its id, its hash, its labels.
type Listed<'a> = (u64, PdqHash, &'a [&'a str]);

struct Held {
    item: ItemId,
    hash: Hash,
    labels: Box<[Box<str>]>,
}

impl Held {
    fn new(id: u64, hash: Hash, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| Box::from(*label)).collect();
        Self { item: ItemId(id), hash, labels }
    }
}

pub(super) struct Deployment {
    view: Arc<View>,
    meters: Meters,
    raised: Arc<Raised>,
    list: Vec<Held>,
}

#[derive(Debug, Default)]
struct Raised(Mutex<Vec<(MemberId, u64, Sign)>>);

impl RaiseAlarm for Raised {
    fn raise(&self, alarm: &Alarm<'_>) {
        assert!(alarm.name.is_some() && alarm.principal.is_some());
        self.0.lock().unwrap().push((alarm.member, alarm.item.0, alarm.sign));
    }
}

/// The part of an answer that a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    /// The distance of the nearest match.
    pub(super) distance: Option<u32>,
    pub(super) is_repeated: bool,
}

impl Deployment {
    pub(super) fn new(list: &[Listed<'_>], quota: Quota) -> Self {
        let mut directory = Directory::new();
        let mut sequence = 0;
        let mut apply = |change: Change| {
            sequence += 1;
            directory.apply(Sequence(sequence), &change).unwrap();
        };
        for (id, name) in [(OWNER, "owner"), (MEMBER, "member"), (SEES_HASHES, "reader")] {
            apply(Change::MemberPut(Member { id, name: name.parse().unwrap(), ..Member::local() }));
        }
        apply(Change::BankCreated { bank: BANK, owner: OWNER, name: "list".parse().unwrap() });
        for (id, member, role) in [
            (1, MemberId::HOST, Role::Operator),
            (2, OWNER, Role::Matcher),
            (3, MEMBER, Role::Matcher),
            (4, SEES_HASHES, Role::Matcher),
        ] {
            apply(Change::PrincipalPut(Principal {
                id: PrincipalId(id),
                member,
                roles: Roles::one(role),
                credential: Credential::Token(TokenSubject::new(ISSUER, &member.0.to_string()).unwrap()),
                created_at: UnixMillis(0),
                expiry: Expiry::NEVER,
                note: Text::default(),
            }));
        }
        for (member, capabilities) in
            [(MEMBER, vec![Capability::Match]), (SEES_HASHES, vec![Capability::Match, Capability::SeeHashes])]
        {
            let capabilities = Capabilities::new(capabilities).unwrap();
            apply(Change::GrantPut(Grant {
                bank: BANK,
                member,
                capabilities,
                alias: None,
                expiry: Expiry::NEVER,
            }));
        }
        for member in [OWNER, MEMBER, SEES_HASHES] {
            apply(Change::QuotaPut { member, quota });
        }
        let raised = Arc::new(Raised::default());
        let list = list.iter().map(|(id, hash, labels)| Held::new(*id, Hash::pdq(*hash), labels));
        let alarms = Arc::<Raised>::clone(&raised);
        Self {
            view: Arc::new(directory.into()),
            meters: Meters::new(alarms, Floods::default()),
            raised,
            list: list.collect(),
        }
    }

    /// Adds an item that is a video.
    pub(super) fn add_video(&mut self, item: u64, frames: &[PdqHash], labels: &[&str]) {
        self.list.push(Held::new(item, video(frames), labels));
    }

    pub(super) fn remove(&mut self, item: u64) {
        self.list.retain(|held| held.item.0 != item);
    }

    /// Returns the alarms so far, by sign.
    pub(super) fn alarms(&self) -> BTreeMap<&'static str, usize> {
        let mut alarms = BTreeMap::new();
        for (.., sign) in self.raised.0.lock().unwrap().iter() {
            let name = match sign {
                Sign::Positions => "Positions",
                Sign::NearBudget => "NearBudget",
                Sign::Canary => "Canary",
            };
            *alarms.entry(name).or_default() += 1;
        }
        alarms
    }

    pub(super) fn last_alarm(&self) -> Option<(MemberId, u64, Sign)> {
        self.raised.0.lock().unwrap().last().copied()
    }

    /// Asks about one hash in a separate call.
    pub(super) fn ask(&self, member: MemberId, hash: PdqHash) -> Result<Answered, Status> {
        self.ask_all(member, &[vec![hash]]).map(|answers| answers[0])
    }

    /// Asks about a list of frames in a separate call.
    pub(super) fn ask_video(&self, member: MemberId, frames: &[PdqHash]) -> Result<Answered, Status> {
        self.ask_contents(member, vec![query(&[video(frames)])]).map(|answers| answers[0])
    }

    /// Makes one call of several contents, of several hashes each.
    pub(super) fn ask_all(
        &self,
        member: MemberId,
        contents: &[Vec<PdqHash>],
    ) -> Result<Vec<Answered>, Status> {
        let hashes = |hashes: &Vec<PdqHash>| hashes.iter().copied().map(Hash::pdq).collect::<Vec<_>>();
        self.ask_contents(member, contents.iter().map(|content| query(&hashes(content))).collect())
    }

    /// Converts the caller's message, searches, and converts the answer.
    fn ask_contents(&self, member: MemberId, queries: Vec<pb::MatchQuery>) -> Result<Vec<Answered>, Status> {
        let mut asked = MatchCall::try_from(pb::MatchRequest { queries, ..pb::MatchRequest::default() })?;
        let subject = member.0.to_string();
        let reference = Reference::Token { issuer: ISSUER, subject: &subject };
        let (proven, _) = self.view.find(reference, NOW).unwrap();
        let admitted = self.view.admit(self.view.caller(Some(proven), None), Method::Match, NOW).unwrap();
        let rights = Rights::of_member(&self.view, &admitted, NOW, &self.meters, &mut asked)?;
        let MatchCall { contents, options, .. } = asked;
        let mut answer = self.search(contents, &options);
        let repeats = rights.protect(&mut answer, &options);
        if !repeats.is_empty() {
            let by_anchor = repeats.options(&options);
            let found: Vec<QueryMatches> =
                repeats.queries().iter().map(|query| self.matches(query, &by_anchor)).collect();
            rights.repeat(&mut answer, &repeats, &found, options.limit);
        }
        rights.spend(&answer)?;
        rights.trim(&mut answer);
        let plain = response(answer, Form::Plain, rights.sequence());
        let packed = plain.clone().in_form(Form::Packed);
        assert_eq!(packed.expanded().unwrap(), plain, "the packed form shows as much, and no more");
        Ok(plain.results.into_iter().map(answered).collect())
    }

    fn search(&self, contents: Vec<vigie_model::Content>, options: &SearchOptions) -> Answer {
        let prepare = |content| match content {
            vigie_model::Content::Hashed { hashes, pdq_quality } => {
                Prepared::of_hashes(hashes, pdq_quality, Quality::FLOOR_DEFAULT)
            }
            vigie_model::Content::Image(_) | vigie_model::Content::Video(_) => panic!("no files here"),
        };
        let mut prepared: Vec<Prepared> = contents.into_iter().map(prepare).collect();
        let mut taken = take_queries(prepared.iter_mut(), 2_048);
        let mut queries = SearchedQueries::new(&taken);
        let mut found: Vec<Found> = prepared.iter().map(|_| Found::new(options.limit)).collect();
        for part in taken.chunks_mut(7) {
            let sent: Arc<[Query]> = part.iter_mut().map(|(.., query)| std::mem::take(query)).collect();
            queries.sent(&sent);
            for ((at, rendition, _), query) in part.iter().zip(&*sent) {
                found[*at].add(*rendition, self.matches(query, options));
            }
        }
        let quality_floor = Quality::FLOOR_DEFAULT;
        let searched = Searched { options, approximate: &[], quality_floor };
        let answered = |(one, found): (Prepared, Found)| Ok(one.answered(found.finish(), searched));
        let results = prepared.into_iter().zip(found).map(answered).collect();
        Answer { results, coverage: Coverage::default(), results_omitted: false, queries, said: Vec::new() }
    }

    /// Returns the matches that a cluster would find.
    fn matches(&self, query: &Query, options: &SearchOptions) -> QueryMatches {
        let radius = options.max_distances.get(HashType::PDQ);
        let is_searched = options.bank_set.as_ref().is_some_and(|set| set.contains(BANK));
        let side = VideoSide::default();
        let evidence = VideoEvidence { query: side, item: side, rules: VideoRuleSet::default() };
        let mut matches = Vec::new();
        for Held { item, hash, labels } in self.list.iter().filter(|_| is_searched) {
            let hash_type = hash.hash_type();
            let of_type = query.hashes.iter().filter(|one| one.hash.hash_type() == hash_type);
            let far = |one: &vigie_model::QueryHash| (nearest(&one.hash, hash), one.variant);
            let within: Vec<_> = of_type.map(far).filter(|(far, _)| *far <= radius.0).collect();
            let Some((distance, variant)) = within.iter().min().copied() else { continue };
            matches.push(Match {
                video: hash.frames().map(|_| Box::new(evidence)),
                item_time_ms: None,
                item: *item,
                bank: BANK,
                bank_name: "list".parse().unwrap(),
                external_reference: None,
                labels: labels.clone(),
                hash_type,
                distance: Distance(distance),
                variant,
                exact: true,
                other_matches: u32::try_from(within.len() - 1).unwrap(),
                rendition: Rendition::default(),
                added_at: None,
                facts: None,
            });
        }
        matches.sort_by(Match::answer_order);
        QueryMatches { matches, ..QueryMatches::default() }
    }
}

/// Returns a video with a frame a second.
fn video(frames: &[PdqHash]) -> Hash {
    let frame = |(pdq, second): (&PdqHash, u32)| Frame { pdq: *pdq, quality: 100, time_ms: second * 1_000 };
    Hash::of_frames(&frames.iter().zip(0..).map(frame).collect::<Vec<_>>()).unwrap()
}

/// Returns the distance of two hashes of one type; for videos, that of the nearest two frames.
fn nearest(one: &Hash, other: &Hash) -> u32 {
    let (Some(of_one), Some(of_other)) = (one.frames(), other.frames()) else {
        return one.distance(other).unwrap().0;
    };
    let far = |frame: Frame| of_other.iter().map(move |other| distance(frame.pdq, other.pdq)).min();
    of_one.iter().filter_map(far).min().unwrap()
}

fn query(hashes: &[Hash]) -> pb::MatchQuery {
    let hash =
        |hash: &Hash| model::QueryHash { hash: Some(hash.clone().into()), ..model::QueryHash::default() };
    let hashed = pb::HashedContent { hashes: hashes.iter().map(hash).collect(), pdq_quality: None };
    pb::MatchQuery { content: Some(pb::match_query::Content::Hashed(hashed)) }
}

fn answered(result: pb::MatchResult) -> Answered {
    let Some(pb::match_result::Outcome::Matched(matched)) = result.outcome else { panic!("it failed") };
    let distance = matched.matches.first().map(|found| found.distance);
    Answered { distance, is_repeated: matched.near_budget_spent }
}
