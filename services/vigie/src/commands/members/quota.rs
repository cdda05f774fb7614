//! `vigie quota`: the limits of members.

use vigie_clients::IdempotencyKey;
use vigie_consortium::{MemberName, Quota};
use vigie_model::Sequence;

use crate::cli::{BankAddressArgs, QuotaCommand, QuotaSetArgs};
use crate::commands::members::connect::connect;
use crate::commands::members::lines::{QuotaObject, limits};
use crate::output::{Exit, Output};

pub(crate) async fn run(command: QuotaCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        QuotaCommand::Set(args) => set(args, output).await,
        QuotaCommand::Show { member, address } => show(member, &address, output).await,
    }
}

async fn set(args: QuotaSetArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&args.address, output)?;
    let (_, before) = client.get_member(&args.member, deadline).await?.value;
    let quota = Quota {
        units_per_second: args.units_per_second.unwrap_or(before.units_per_second),
        units_burst: args.units_burst.unwrap_or(before.units_burst),
        units_per_day: args.units_per_day.unwrap_or(before.units_per_day),
        items_matched_per_day: args.items_matched_per_day.unwrap_or(before.items_matched_per_day),
        items_added_per_day: args.items_added_per_day.unwrap_or(before.items_added_per_day),
        near_queries_per_item_day: args.near_queries_per_item_day.unwrap_or(before.near_queries_per_item_day),
        images_only: args.images_only.unwrap_or(before.images_only),
    };
    let set = client.set_quota(&args.member, quota, IdempotencyKey::random(), deadline).await?;
    print(&args.member, &quota, set.sequence, output)
}

async fn show(
    member: Option<MemberName>,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address, output)?;
    match member {
        Some(name) => {
            let found = client.get_member(&name, deadline).await?;
            print(&name, &found.value.1, found.sequence, output)
        }
        None => {
            let found = client.who_am_i(deadline).await?;
            print(&found.value.member.name, &found.value.quota, found.sequence, output)
        }
    }
}

fn print(
    member: &MemberName,
    quota: &Quota,
    sequence: Sequence,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let mut object = serde_json::to_value(QuotaObject::from(quota))?;
    object["member"] = member.as_str().into();
    object["sequence"] = sequence.0.into();
    output.object(&object)?;
    output.say(format!("the limits of {member} (sequence {sequence})"))?;
    output.table(&["limit", "value"], &limits(quota))?;
    Ok(Exit::Done)
}
