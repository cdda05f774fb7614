//! Labelled content in a folder: one sub-folder for each class, and other sub-folders for content of no
//! class.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use vigie_classifiers::{ClassTable, Conversation, Kind, Label, Name, Sample, Sha256};
use vigie_clients::MeasuredContent;

use crate::commands::content::folders::find_files;
use crate::commands::content::image_file;
use crate::output::{ErrorLine, Output};

/// Maximum size of a conversation file in bytes: its texts may have 64 KiB, and JSON writes some characters
/// with six.
const CONVERSATION_FILE_MAX: u64 = 1 << 20;

/// A file with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Labelled {
    /// Path of the file.
    pub(super) path: PathBuf,
    /// The class of the content; `None` for content of no class.
    pub(super) class: Option<Name>,
}

/// Returns the files of a folder, in the order of their names. `classes` are those of the model.
pub(super) fn find(folder: &Path, classes: &[Name], output: &Output) -> anyhow::Result<Vec<Labelled>> {
    let cannot = || format!("cannot list {}", folder.display());
    let listed = std::fs::read_dir(folder).with_context(cannot)?;
    let mut entries = listed.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        if !path.is_dir() {
            bail!("{} is in no sub-folder, so it has no label", path.display());
        }
        let name = entry.file_name();
        let class = classes.iter().find(|class| Some(class.as_str()) == name.to_str()).cloned();
        if class.is_none() {
            output.note(format!(
                "{}: no class of the model has this name: content of no class",
                path.display()
            ));
        }
        let found = find_files(std::slice::from_ref(&path), output)?;
        files.extend(found.into_iter().map(|file| Labelled { path: file.path, class: class.clone() }));
    }
    if files.is_empty() {
        bail!("{} holds no files", folder.display());
    }
    Ok(files)
}

/// Reads a file as content of the model's kind. No error message contains text of the file.
pub(super) async fn read(path: &Path, kind: Kind) -> Result<MeasuredContent, ErrorLine> {
    match kind {
        Kind::Image => Ok(MeasuredContent::Image(image_file::read(path).await?.into())),
        Kind::Conversation => {
            let path = path.to_owned();
            let read = tokio::task::spawn_blocking(move || conversation(&path)).await;
            read.unwrap_or_else(|_| Err(unreadable("cannot read it".into())))
                .map(MeasuredContent::Conversation)
        }
    }
}

fn unreadable(message: String) -> ErrorLine {
    ErrorLine { code: "unreadable".into(), message }
}

fn conversation(path: &Path) -> Result<Conversation, ErrorLine> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(CONVERSATION_FILE_MAX + 1).read_to_end(&mut text));
    read.map_err(|error| unreadable(format!("cannot read it: {error}")))?;
    if u64::try_from(text.len()).is_ok_and(|len| len > CONVERSATION_FILE_MAX) {
        return Err(unreadable(format!(
            "a file with a conversation has at most {CONVERSATION_FILE_MAX} bytes"
        )));
    }
    // Errors of the JSON parser may quote text, so only their position is used.
    let draft: vigie_classifiers::conversation::ConversationDraft =
        serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            unreadable(format!("it is no conversation in JSON (line {line}, column {column})"))
        })?;
    Conversation::try_from(draft).map_err(|error| unreadable(error.to_string()))
}

/// The sample of each measured class.
#[derive(Debug)]
pub(super) struct Samples(BTreeMap<Name, Sample>);

impl Samples {
    pub(super) fn new(classes: &[Name]) -> Self {
        Self(classes.iter().map(|class| (class.clone(), Sample::new(class.clone()))).collect())
    }

    /// Adds the scores of a content: as a positive of its own class, and as a negative of all others.
    pub(super) fn add(
        &mut self,
        class: Option<&Name>,
        content: [u8; 32],
        scores: &[(String, f32)],
    ) -> Result<(), ErrorLine> {
        for (name, sample) in &mut self.0 {
            let score = scores.iter().find(|(scored, _)| scored == name.as_str());
            let (_, score) = score.ok_or_else(|| ErrorLine {
                code: "scores".into(),
                message: format!("the model gave no score for {name}"),
            })?;
            let label = if class == Some(name) { Label::Positive } else { Label::Negative };
            let added = sample.add(Sha256(content), label, *score);
            added.map_err(|error| ErrorLine { code: "sample".into(), message: error.to_string() })?;
        }
        Ok(())
    }

    /// Returns the table of each class.
    pub(super) fn tables(self) -> anyhow::Result<Vec<ClassTable>> {
        let table =
            |(class, sample): (Name, Sample)| sample.table().with_context(|| format!("class {class}"));
        self.0.into_iter().map(table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_sub_folder_with_the_name_of_a_class_holds_its_content_and_others_that_of_no_class() {
        let folder = tempfile::tempdir().unwrap();
        for (at, content) in [("nude/a", "1"), ("nude/deep/b", "2"), ("gore/c", "3"), ("holiday/d", "4")] {
            let path = folder.path().join(at);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let classes = [name("gore"), name("nude")];
        let found = find(folder.path(), &classes, &Output::new(false)).unwrap();
        let label = |one: &Labelled| {
            let path = one.path.strip_prefix(folder.path()).unwrap().display().to_string();
            (path, one.class.as_ref().map(ToString::to_string))
        };
        let of = |path: &str, class: Option<&str>| (path.to_owned(), class.map(str::to_owned));
        let expected = [
            of("gore/c", Some("gore")),
            of("holiday/d", None),
            of("nude/a", Some("nude")),
            of("nude/deep/b", Some("nude")),
        ];
        assert_eq!(found.iter().map(label).collect::<Vec<_>>(), expected);
        std::fs::write(folder.path().join("loose"), "5").unwrap();
        let refused = find(folder.path(), &classes, &Output::new(false)).unwrap_err();
        assert!(refused.to_string().ends_with("loose is in no sub-folder, so it has no label"), "{refused}");
        let empty = tempfile::tempdir().unwrap();
        assert!(find(empty.path(), &classes, &Output::new(false)).is_err());
        assert!(find(&empty.path().join("missing"), &classes, &Output::new(false)).is_err());
    }

    #[tokio::test]
    async fn conversations_are_read_and_their_faults_quote_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.json");
        let read = async |text: &str| {
            std::fs::write(&file, text).unwrap();
            read(&file, Kind::Conversation).await
        };
        let good =
            read(r#"{"messages": [{"role": "a", "text": "secret"}, {"role": "b", "at": 7, "text": ""}]}"#)
                .await;
        assert!(matches!(good, Ok(MeasuredContent::Conversation(of)) if of.bytes() == 6));
        for bad in [
            r#"{"messages": []}"#,
            r#"{"messages": [{"role": "a", "at": "secret", "text": "secret"}]}"#,
            r#"{"messages": [{"role": "secret\u0000", "text": "secret"}]}"#,
            "secret",
        ] {
            let fault = read(bad).await.unwrap_err();
            assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
        }
        let long = read(&" ".repeat((1 << 20) + 1)).await.unwrap_err();
        assert!(long.message.contains("1048576 bytes"), "{long:?}");
    }

    #[test]
    fn a_content_is_positive_for_its_class_alone_and_counts_once() {
        let classes = [name("gore"), name("nude")];
        let mut samples = Samples::new(&classes);
        let scores = |gore: f32, nude: f32| [("gore".to_owned(), gore), ("nude".to_owned(), nude)];
        samples.add(Some(&classes[0]), [1; 32], &scores(0.9, 0.1)).unwrap();
        samples.add(Some(&classes[0]), [1; 32], &scores(0.9, 0.1)).unwrap();
        samples.add(None, [2; 32], &scores(0.2, 0.3)).unwrap();
        // The same content under two labels is an error in the labels.
        let both = samples.add(Some(&classes[1]), [1; 32], &scores(0.9, 0.1)).unwrap_err();
        assert!(both.message.contains("labelled as content of the class and as other content"), "{both:?}");
        assert!(samples.add(None, [3; 32], &scores(f32::NAN, 0.1)).is_err());
        assert!(samples.add(None, [4; 32], &scores(0.5, 0.1)[..1]).is_err());
        let tables = Samples::new(&classes);
        assert!(
            format!("{:#}", tables.tables().unwrap_err()).starts_with("class gore: a sample needs content")
        );
    }
}
