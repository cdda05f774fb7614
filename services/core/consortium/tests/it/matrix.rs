//! Compares the crate's answers with the sentences of `rights.txt`, for all members, roles, credentials,
//! banks and methods.

use std::collections::{BTreeMap, BTreeSet};

use vigie_consortium::rights::{ItemView, ListedBanks, Members};
use vigie_consortium::{
    Admitted, BankRef, Caller, Claim, Denied, DeniedKind, Flag, Flags, InvalidCredential, ItemPlace, KeyId,
    MemberId, Method, PrincipalId, Process, Reference, Role, TokenSubject, View,
};
use vigie_model::{BankId, ItemId};

use crate::sentences::{Rules, Target, Who};
use crate::world::{NOW, Shown, World, key};

/// Banks as callers name them: own, shared, not shared, deleted, and nonexistent.
const NAMES: [&str; 14] = [
    "own",
    "owner/shared",
    "alias0",
    "shared",
    "owner/disabl",
    "alias1",
    "owner/hidden",
    "owner/delete",
    "owner/nobank",
    "nouse/hidden",
    "quaran/banned",
    "local/known",
    "owner/own",
    "alias9",
];

/// Returns the targets that callers name in calls of a method. The match is exhaustive: a new method needs an
/// entry.
fn targets(method: Method, world: &World) -> Vec<Target> {
    let banks = || NAMES.iter().map(|name| Target::Bank((*name).to_owned()));
    let members = || ["local", "owner", "match", "quaran", "nobody"].map(Target::Member);
    match method {
        Method::Match | Method::MatchStream | Method::MatchVideo => {
            let two = Target::Search(vec!["own".into(), "alias0".into()]);
            let one = NAMES.iter().map(|name| Target::Search(vec![(*name).to_owned()]));
            one.chain([Target::Search(vec![]), two]).collect()
        }
        Method::GetBank
        | Method::RenameBank
        | Method::SetBankEnabled
        | Method::SetBankMatchRatio
        | Method::DeleteBank
        | Method::AddItems
        | Method::ListItems
        | Method::AddExchange
        | Method::GetExchange
        | Method::ListExchanges
        | Method::SetExchangeEnabled
        | Method::RemoveExchange
        | Method::FetchExchangeNow
        | Method::ReadBankChanges
        | Method::ReadPublishedList
        | Method::ListOpinions
        | Method::RevokeGrant
        | Method::SetAlias
        | Method::ListGrants
        | Method::ListRemovedItems
        | Method::SetCharter
        | Method::GetCharter
        | Method::SubmitReport => banks().collect(),
        Method::PutGrant => banks().chain(["owner", "quaran", "nobody"].map(Target::Grantee)).collect(),
        Method::FindItems => banks().chain([Target::Banks]).collect(),
        Method::ListBanks
        | Method::GetLogHead
        | Method::FeedWatch
        | Method::FeedLoad
        | Method::ReadDirectory
        | Method::RecordCalls => vec![Target::Banks],
        Method::CreateBank => {
            ["new", "local/new", "owner/new", "nouse/new"].map(|name| Target::NewBank(name.into())).into()
        }
        Method::GetItem | Method::RemoveItems | Method::UpdateItem | Method::RestoreItems => {
            let banks = world.banks.iter().map(|bank| (bank.id, bank.owner));
            let placed =
                banks.flat_map(|(bank, owner)| [owner, 6, 8].map(|contributor| Some((bank, contributor))));
            placed.chain([None]).map(|place| Target::Item(77, place)).collect()
        }
        Method::SetItemHold => {
            let placed = world.banks.iter().map(|bank| Some((bank.id, bank.owner)));
            placed.chain([None]).map(|place| Target::Hold(77, place)).collect()
        }
        Method::PutOpinions | Method::WithdrawOpinions | Method::ResolveDispute | Method::SetMemberHold => {
            let placed = world.banks.iter().map(|bank| Some((bank.id, bank.owner)));
            placed.chain([None]).map(|place| Target::Word(77, place)).collect()
        }
        Method::GetMember
        | Method::UpdateMember
        | Method::SetMemberState
        | Method::SetTokenIssuers
        | Method::SetQuota => members().into(),
        Method::GetStatistics
        | Method::ListMembers
        | Method::ListPrincipals
        | Method::ListEntries
        | Method::ListReports
        | Method::ListReferrals
        | Method::SetReferralOutcome
        | Method::SetIncidentSubscription => vec![Target::Members],
        Method::ReviewReport | Method::AddReferral | Method::OpenIncident | Method::CloseIncident => {
            vec![Target::Host]
        }
        Method::CreatePrincipal => {
            let sets = [&["matcher"][..], &["administrator"], &["operator"], &["contributor", "auditor"]];
            let of = [None, Some("local"), Some("owner"), Some("match"), Some("nobody")];
            let credentials = [
                "key",
                "spiffe://d/member/owner/x",
                "spiffe://d/member/nobody/x",
                "spiffe://d/member/local/x",
                "https://owner.test",
                "https://free.test",
            ];
            let all = of.into_iter().flat_map(|of| sets.map(|roles| (of, roles)));
            let each = |(of, roles): (_, &[&'static str])| {
                credentials.map(|credential| Target::NewPrincipal(of, roles.to_vec(), credential))
            };
            all.flat_map(each).collect()
        }
        Method::RotateKey | Method::RevokePrincipal => {
            let of = world.principals.iter().filter(|fact| [1, 2, 7].contains(&fact.member));
            of.step_by(2).map(|fact| fact.id).chain([9_999]).map(Target::Principal).collect()
        }
        Method::ProveInclusion => [None, Some(0), Some(1), Some(2), Some(3)].map(Target::Entry).into(),
        Method::Hash
        | Method::HashVideo
        | Method::DescribeDecoding
        | Method::ListDisputes
        | Method::ListMemberHolds
        | Method::ReportFloods
        | Method::SetPolicy
        | Method::GetPolicy
        | Method::TryPolicy
        | Method::RecordMatches
        | Method::RecordDecisions
        | Method::GetDecision
        | Method::ListDecisions
        | Method::SetDecisionOutcome
        | Method::RecordLatencies
        | Method::ListIncidents
        | Method::CoordinatorSearch
        | Method::DescribeTopology
        | Method::MatcherSearch
        | Method::MatcherDescribe
        | Method::MatcherWatch
        | Method::AcquireExchangeLease
        | Method::ApplyExchangePage
        | Method::ListExchangeRecords
        | Method::ReportExchange
        | Method::CreateMember
        | Method::WhoAmI
        | Method::DeclareHashType
        | Method::ListHashTypes
        | Method::PutModelCard
        | Method::GetModelCard
        | Method::ListModelCards
        | Method::ScoreConversation
        | Method::MeasureScores
        | Method::ClassifierScore
        | Method::DescribeModels
        | Method::GetCheckpoint
        | Method::ProveConsistency
        | Method::HealthCheck
        | Method::HealthWatch
        | Method::Reflection
        | Method::ReflectionAlpha => vec![Target::Nothing],
    }
}

/// Returns the crate's answer to a call, in the form that the sentences use.
fn answer(view: &View, shows: &Shows, method: Method, target: &Target) -> Result<String, Denied> {
    let caller = shows.caller(view)?;
    let admitted = view.admit(caller, method, NOW)?;
    let is_bound = matches!(caller, Caller::Principal(_));
    if !is_bound && *target != Target::Banks {
        return Ok("OK".into());
    }
    decide(&admitted, target)
}

fn decide(admitted: &Admitted<'_>, target: &Target) -> Result<String, Denied> {
    let banks =
        |banks: Vec<BankId>| format!("OK {:?}", banks.iter().map(|bank| bank.0).collect::<BTreeSet<u32>>());
    let members = |members: Members| match members {
        Members::Every => "OK every member".to_owned(),
        Members::Only(member) => format!("OK {member}"),
    };
    Ok(match target {
        Target::Nothing => "OK".into(),
        Target::Search(names) => {
            let names: Vec<BankRef> = names.iter().map(|name| name.parse().unwrap()).collect();
            banks(admitted.search(&names)?.set().iter().collect())
        }
        Target::Bank(name) => format!("OK {}", admitted.bank(&name.parse().unwrap())?.id),
        Target::NewBank(name) => {
            assert_eq!(admitted.new_bank(&name.parse().unwrap())?, admitted.member().unwrap().id);
            "OK".into()
        }
        Target::Banks => match admitted.banks()? {
            ListedBanks::Every => "OK every bank".into(),
            ListedBanks::Only(set) => banks(set.iter().collect()),
        },
        Target::Item(item, place) => match admitted.item(ItemId(*item), place_of(*place))? {
            ItemView::Whole => "OK whole".into(),
            ItemView::WithoutHashes => "OK without hashes".into(),
        },
        Target::Hold(item, place) => {
            let holders = admitted.holders(ItemId(*item), place_of(*place))?;
            holders.iter().fold("OK".to_owned(), |text, holder| format!("{text} {}", holder.name()))
        }
        Target::Word(item, place) => format!("OK {}", admitted.word_on(ItemId(*item), place_of(*place))?),
        Target::Member(name) => format!("OK {}", admitted.member_called(&name.parse().unwrap())?.id),
        Target::Grantee(name) => format!("OK {}", admitted.grantee(&name.parse().unwrap())?.id),
        Target::Members => members(admitted.members()?),
        Target::Host => format!("OK {}", admitted.host()?),
        Target::NewPrincipal(of, roles, credential) => {
            let of = of.map(|name| name.parse().unwrap());
            let roles = Flags::new(roles.iter().map(|role| Role::from_name(role).unwrap())).unwrap();
            let token = TokenSubject::new(credential, "subject").unwrap();
            let certificate = credential.parse();
            let claim = match (*credential, &certificate) {
                ("key", _) => Claim::NewKey,
                (_, Ok(id)) => Claim::Certificate(id),
                (_, Err(_)) => Claim::Token(&token),
            };
            format!("OK {}", admitted.new_principal(of.as_ref(), roles, claim)?)
        }
        Target::Principal(id) => {
            assert_eq!(admitted.managed_principal(PrincipalId(*id))?.id, PrincipalId(*id));
            "OK".into()
        }
        Target::Entry(of) => {
            let of = of.map(|member| (member != 0).then_some(MemberId(member)));
            admitted.entry(5, of)?;
            "OK".into()
        }
    })
}

fn place_of(place: Option<(u32, u32)>) -> Option<ItemPlace> {
    place.map(|(bank, contributor)| ItemPlace { bank: BankId(bank), contributor: MemberId(contributor) })
}

fn code(denied: &Denied) -> &'static str {
    match denied.kind() {
        DeniedKind::Unauthenticated => "UNAUTHENTICATED",
        DeniedKind::PermissionDenied => "PERMISSION_DENIED",
        DeniedKind::NotFound => "NOT_FOUND",
        DeniedKind::FailedPrecondition => "FAILED_PRECONDITION",
    }
}

/// A caller of the matrix: its identity in the facts, and the credentials that it sends.
struct Shows {
    who: Who,
    certificate: Option<String>,
    process: Option<Process>,
    key: Option<KeyId>,
    token: Option<(String, String)>,
}

impl Shows {
    fn nothing(who: Who) -> Self {
        Self { who, certificate: None, process: None, key: None, token: None }
    }

    /// Finds the principal as `vigie-credentials` does: each credential must belong to a principal, and all
    /// to one member.
    fn caller(&self, view: &View) -> Result<Caller, InvalidCredential> {
        let token = self.token.as_ref().map(|(issuer, subject)| Reference::Token { issuer, subject });
        let shown =
            [self.certificate.as_deref().map(Reference::Certificate), self.key.map(Reference::ApiKey), token];
        let found = |reference: Reference<'_>| view.find(reference, NOW).ok_or(InvalidCredential);
        let found = shown.into_iter().flatten().map(found).collect::<Result<Vec<_>, _>>()?;
        if found.windows(2).any(|pair| pair[0].1 != pair[1].1) {
            return Err(InvalidCredential);
        }
        Ok(view.caller(found.last().map(|(proven, _)| *proven), self.process))
    }
}

fn callers(world: &World) -> Vec<Shows> {
    let of = |who: Who, shown: &Shown| match shown.clone() {
        Shown::Certificate(id) => Shows { certificate: Some(id), ..Shows::nothing(who) },
        Shown::Key(key) => Shows { key: Some(key), ..Shows::nothing(who) },
        Shown::Token(issuer, subject) => Shows { token: Some((issuer, subject)), ..Shows::nothing(who) },
    };
    let mut all: Vec<Shows> =
        world.principals.iter().map(|fact| of(Who::Principal(fact.clone()), &fact.shown)).collect();
    all.push(Shows::nothing(Who::Nobody));
    for (name, process) in [
        ("process frontend", Process::Frontend),
        ("process coordinator", Process::Coordinator),
        ("process matcher", Process::Matcher),
        ("process bank", Process::Bank),
        ("process exchange", Process::Exchange),
        ("process classifier", Process::Classifier),
    ] {
        all.push(Shows { process: Some(process), ..Shows::nothing(Who::Process(name)) });
    }
    // Wrong credentials: an unknown key, a longer and a shorter certificate, a token of another issuer.
    all.push(Shows { key: Some(key(9_999)), ..Shows::nothing(Who::Wrong) });
    for fact in world.principals.iter().step_by(50) {
        let wrong = || Shows::nothing(Who::Wrong);
        match &fact.shown {
            Shown::Certificate(id) => {
                all.push(Shows { certificate: Some(format!("{id}-x")), ..wrong() });
                all.push(Shows { certificate: Some(id.rsplit_once('/').unwrap().0.to_owned()), ..wrong() });
            }
            Shown::Token(issuer, subject) => {
                all.push(Shows { token: Some((format!("{issuer}/"), subject.clone())), ..wrong() });
                all.push(Shows { certificate: Some(subject.clone()), ..wrong() });
            }
            Shown::Key(key) => all.push(Shows { certificate: Some(key.to_string()), ..wrong() }),
        }
    }
    // Two credentials: of one member, the header takes precedence; of two members, neither is valid; a
    // process adds nothing.
    let find = |member: u32, kind: fn(&Shown) -> bool, role: &str| {
        let is_it = |fact: &&crate::world::PrincipalFact| {
            fact.member == member && kind(&fact.shown) && fact.roles == [role]
        };
        world.principals.iter().find(is_it).unwrap()
    };
    let is_certificate = |shown: &Shown| matches!(shown, Shown::Certificate(_));
    let is_key = |shown: &Shown| matches!(shown, Shown::Key(_));
    let Shown::Certificate(administrator) = find(2, is_certificate, "administrator").shown.clone() else {
        panic!()
    };
    for (key, who) in [
        (find(2, is_key, "matcher"), Who::Principal(find(2, is_key, "matcher").clone())),
        (find(3, is_key, "matcher"), Who::Wrong),
    ] {
        all.push(Shows { certificate: Some(administrator.clone()), ..of(who, &key.shown) });
    }
    let matcher = find(3, is_key, "matcher");
    all.push(Shows {
        process: Some(Process::Frontend),
        ..of(Who::Principal(matcher.clone()), &matcher.shown)
    });
    all
}

#[test]
fn every_cell_of_the_matrix_is_as_the_sentences_have_it() {
    let (world, rules) = (World::new(), Rules::read());
    let view = world.view();
    let (mut cells, mut outcomes) = (0, BTreeMap::<String, usize>::new());
    for shows in callers(&world) {
        for method in Method::ALL {
            for target in targets(*method, &world) {
                let expected = rules.answer(&world, &shows.who, &format!("{method:?}"), &target);
                let found = answer(&view, &shows, *method, &target);
                let found = found.unwrap_or_else(|denied| code(&denied).to_owned());
                assert_eq!(found, expected, "{:?}: {method:?} {target:?}", shows.who);
                cells += 1;
                *outcomes.entry(found.split(' ').next().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    println!("{cells} cells: {outcomes:?}");
    assert!(cells >= 10_000);
    // Each outcome occurs often enough to be meaningful.
    assert!(outcomes.len() == 5 && outcomes.values().all(|count| *count > 500), "{outcomes:?}");
}

#[test]
fn the_sentences_speak_of_every_method() {
    let names: BTreeSet<String> = Method::ALL.iter().map(|method| format!("{method:?}")).collect();
    let spoken: BTreeSet<String> = Rules::read().methods().into_iter().map(str::to_owned).collect();
    assert_eq!(spoken, names);
}

/// Banks that are not shared, were deleted or never existed give the same code, text and size, for every
/// caller and method. So do banks with expired grants.
#[test]
fn what_is_not_shared_cannot_be_distinguished_from_what_never_was() {
    let world = World::new();
    let view = world.view();
    let mut compared = 0;
    for shows in callers(&world) {
        // The owner may know the bank.
        if matches!(&shows.who, Who::Principal(fact) if fact.member == 2) {
            continue;
        }
        let has_none = matches!(&shows.who, Who::Principal(fact) if [1, 9, 12].contains(&fact.member));
        for method in Method::ALL {
            let seen = |name: &str| {
                let denied = |target: &Target| answer(&view, &shows, *method, target).unwrap_err();
                let of_bank = if matches!(method, Method::Match | Method::MatchStream | Method::MatchVideo) {
                    denied(&Target::Search(vec![name.to_owned()]))
                } else {
                    denied(&Target::Bank(name.to_owned()))
                };
                (of_bank.kind(), of_bank.to_string().replace(name, "NAME"), of_bank.to_string().len())
            };
            let targets = targets(*method, &world);
            let names_a_bank =
                targets.iter().any(|target| matches!(target, Target::Bank(_) | Target::Search(_)));
            if !names_a_bank || matches!(shows.who, Who::Process(_) | Who::Nobody) {
                continue;
            }
            let never = seen("owner/nobank");
            let mut others = vec!["owner/hidden", "owner/delete", "nouse/nobank"];
            if has_none {
                others.extend(["owner/shared", "owner/disabl"]);
            }
            for other in others {
                assert_eq!(seen(other), never, "{:?} {method:?} {other}", shows.who);
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "{compared}");
}

/// While there is no principal, everything works as without members.
#[test]
fn everybody_may_do_everything_while_the_consortium_is_off() {
    let mut directory = vigie_consortium::Directory::new();
    let name = "known".parse().unwrap();
    let created = vigie_consortium::Change::BankCreated { bank: BankId(1), owner: MemberId::HOST, name };
    directory.apply(vigie_model::Sequence(1), &created).unwrap();
    let view = View::from(directory);
    for process in [None, Some(Process::Matcher), Some(Process::Frontend)] {
        let caller = view.caller(None, process);
        for method in Method::ALL {
            let admitted = view.admit(caller, *method, NOW).unwrap();
            assert_eq!(admitted.principal(), None, "{method}");
        }
        let admitted = |method| view.admit(caller, method, NOW).unwrap();
        for method in [Method::FeedWatch, Method::FeedLoad, Method::GetLogHead] {
            assert_eq!(admitted(method).banks(), Ok(ListedBanks::Every));
        }
        let known: BankRef = "known".parse().unwrap();
        let all = admitted(Method::Match).search(&[]).unwrap();
        assert_eq!(all.set().iter().collect::<Vec<_>>(), [BankId(1)]);
        assert!(admitted(Method::Match).search(std::slice::from_ref(&known)).is_ok());
        assert_eq!(admitted(Method::DeleteBank).bank(&known).unwrap().id, BankId(1));
    }
    assert!(view.find(Reference::ApiKey(key(1)), NOW).is_none());
}
