//! `vigie whoami`: shows the member and principal that calls are made for, with roles and limits.

use vigie_clients::WhoAmI;

use crate::cli::BankAddressArgs;
use crate::commands::members::connect::connect;
use crate::commands::members::lines::{
    MemberObject, PrincipalObject, QuotaObject, credentials, describe, expires, limits,
};
use crate::output::{Exit, Output};

pub(crate) async fn run(address: BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&address, output)?;
    let answer = client.who_am_i(deadline).await?;
    let WhoAmI { member, principal, quota } = answer.value;
    output.object(&serde_json::json!({
        "member": MemberObject::from(&member),
        "principal": principal.as_ref().map(PrincipalObject::from),
        "quota": QuotaObject::from(&quota),
        "sequence": answer.sequence.0,
    }))?;
    let Some(principal) = principal else {
        output.say(format!("no members: every caller acts for `{}`, with every role", member.name))?;
        output.note("hint: `vigie principal add --help` shows how the first principal turns members on");
        return Ok(Exit::Done);
    };
    output.say(format!("member      {}", describe(&member)))?;
    output.say(format!("principal   {}, with the roles {}", principal.id, principal.roles))?;
    for (credential, end) in credentials(&principal) {
        output.say(format!("credential  {credential}, {}", expires(end)))?;
    }
    if !principal.note.as_str().is_empty() {
        output.say(format!("note        {}", principal.note))?;
    }
    output.say("")?;
    output.table(&["limit", "value"], &limits(&quota))?;
    Ok(Exit::Done)
}
