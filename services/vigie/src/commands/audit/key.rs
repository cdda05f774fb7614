//! `vigie audit key`: generates and shows keys of logs and of witnesses.

use vigie_audit::note::{KeyKind, SignerKey, VerifierKey};

use crate::cli::AuditKeyCommand;
use crate::commands::audit::keys::private_key;
use crate::commands::members::new_key::KeyFile;
use crate::output::{Exit, Output};

pub(super) fn run(command: AuditKeyCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        AuditKeyCommand::New { kind, name, file } => {
            let key = SignerKey::generate(&name, kind.into())?;
            let mut file = KeyFile::create(file)?;
            file.write(&key.to_secret_text())?;
            let path = file.keep();
            output.note(format!(
                "the private key is in {}: keep it secret; the public key follows",
                path.display()
            ));
            show(key.public(), Some(&path.display().to_string()), output)
        }
        AuditKeyCommand::Show { file } => show(private_key(&file, output)?.public(), None, output),
    }
}

fn show(key: &VerifierKey, file: Option<&str>, output: &mut Output) -> anyhow::Result<Exit> {
    let kind = match key.kind() {
        KeyKind::Log => "log",
        KeyKind::Witness => "witness",
    };
    let mut object = serde_json::json!({
        "name": key.name(), "kind": kind, "key_id": key.id().to_string(), "public_key": key.to_string()
    });
    if let Some(file) = file {
        object["key_file"] = file.into();
    }
    output.object(&object)?;
    output.say(key.to_string())?;
    Ok(Exit::Done)
}
