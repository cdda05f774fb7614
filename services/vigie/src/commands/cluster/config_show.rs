//! Renders the reference of the configuration, as a file to start from and as tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::config::names::{
    BANK, CLASSIFIER, COORDINATOR, EXCHANGE, FRONTEND, GATEWAY, LISTEN, MATCHER, ROLES, SERVING,
};
use crate::config::reference::{Key, Section};

/// Maximum width of a line in columns, so that it fits a terminal.
const COLUMNS: usize = 78;

/// Returns a file with every key at its default, as a comment, and with the keys that must be set.
pub(super) fn toml(role: Option<&str>, sections: &[&Section]) -> String {
    let mut text = String::new();
    let shown_for = role.map_or_else(|| "every role".to_owned(), |role| format!("a {role}"));
    comment(
        &mut text,
        &format!("Every key of {shown_for}, with its default. Remove the # before a key to set it."),
    );
    for section in sections {
        text.push('\n');
        comment(&mut text, &section.comment);
        if !section.table.is_empty() {
            // A `[tls]` table requires files, so it is commented out. The tables within a role's table have
            // no required keys, so they are commented out too.
            let is_optional = !ROLES.contains(&section.table.as_str());
            let hash = if is_optional { "#" } else { "" };
            let _ = writeln!(text, "{hash}[{}]", section.table);
        }
        // An exchange process does not listen, so this key is left out for it.
        let is_shown = |key: &&Key| key.key != LISTEN || role != Some(EXCHANGE);
        for key in section.keys.iter().filter(is_shown) {
            let _ = writeln!(text);
            comment(&mut text, &key.comment);
            comment(&mut text, &properties(key));
            match &key.default {
                Some(_) => {}
                None if key.key == LISTEN => comment(&mut text, "Required."),
                None => comment(&mut text, "Not set by default."),
            }
            let _ = match (&key.default, key.key == LISTEN) {
                (_, true) => writeln!(text, "{} = \"127.0.0.1:{}\"", key.name(), port(role)),
                (Some(default), _) => writeln!(text, "#{} = {default}", key.name()),
                (None, _) => writeln!(text, "#{} = {}", key.name(), key.placeholder),
            };
        }
    }
    text
}

/// Returns the port that all examples use for a role.
fn port(role: Option<&str>) -> u16 {
    match role {
        Some(BANK) => 7_742,
        Some(MATCHER) => 7_750,
        Some(COORDINATOR) => 7_741,
        Some(GATEWAY) => 7_780,
        Some(CLASSIFIER) => 7_746,
        Some(FRONTEND) | Some(_) | None => 7_740,
    }
}

fn properties(key: &Key) -> String {
    let unit = key.unit.map(|unit| format!("Unit: {unit}. ")).unwrap_or_default();
    format!("{unit}Accepts {}.", key.accepts)
}

/// Appends a comment, wrapped at [`COLUMNS`].
fn comment(text: &mut String, comment: &str) {
    let mut line = String::new();
    for word in comment.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > COLUMNS - 2 {
            let _ = writeln!(text, "# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "# {line}");
    }
}

/// Returns the reference as Markdown tables. Limits that are the same for every role are shown once.
pub(super) fn markdown(sections: &[&Section]) -> String {
    let mut text = String::new();
    let mut shown = BTreeSet::new();
    for section in sections {
        let is_serving = section.table.ends_with(&format!(".{SERVING}"));
        let title = match section.table.as_str() {
            "" => "Outside tables".to_owned(),
            _ if is_serving => format!("`[ROLE.{SERVING}]`"),
            table => format!("`[{table}]`"),
        };
        if !shown.insert(title.clone()) {
            continue;
        }
        let _ = write!(text, "## {title}\n\n{}\n\n", section.comment);
        text.push_str("| key | default | unit | accepts | meaning |\n|---|---|---|---|---|\n");
        for key in &section.keys {
            let default = match &key.default {
                Some(default) => format!("`{default}`"),
                None if key.key == LISTEN => "required".to_owned(),
                None => "not set".to_owned(),
            };
            let cells = [&key.accepts, &key.comment].map(|cell| cell.replace('|', "\\|"));
            let (name, unit, [accepts, meaning]) = (key.name(), key.unit.unwrap_or(""), cells);
            let _ = writeln!(text, "| `{name}` | {default} | {unit} | {accepts} | {meaning} |");
        }
        text.push('\n');
    }
    text
}
