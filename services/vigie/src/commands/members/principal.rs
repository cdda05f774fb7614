//! `vigie principal`: the machines and people of a member, and their credentials.

use anyhow::bail;
use vigie_clients::{
    ConsortiumClient, Deadline, IdempotencyKey, NewCredential, NewPrincipal, PrincipalCredential,
    PrincipalWithKey,
};
use vigie_consortium::{MemberName, PrincipalId, Role, Roles, TokenSubject};

use crate::cli::{BankAddressArgs, PrincipalAddArgs, PrincipalCommand};
use crate::commands::date::now;
use crate::commands::deadline::deadline;
use crate::commands::members::connect::{PAGE, connect};
use crate::commands::members::lines::{PrincipalObject, credentials, expires, until};
use crate::commands::members::new_key::{NewKey, note_change};
use crate::output::{Exit, Output};

pub(crate) async fn run(command: PrincipalCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        PrincipalCommand::Add(args) => add(args, output).await,
        PrincipalCommand::List { member, address } => list(member.as_ref(), &address, output).await,
        PrincipalCommand::Rotate { principal, overlap, new_key, address } => {
            let (client, deadline) = connect(&address, output)?;
            let new = NewKey::make(new_key)?;
            let id = PrincipalId(principal);
            let once = IdempotencyKey::random();
            match client.rotate_key(id, overlap, Some(new.key()), once, deadline).await {
                Ok(made) => {
                    let done = format!("principal {id} has another key; {}", old_key(&made.value));
                    new.deliver(&done, &made, output)
                }
                Err(error) => Err(new.after(error, output)),
            }
        }
        PrincipalCommand::Revoke { principal, address } => {
            let (client, deadline) = connect(&address, output)?;
            let id = PrincipalId(principal);
            let revoked = client.revoke_principal(id, IdempotencyKey::random(), deadline).await?;
            output.say(format!("revoked principal {id} (sequence {})", revoked.sequence))?;
            output.object(
                &serde_json::json!({ "revoked_principal_id": id.0, "sequence": revoked.sequence.0 }),
            )?;
            Ok(Exit::Done)
        }
    }
}

/// Describes what becomes of the previous key after a rotation.
fn old_key(made: &PrincipalWithKey) -> String {
    match &made.principal.credential {
        PrincipalCredential::ApiKeys(keys) => match &keys[..] {
            [old, _] if old.expiry.is_over(now()) => format!("key {} is refused from now on", old.id),
            [old, _] => format!("key {} {}", old.id, expires(old.expiry)),
            [..] => "the one before is refused".to_owned(),
        },
        PrincipalCredential::Certificate(_) | PrincipalCredential::Token(_) => String::new(),
    }
}

async fn add(args: PrincipalAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&args.address, output)?;
    let roles = Roles::new(args.roles)?;
    let shown = match (args.spiffe_id, args.issuer, args.subject) {
        (Some(id), _, _) => Some(NewCredential::Certificate(id)),
        (None, Some(issuer), Some(subject)) => {
            Some(NewCredential::Token(TokenSubject::new(&issuer, &subject)?))
        }
        (None, _, _) => None,
    };
    let expiry = args.expires.expiry("--expires", now())?;
    let is_first = is_first(&client, deadline, roles, args.turn_on, output).await?;
    let (credential, key) = match shown {
        Some(shown) => (shown, None),
        None => {
            let key = NewKey::make(args.new_key)?;
            (NewCredential::OwnKey(key.key().clone()), Some(key))
        }
    };
    let new = NewPrincipal { member: args.member, roles, credential, expiry, note: args.note };
    let (made, key) = match (client.create_principal(new, IdempotencyKey::random(), deadline).await, key) {
        (Ok(made), key) => (made, key),
        (Err(error), Some(key)) => return Err(key.after(error, output)),
        (Err(error), None) => return Err(error.into()),
    };
    let principal = &made.value.principal;
    let done = format!("principal {} has the roles {}", principal.id, principal.roles);
    let delivered = match key {
        Some(key) => key.deliver(&done, &made, output),
        None => {
            let object = note_change(&done, &made, output)?;
            output.object(&object)?;
            Ok(Exit::Done)
        }
    };
    if is_first {
        output.note("members are on: from now on every call needs a credential, such as --api-key-file FILE");
    }
    delivered
}

/// Returns whether this principal turns members on. Fails if that was not requested, and if the bank would
/// refuse it.
async fn is_first(
    client: &ConsortiumClient,
    deadline: Deadline,
    roles: Roles,
    turn_on: bool,
    output: &Output,
) -> anyhow::Result<bool> {
    let is_off = client.who_am_i(deadline).await?.value.principal.is_none();
    match (is_off, turn_on) {
        (true, true) if roles.contains(Role::Operator) => {}
        (true, _) if !roles.contains(Role::Operator) => bail!(
            "there are no principals yet, and the first one has to be an operator: with --role operator and --turn-on it turns \
             members on, and from then on every call needs a credential"
        ),
        (true, _) => bail!(
            "this would be the first principal: from then on every call needs a credential, also those of the deployment's own \
             processes; add --turn-on where all of them have one"
        ),
        (false, true) => output.note("members are on already: --turn-on changes nothing"),
        (false, false) => {}
    }
    Ok(is_off)
}

async fn list(
    member: Option<&MemberName>,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let mut rows = Vec::new();
    let mut after: Option<PrincipalId> = None;
    loop {
        let page = client.list_principals(member, after, PAGE, deadline(address.timeout_ms)).await?.value;
        for principal in &page {
            output.object(&PrincipalObject::from(principal))?;
            let mut words =
                [principal.id.to_string(), principal.roles.to_string(), principal.note.to_string()];
            for (credential, end) in credentials(principal) {
                // A second key gets its own row, without the other cells.
                let [id, roles, note] = std::mem::take(&mut words);
                rows.push(vec![id, roles, credential, until(end), note]);
            }
        }
        after = page.last().map(|principal| principal.id);
        if page.len() < usize::from(PAGE) {
            break;
        }
    }
    if rows.is_empty() {
        output.say("no principals")?;
    } else {
        output.table(&["id", "roles", "credential", "expires (UTC)", "note"], &rows)?;
    }
    Ok(Exit::Done)
}
