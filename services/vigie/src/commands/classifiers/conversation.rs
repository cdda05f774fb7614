//! `vigie conversation score`: scores a conversation with classifiers. The conversation is not printed, and
//! no error message contains its text.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;
use vigie_classifiers::{Conversation, ConversationDraft};
use vigie_clients::MatchClient;

use crate::cli::{ConversationCommand, ConversationScoreArgs};
use crate::commands::deadline::deadline;
use crate::commands::lines::classifications::{ClassificationObject, words};
use crate::output::{Exit, Output};

/// Maximum size of a conversation file in bytes: 64 KiB of text, and the JSON around it.
const FILE_BYTES_MAX: u64 = 1 << 20;

pub(crate) async fn run(command: ConversationCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ConversationCommand::Score(args) => score(args, output).await,
    }
}

/// The answer, as it is printed.
#[derive(Debug, Serialize)]
struct Scored {
    /// The result of each classifier.
    classifications: Vec<ClassificationObject>,
    /// Sequence of the directory whose model cards were used.
    directory_sequence: u64,
}

async fn score(args: ConversationScoreArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let conversation = read(&args.file)?;
    let frontend = &args.frontend.frontend;
    let network = args.frontend.tls.network(&[frontend])?.noticing(output.notice());
    let client = MatchClient::new_on(&[frontend], &network)?;
    let until = deadline(args.frontend.timeout_ms);
    let scored = client.score_conversation(&conversation, &args.classifiers, until).await?;
    for classification in &scored.classifications {
        for line in words(classification) {
            output.say(line)?;
        }
    }
    output.object(&Scored {
        classifications: scored.classifications.iter().map(Into::into).collect(),
        directory_sequence: scored.directory.0,
    })?;
    Ok(Exit::Done)
}

/// Reads a conversation from a file. Errors of the JSON parser may quote text, so only the position of the
/// error is named.
fn read(path: &Path) -> anyhow::Result<Conversation> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let mut text = Vec::new();
    let reader: Box<dyn std::io::Read> = if is_stdin {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| name.clone())?)
    };
    reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).with_context(|| name.clone())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        bail!("{name}: has more than {FILE_BYTES_MAX} bytes");
    }
    parse(&text).with_context(|| name)
}

fn parse(text: &[u8]) -> anyhow::Result<Conversation> {
    let draft: ConversationDraft = serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow!("line {line} column {column}: is no conversation, such as {{\"messages\": [{{\"role\": \"a\", \"text\": \"...\"}}]}}")
    })?;
    Ok(Conversation::try_from(draft)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_read_and_no_error_repeats_its_text() {
        let good =
            br#"{"messages":[{"role":"a","text":"secret"},{"role":"b","at":5,"text":""}],"language":"de"}"#;
        assert_eq!(parse(good).unwrap().messages().len(), 2);
        for wrong in [
            r#"{"messages":[{"role":"a","text":"secret"}],"messages":"secret"}"#,
            r#"{"messages":[{"role":"a","text":["secret"]}]}"#,
            r#"{"messages":[{"role":"secret\n","text":"secret"}]}"#,
            r#"{"messages":"secret"}"#,
            "secret",
            "",
        ] {
            let error = crate::output::sentence(&parse(wrong.as_bytes()).unwrap_err());
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
