//! The slow second implementation: it evaluates the sentences of `rights.txt` and their conditions one after
//! another on the facts of a [`World`]. It uses no directories, scopes, sets or caches.

use std::collections::BTreeSet;

use crate::world::{BankFact, GrantFact, MemberFact, NOW, PrincipalFact, World};

/// The caller, according to the facts.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    Nobody,
    Wrong,
    Process(&'static str),
    Principal(PrincipalFact),
}

/// The target that a call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Nothing,
    /// The banks of a search; empty for all.
    Search(Vec<String>),
    Bank(String),
    NewBank(String),
    Banks,
    /// The number of an item, its bank and its contributor; no bank for no item.
    Item(u64, Option<(u32, u32)>),
    /// An item to be held, with the same fields.
    Hold(u64, Option<(u32, u32)>),
    /// An item for a member's opinion or change, with the same fields.
    Word(u64, Option<(u32, u32)>),
    Member(&'static str),
    Grantee(&'static str),
    Members,
    /// Cases of the whole deployment.
    Host,
    /// Its member, its roles, and its credential: "key", a SPIFFE ID, or an issuer.
    NewPrincipal(Option<&'static str>, Vec<&'static str>, &'static str),
    Principal(u64),
    /// The member of an entry: 0 for none. `None`: no such entry.
    Entry(Option<u32>),
}

struct Sentence {
    roles: Vec<&'static str>,
    methods: Vec<&'static str>,
    condition: &'static str,
}

pub(crate) struct Rules(Vec<Sentence>);

const DENIED: &str = "PERMISSION_DENIED";
const NOT_FOUND: &str = "NOT_FOUND";
const OK: &str = "OK";

impl Rules {
    pub(crate) fn read() -> Self {
        let lines = include_str!("rights.txt").lines();
        let sentence = |line: &'static str| {
            let (roles, rest) = line.split_once(" may ").unwrap();
            let (methods, condition) = rest.split_once(" on ").unwrap();
            // A process is written as "process frontend", which is not a role.
            let roles = if roles.starts_with("process ") { vec![roles] } else { roles.split(' ').collect() };
            Sentence { roles, methods: methods.split(' ').collect(), condition }
        };
        Self(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(sentence).collect())
    }

    pub(crate) fn methods(&self) -> BTreeSet<&'static str> {
        self.0.iter().flat_map(|sentence| sentence.methods.iter().copied()).collect()
    }

    /// Returns the answer to a call: a code, or `OK` and the inputs of the answer.
    pub(crate) fn answer(&self, world: &World, who: &Who, method: &str, target: &Target) -> String {
        let conditions = |words: &[&str]| -> Vec<&'static str> {
            let is_meant = |sentence: &&Sentence| {
                sentence.methods.contains(&method)
                    && (sentence.roles == ["anybody"]
                        || sentence.roles.iter().any(|role| words.contains(role)))
            };
            self.0.iter().filter(is_meant).map(|sentence| sentence.condition).collect()
        };
        match who {
            Who::Wrong => "UNAUTHENTICATED".into(),
            Who::Nobody if conditions(&[]).is_empty() => "UNAUTHENTICATED".into(),
            Who::Nobody => OK.into(),
            Who::Process(process) => match (conditions(&[*process]).is_empty(), target) {
                (true, _) => DENIED.into(),
                (false, Target::Banks) => "OK every bank".into(),
                (false, _) => OK.into(),
            },
            Who::Principal(principal) => {
                let is_over = principal.expires != 0 && principal.expires <= NOW.0;
                if principal.is_revoked || is_over {
                    return "UNAUTHENTICATED".into();
                }
                let member = world.members.iter().find(|member| member.id == principal.member).unwrap();
                let conditions = conditions(&principal.roles);
                if member.state != "active" || conditions.is_empty() {
                    return DENIED.into();
                }
                world.decide(member, &conditions, target)
            }
        }
    }
}

impl World {
    fn decide(&self, member: &MemberFact, conditions: &[&str], target: &Target) -> String {
        let has = |condition: &str| conditions.contains(&condition);
        match target {
            Target::Nothing => OK.into(),
            Target::Search(names) if names.is_empty() => {
                listed(self.living().filter(|bank| self.may(member, bank, "match") && self.is_searched(bank)))
            }
            Target::Search(names) => {
                let mut banks = Vec::new();
                for name in names {
                    match self.called(member, name) {
                        None => return NOT_FOUND.into(),
                        Some(bank) if !self.may(member, bank, "match") => return DENIED.into(),
                        Some(bank) if !self.is_searched(bank) => return "FAILED_PRECONDITION".into(),
                        Some(bank) => banks.push(bank),
                    }
                }
                listed(banks.into_iter())
            }
            Target::Bank(name) => {
                let Some(bank) = self.called(member, name) else { return NOT_FOUND.into() };
                let is_own = bank.owner == member.id;
                let may = has("the banks that it sees")
                    || has("its own banks") && is_own
                    || has("the banks of others that it sees") && !is_own
                    || has("the banks that it contributes to") && self.may(member, bank, "contribute")
                    || has("the banks whose hashes it reads") && self.may(member, bank, "see-hashes");
                if may { format!("OK {}", bank.id) } else { DENIED.into() }
            }
            Target::NewBank(name) => match name.split_once('/') {
                Some((owner, _)) if owner != member.name => DENIED.into(),
                _ => OK.into(),
            },
            Target::Banks if has("anything") => "OK every bank".into(),
            Target::Banks if has("the banks that it sees") => {
                listed(self.living().filter(|bank| self.sees(member, bank)))
            }
            Target::Banks => {
                let readable: Vec<_> =
                    self.living().filter(|bank| self.may(member, bank, "see-hashes")).collect();
                if readable.is_empty() { DENIED.into() } else { listed(readable.into_iter()) }
            }
            Target::Item(_, None) | Target::Hold(_, None) | Target::Word(_, None) => NOT_FOUND.into(),
            Target::Word(_, Some((bank, _))) => {
                let Some(bank) = self.living().find(|living| living.id == *bank) else {
                    return NOT_FOUND.into();
                };
                let may = has("the items of its own banks") && bank.owner == member.id
                    || has("the items of banks shared for opinions") && self.may(member, bank, "opine")
                    || has("the items of banks that it may search") && self.may(member, bank, "match");
                let reads = self.may(member, bank, "see-hashes") || self.may(member, bank, "see-details");
                match (may, reads) {
                    (true, _) => format!("OK {}", member.id),
                    (false, true) => DENIED.into(),
                    (false, false) => NOT_FOUND.into(),
                }
            }
            Target::Item(_, Some((bank, contributor))) => {
                let Some(bank) = self.living().find(|living| living.id == *bank) else {
                    return NOT_FOUND.into();
                };
                let hashes = self.may(member, bank, "see-hashes");
                let details = hashes || self.may(member, bank, "see-details");
                let is_own = bank.owner == member.id;
                let contributed = self.may(member, bank, "contribute") && *contributor == member.id;
                if has("the items of its own banks and what it contributed to others") {
                    return match () {
                        () if is_own || contributed => "OK without hashes".into(),
                        () if details => DENIED.into(),
                        () => NOT_FOUND.into(),
                    };
                }
                match () {
                    () if has("the items whose hashes or details it reads") && hashes => "OK whole".into(),
                    () if details => "OK without hashes".into(),
                    () => NOT_FOUND.into(),
                }
            }
            Target::Hold(_, Some((bank, _))) => {
                let Some(bank) = self.living().find(|living| living.id == *bank) else {
                    return NOT_FOUND.into();
                };
                let as_owner = has("the items of its own banks") && bank.owner == member.id;
                let reads = self.may(member, bank, "see-hashes") || self.may(member, bank, "see-details");
                match (as_owner, has("every item")) {
                    (true, true) => "OK owner operator".into(),
                    (true, false) => "OK owner".into(),
                    (false, true) => "OK operator".into(),
                    (false, false) if reads => DENIED.into(),
                    (false, false) => NOT_FOUND.into(),
                }
            }
            Target::Member(name) => {
                let found = self.members.iter().find(|other| other.name == *name);
                match found.filter(|other| self.reads(member, conditions, other.id)) {
                    Some(other) => format!("OK {}", other.id),
                    None => NOT_FOUND.into(),
                }
            }
            Target::Grantee(name) => match self.members.iter().find(|other| other.name == *name) {
                Some(other) => format!("OK {}", other.id),
                None => NOT_FOUND.into(),
            },
            Target::Host if has("the cases of the host") && member.name == "local" => {
                format!("OK {}", member.id)
            }
            Target::Host => DENIED.into(),
            Target::Members if self.reads(member, conditions, u32::MAX) => "OK every member".into(),
            Target::Members => format!("OK {}", member.id),
            Target::NewPrincipal(name, roles, credential) => {
                let of =
                    name.map_or(Some(member), |name| self.members.iter().find(|other| other.name == name));
                match of.filter(|of| self.reads(member, conditions, of.id)) {
                    Some(of) if self.may_create(member, conditions, of, roles, credential) => {
                        format!("OK {}", of.id)
                    }
                    Some(_) => DENIED.into(),
                    None => NOT_FOUND.into(),
                }
            }
            Target::Principal(id) => {
                let found = self.principals.iter().find(|other| other.id == *id && !other.is_revoked);
                match found.filter(|other| self.reads(member, conditions, other.member)) {
                    Some(other) if may_manage(member, conditions, other.member, &other.roles) => OK.into(),
                    Some(_) => DENIED.into(),
                    None => NOT_FOUND.into(),
                }
            }
            Target::Entry(of) => match of {
                Some(of) if self.reads(member, conditions, if *of == 0 { u32::MAX } else { *of }) => {
                    OK.into()
                }
                _ => NOT_FOUND.into(),
            },
        }
    }

    fn living(&self) -> impl Iterator<Item = &BankFact> {
        self.banks.iter().filter(|bank| !bank.is_deleted)
    }

    fn grant_of(&self, member: &MemberFact, bank: &BankFact) -> Option<&GrantFact> {
        let is_meant = |grant: &&GrantFact| grant.bank == bank.id && grant.member == member.id;
        self.grants.iter().find(is_meant).filter(|grant| grant.expires == 0 || grant.expires > NOW.0)
    }

    fn sees(&self, member: &MemberFact, bank: &BankFact) -> bool {
        bank.owner == member.id || self.grant_of(member, bank).is_some()
    }

    fn may(&self, member: &MemberFact, bank: &BankFact, capability: &str) -> bool {
        let is_given = |grant: &GrantFact| grant.capabilities.contains(&capability);
        bank.owner == member.id || self.grant_of(member, bank).is_some_and(is_given)
    }

    fn is_searched(&self, bank: &BankFact) -> bool {
        let owner = self.members.iter().find(|member| member.id == bank.owner).unwrap();
        bank.is_enabled && owner.state != "quarantined"
    }

    /// Returns the bank that a member names and sees.
    fn called(&self, member: &MemberFact, name: &str) -> Option<&BankFact> {
        let is_it = |bank: &&BankFact| {
            let owner = self.members.iter().find(|owner| owner.id == bank.owner).unwrap();
            let alias = self.grant_of(member, bank).and_then(|grant| grant.alias.as_deref());
            format!("{}/{}", owner.name, bank.name) == name
                || bank.owner == member.id && bank.name == name
                || alias == Some(name)
        };
        self.living().find(is_it).filter(|bank| self.sees(member, bank))
    }

    fn may_create(
        &self,
        member: &MemberFact,
        conditions: &[&str],
        of: &MemberFact,
        roles: &[&str],
        credential: &str,
    ) -> bool {
        let as_operator: Vec<_> =
            conditions.iter().copied().filter(|one| one.starts_with("principals of every")).collect();
        let is_operators = may_manage(member, &as_operator, of.id, roles);
        let is_free = !self.members.iter().any(|one| one.issuer == Some(credential));
        let may_give = match credential {
            "key" => true,
            certificate if certificate.starts_with("spiffe:") => {
                certificate.contains(&format!("/member/{}/", of.name))
            }
            issuer => is_operators || of.issuer == Some(issuer) || of.name == "local" && is_free,
        };
        may_manage(member, conditions, of.id, roles) && may_give
    }

    /// Whether a call may read data of the member `of`, or of no member (`u32::MAX`).
    fn reads(&self, member: &MemberFact, conditions: &[&str], of: u32) -> bool {
        conditions.iter().any(|condition| match *condition {
            "every member"
            | "principals of every member"
            | "principals of every member that only administrate audit or operate" => true,
            "its own member or the host on every member" => member.name == "local" || of == member.id,
            "its own member" | "principals of its own member that are no operators" => of == member.id,
            _ => false,
        })
    }
}

fn may_manage(member: &MemberFact, conditions: &[&str], of: u32, roles: &[&str]) -> bool {
    conditions.iter().any(|condition| match *condition {
        "principals of every member" => true,
        "principals of every member that only administrate audit or operate" => {
            roles.iter().all(|role| ["administrator", "auditor", "operator"].contains(role))
        }
        "principals of its own member that are no operators" => {
            of == member.id && !roles.contains(&"operator")
        }
        _ => false,
    })
}

fn listed<'a>(banks: impl Iterator<Item = &'a BankFact>) -> String {
    let ids: BTreeSet<u32> = banks.map(|bank| bank.id).collect();
    format!("OK {ids:?}")
}
