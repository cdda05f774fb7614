//! `vigie member`: the organisations that take part.

use vigie_clients::{IdempotencyKey, MemberWords, Written};
use vigie_consortium::{Member, MemberState, TokenIssuers};

use crate::cli::{BankAddressArgs, MemberCommand, MemberWordsArgs, OneMemberArgs};
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::commands::members::connect::{all_members, connect};
use crate::commands::members::lines::{MemberObject, QuotaObject, describe, limits};
use crate::output::{Exit, Output, style};

pub(crate) async fn run(command: MemberCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        MemberCommand::Add { name, words, address } => {
            let (client, deadline) = connect(&address, output)?;
            let words = changed(words, MemberWords::default());
            let made = client.create_member(&name, &words, IdempotencyKey::random(), deadline).await?;
            show(output, "added: ", &made)?;
            output.note(format!(
                "hint: `vigie principal add --member {name} --role administrator` makes its first key"
            ));
            Ok(Exit::Done)
        }
        MemberCommand::List(address) => list(&address, output).await,
        MemberCommand::Show(OneMemberArgs { name, address }) => {
            let (client, deadline) = connect(&address, output)?;
            let Written { value: (member, quota), sequence } = client.get_member(&name, deadline).await?;
            output.object(&serde_json::json!({
                "member": MemberObject::from(&member), "quota": QuotaObject::from(&quota), "sequence": sequence.0
            }))?;
            output.say(describe(&member))?;
            output.say(details(&member))?;
            for issuer in member.token_issuers.iter() {
                output.say(format!("tokens of {issuer}"))?;
            }
            output.say("")?;
            output.table(&["limit", "value"], &limits(&quota))?;
            Ok(Exit::Done)
        }
        MemberCommand::Edit { name, words, named, address } => {
            let (client, deadline) = connect(&address, output)?;
            let (member, _) = client.get_member(&name, deadline).await?.value;
            let before = MemberWords {
                display_name: member.display_name,
                jurisdictions: member.jurisdictions,
                is_named: named,
            };
            let words = changed(words, before);
            let made = client.update_member(&name, &words, IdempotencyKey::random(), deadline).await?;
            show(output, "changed: ", &made)
        }
        MemberCommand::Suspend(one) => set_state(&one, MemberState::Suspended, output).await,
        MemberCommand::Quarantine(one) => set_state(&one, MemberState::Quarantined, output).await,
        MemberCommand::Activate(one) => set_state(&one, MemberState::Active, output).await,
        MemberCommand::Issuers { name, issuers, none, address } => {
            let (client, deadline) = connect(&address, output)?;
            let member = if none || !issuers.is_empty() {
                let issuers = TokenIssuers::new(&issuers)?;
                client.set_token_issuers(&name, &issuers, IdempotencyKey::random(), deadline).await?
            } else {
                let Written { value: (member, _), sequence } = client.get_member(&name, deadline).await?;
                Written { value: member, sequence }
            };
            print_object(output, &member)?;
            let mut issuers = member.value.token_issuers.iter().peekable();
            if issuers.peek().is_none() {
                output.say(format!("{name} has no identity provider"))?;
            }
            for issuer in issuers {
                output.say(issuer)?;
            }
            Ok(Exit::Done)
        }
    }
}

/// Returns the member's words with the values that were typed, and otherwise with the values from before.
fn changed(typed: MemberWordsArgs, before: MemberWords) -> MemberWords {
    MemberWords {
        display_name: typed.display_name.unwrap_or(before.display_name),
        jurisdictions: typed.jurisdictions.unwrap_or(before.jurisdictions),
        is_named: before.is_named,
    }
}

async fn list(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let members = all_members(&client, address).await?;
    let mut rows = Vec::new();
    for member in &members {
        output.object(&MemberObject::from(member))?;
        rows.push(vec![
            member.name.to_string(),
            member.state.to_string(),
            since(member),
            jurisdictions(member),
            member.display_name.to_string(),
        ]);
    }
    let header = ["member", "state", "since", "jurisdictions", "name for people"];
    output.styled_table(&header, &rows, |column, cell| match (column, cell) {
        (1, "active") => style::PLAIN,
        (1, _) => style::DOUBTFUL,
        _ => style::PLAIN,
    })?;
    Ok(Exit::Done)
}

async fn set_state(one: &OneMemberArgs, state: MemberState, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(&one.address, output)?;
    let (key, deadline) = (IdempotencyKey::random(), deadline(one.address.timeout_ms));
    show(output, "", &client.set_member_state(&one.name, state, key, deadline).await?)
}

fn show(output: &mut Output, done: &str, made: &Written<Member>) -> anyhow::Result<Exit> {
    let Written { value: member, sequence } = made;
    print_object(output, made)?;
    output.say(format!("{done}{} (sequence {sequence})", describe(member)))?;
    Ok(Exit::Done)
}

fn print_object(output: &mut Output, made: &Written<Member>) -> anyhow::Result<()> {
    let mut object = serde_json::to_value(MemberObject::from(&made.value))?;
    object["sequence"] = made.sequence.0.into();
    Ok(output.object(&object)?)
}

fn details(member: &Member) -> String {
    let law = match &*jurisdictions(member) {
        "" => "no jurisdictions".to_owned(),
        countries => format!("jurisdictions {countries}"),
    };
    let named = if member.is_named { "named with its opinions" } else { "not named with its opinions" };
    format!("member {}, since {}, {law}, {named}", member.id, since(member))
}

/// Formats the time at which a member was added. The host was there from the beginning.
fn since(member: &Member) -> String {
    if member.created_at.0 == 0 { "the beginning".to_owned() } else { date(member.created_at) }
}

fn jurisdictions(member: &Member) -> String {
    member.jurisdictions.iter().collect::<Vec<_>>().join(",")
}
