//! `vigie tls dev-ca`: creates an authority and certificates for development.

use std::path::{Path, absolute};

use vigie_tls::dev_ca::{DevCa, LEAF_DAYS, Leaf, TRUST_DOMAIN, Validity};

use crate::cli::DevCaArgs;
use crate::output::{Exit, Output};

pub(crate) fn run(args: &DevCaArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let ca = DevCa::open(&args.folder)?;
    let authority = absolute(ca.certificate())?;
    output.note("for development: whoever can read ca.key in that folder can be anybody in the cluster");
    let kept = if ca.is_new { "made, good for 10 years" } else { "kept" };
    output.say(format!("authority  {}: {kept}", authority.display()))?;
    output.object(&serde_json::json!({ "authority": authority, "made": ca.is_new }))?;
    let mut first: Option<Leaf> = None;
    for names in &args.names {
        let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
        let leaf = ca.server(&names, Validity::days(LEAF_DAYS))?;
        print_leaf("server", &names.join(", "), &leaf, output)?;
        first.get_or_insert(leaf);
    }
    for name in &args.clients {
        let leaf = ca.client(name, Validity::days(LEAF_DAYS))?;
        print_leaf("client", &format!("{TRUST_DOMAIN}{name}"), &leaf, output)?;
    }
    if let Some(leaf) = first {
        output.say("in the configuration of a role:")?;
        output.say("  [tls]")?;
        output.say(format!("  certificate = {}", quoted(&leaf.certificate)?))?;
        output.say(format!("  key = {}", quoted(&leaf.key)?))?;
        output.say(format!("  ca = {}", quoted(&authority)?))?;
        output.say(
            "commands reach such a role by --ca FILE --certificate FILE --key FILE, and https:// addresses",
        )?;
    }
    Ok(Exit::Done)
}

fn print_leaf(kind: &str, names: &str, leaf: &Leaf, output: &mut Output) -> anyhow::Result<()> {
    let (certificate, key) = (absolute(&leaf.certificate)?, absolute(&leaf.key)?);
    let days = LEAF_DAYS;
    output.say(format!("{kind}     {}: {names}, good for {days} days", certificate.display()))?;
    output.object(&serde_json::json!({
        "kind": kind, "names": names, "certificate": certificate, "key": key, "days": days
    }))?;
    Ok(())
}

/// Returns an absolute path as a TOML string.
fn quoted(path: &Path) -> anyhow::Result<String> {
    Ok(toml::Value::String(absolute(path)?.display().to_string()).to_string())
}
