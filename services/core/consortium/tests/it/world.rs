//! Facts about a small consortium, as lists that are searched linearly, and the changes that create them.

use vigie_consortium::{
    ApiKey, ApiKeys, Capabilities, Capability, Change, Credential, Directory, Expiry, Flag, Grant, KeyDigest,
    KeyId, Member, MemberId, MemberState, Principal, PrincipalId, Role, Roles, Text, TokenIssuers,
    TokenSubject, View,
};
use vigie_model::{BankId, Sequence, UnixMillis};

/// The time of every call of the matrix.
pub(crate) const NOW: UnixMillis = UnixMillis(1_000_000);

#[derive(Debug, Clone)]
pub(crate) struct MemberFact {
    pub(crate) id: u32,
    pub(crate) name: &'static str,
    pub(crate) state: &'static str,
    pub(crate) issuer: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) struct BankFact {
    pub(crate) id: u32,
    pub(crate) owner: u32,
    pub(crate) name: String,
    pub(crate) is_enabled: bool,
    pub(crate) is_deleted: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct GrantFact {
    pub(crate) bank: u32,
    pub(crate) member: u32,
    pub(crate) capabilities: Vec<&'static str>,
    pub(crate) alias: Option<String>,
    pub(crate) expires: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    Certificate(String),
    Key(KeyId),
    Token(String, String),
}

#[derive(Debug, Clone)]
pub(crate) struct PrincipalFact {
    pub(crate) id: u64,
    pub(crate) member: u32,
    pub(crate) roles: Vec<&'static str>,
    pub(crate) shown: Shown,
    pub(crate) expires: u64,
    pub(crate) is_revoked: bool,
}

#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) members: Vec<MemberFact>,
    pub(crate) banks: Vec<BankFact>,
    pub(crate) grants: Vec<GrantFact>,
    pub(crate) principals: Vec<PrincipalFact>,
}

/// The first principal, which is not a caller of the matrix.
const FOUNDER: PrincipalId = PrincipalId(1);

pub(crate) const ROLES: [&str; 6] =
    ["matcher", "contributor", "reviewer", "administrator", "auditor", "operator"];

const CAPABILITIES: [&str; 5] = ["match", "see-details", "opine", "contribute", "see-hashes"];

impl World {
    /// Creates a host; an owner of banks; members with each single capability, all, none, and an expired
    /// grant; and suspended and quarantined members. Each member has principals with each role and each pair
    /// of roles, for each kind of credential.
    pub(crate) fn new() -> Self {
        let mut world = Self::default();
        let names = [
            "local", "owner", "match", "detail", "opine", "contri", "hashes", "all", "none", "suspen",
            "quaran", "expire",
        ];
        for (id, name) in (1..).zip(names) {
            let state = match name {
                "suspen" => "suspended",
                "quaran" => "quarantined",
                _ => "active",
            };
            let issuer = match name {
                "local" => Some("https://local.test"),
                "owner" => Some("https://owner.test"),
                _ => None,
            };
            world.members.push(MemberFact { id, name, state, issuer });
            world.bank(id, "own", true);
        }
        let shared = world.bank(2, "shared", true);
        let disabled = world.bank(2, "disabl", false);
        world.bank(2, "hidden", true);
        let deleted = world.bank(2, "delete", true);
        let quarantined = world.bank(11, "banned", true);
        world.bank(1, "known", true);
        for (number, bank) in [shared, disabled, deleted, quarantined].into_iter().enumerate() {
            for (member, capability) in (3..).zip(CAPABILITIES) {
                world.grant(bank, member, &[capability], number, 0);
            }
            world.grant(bank, 8, &CAPABILITIES, number, 0);
            world.grant(bank, 10, &CAPABILITIES, number, 0);
            world.grant(bank, 12, &CAPABILITIES, number, NOW.0);
        }
        for fact in &mut world.banks {
            fact.is_deleted = fact.id == deleted;
        }
        world.grants.retain(|grant| grant.bank != deleted);
        for member in 1..=12 {
            world.principals_of(member);
        }
        world
    }

    fn bank(&mut self, owner: u32, name: &str, is_enabled: bool) -> u32 {
        let id = u32::try_from(self.banks.len()).unwrap() + 1;
        self.banks.push(BankFact { id, owner, name: name.into(), is_enabled, is_deleted: false });
        id
    }

    fn grant(&mut self, bank: u32, member: u32, capabilities: &[&'static str], number: usize, expires: u64) {
        let alias = (number < 2).then(|| format!("alias{number}"));
        self.grants.push(GrantFact { bank, member, capabilities: capabilities.to_vec(), alias, expires });
    }

    fn principals_of(&mut self, member: u32) {
        let roles = &ROLES[..if member == 1 { 6 } else { 5 }];
        let pairs =
            roles.iter().enumerate().flat_map(|(at, one)| roles[..at].iter().map(|two| vec![*one, *two]));
        let sets: Vec<_> = roles.iter().map(|one| vec![*one]).chain(pairs).collect();
        for kind in ["certificate", "key", "token"] {
            for roles in &sets {
                self.principal(member, roles, kind, 0, false);
            }
        }
        self.principal(member, &["administrator", "auditor"], "certificate", 0, true);
        self.principal(member, &["contributor", "matcher"], "key", 0, true);
        self.principal(member, &["contributor", "matcher"], "key", NOW.0, false);
        self.principal(member, &["contributor", "matcher"], "token", NOW.0 - 1, false);
        self.principal(member, &["contributor", "matcher"], "certificate", NOW.0 + 1, false);
    }

    fn principal(&mut self, member: u32, roles: &[&'static str], kind: &str, expires: u64, is_revoked: bool) {
        let id = FOUNDER.0 + self.principals.len() as u64 + 1;
        let name = self.members.iter().find(|fact| fact.id == member).unwrap().name;
        let shown = match kind {
            "certificate" => Shown::Certificate(format!("spiffe://test/member/{name}/{id}")),
            "key" => Shown::Key(key(id)),
            _ => Shown::Token("https://id.test".into(), format!("subject-{id}")),
        };
        self.principals.push(PrincipalFact { id, member, roles: roles.to_vec(), shown, expires, is_revoked });
    }

    /// Applies the changes and returns the view.
    pub(crate) fn view(&self) -> View {
        let mut directory = Directory::new();
        let mut sequence = 0;
        let mut apply = |change: &Change| {
            sequence += 1;
            directory.apply(Sequence(sequence), change).unwrap();
        };
        for fact in &self.members {
            apply(&Change::MemberPut(fact.to_member(MemberState::Active)));
        }
        for fact in &self.banks {
            let (bank, owner) = (BankId(fact.id), MemberId(fact.owner));
            apply(&Change::BankCreated { bank, owner, name: fact.name.parse().unwrap() });
            if !fact.is_enabled {
                apply(&Change::BankEnabledSet { bank, enabled: false });
            }
        }
        let founder = TokenSubject::new("https://id.test", "founder").unwrap();
        apply(&Change::PrincipalPut(Principal {
            id: FOUNDER,
            member: MemberId::HOST,
            roles: Roles::one(Role::Operator),
            credential: Credential::Token(founder),
            created_at: UnixMillis(0),
            expiry: Expiry::NEVER,
            note: Text::default(),
        }));
        for fact in &self.principals {
            apply(&Change::PrincipalPut(fact.to_principal()));
        }
        for fact in self.principals.iter().filter(|fact| fact.is_revoked) {
            apply(&Change::PrincipalRevoked(PrincipalId(fact.id)));
        }
        for fact in &self.grants {
            apply(&Change::GrantPut(fact.to_grant()));
        }
        for fact in self.banks.iter().filter(|fact| fact.is_deleted) {
            apply(&Change::BankDeleted { bank: BankId(fact.id) });
        }
        for fact in self.members.iter().filter(|fact| fact.state != "active") {
            let state =
                if fact.state == "suspended" { MemberState::Suspended } else { MemberState::Quarantined };
            apply(&Change::MemberPut(fact.to_member(state)));
        }
        directory.into()
    }
}

/// Returns the id of the key with this number.
pub(crate) fn key(number: u64) -> KeyId {
    let digits = (0..16).map(|at| char::from(b'a' + u8::try_from(number >> (4 * at) & 15).unwrap()));
    digits.collect::<String>().parse().unwrap()
}

fn flags<F: Flag>(names: &[&str]) -> vigie_consortium::Flags<F> {
    vigie_consortium::Flags::new(names.iter().map(|name| F::from_name(name).unwrap())).unwrap()
}

impl MemberFact {
    fn to_member(&self, state: MemberState) -> Member {
        Member {
            id: MemberId(self.id),
            name: self.name.parse().unwrap(),
            state,
            token_issuers: TokenIssuers::new(self.issuer.as_slice()).unwrap(),
            ..Member::local()
        }
    }
}

impl PrincipalFact {
    fn to_principal(&self) -> Principal {
        let credential = match &self.shown {
            Shown::Certificate(id) => Credential::Certificate(id.parse().unwrap()),
            Shown::Key(key) => {
                let digest = KeyDigest([0; 32]);
                let key = ApiKey { id: *key, digest, created_at: UnixMillis(0), expiry: Expiry::NEVER };
                Credential::ApiKeys(Box::new(ApiKeys::new([key]).unwrap()))
            }
            Shown::Token(issuer, subject) => Credential::Token(TokenSubject::new(issuer, subject).unwrap()),
        };
        let roles: Roles = flags(&self.roles);
        Principal {
            id: PrincipalId(self.id),
            member: MemberId(self.member),
            roles,
            credential,
            created_at: UnixMillis(0),
            expiry: Expiry::from_wire(self.expires),
            note: Text::default(),
        }
    }
}

impl GrantFact {
    fn to_grant(&self) -> Grant {
        let capabilities: Capabilities = flags::<Capability>(&self.capabilities);
        Grant {
            bank: BankId(self.bank),
            member: MemberId(self.member),
            capabilities,
            alias: self.alias.as_ref().map(|alias| alias.parse().unwrap()),
            expiry: Expiry::from_wire(self.expires),
        }
    }
}
