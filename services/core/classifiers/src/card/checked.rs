//! Checks a draft and makes a card of it.

use std::collections::BTreeSet;

use super::draft::{InputForm, Mode, ModelCardDraft};
use super::model_card::{ModelCard, Source};
use super::test_vector::TestVector;
use crate::calibration::ClassTable;
use crate::fault::{Faults, Findings};
use crate::name::Name;
use crate::scores::Output;
use crate::tensor::Tensor;
use crate::threshold::{Chosen, choose};

impl TryFrom<ModelCardDraft> for ModelCard {
    type Error = Faults;

    fn try_from(draft: ModelCardDraft) -> Result<Self, Faults> {
        let mut findings = Findings::default();
        let name: Option<Name> =
            draft.name.parse().map_err(|error| findings.add("name", format!("{error}"))).ok();
        findings.expect(draft.version > 0, "version", || "versions begin with 1".into());
        let source = source(&draft, &mut findings);
        let kind = draft.input.form.kind();
        findings.expect_line(&draft.input.tensor, Tensor::NAME_LEN_MAX, "input.tensor");
        match &draft.input.form {
            InputForm::Image(image) => findings.within("input.form.image.", |findings| image.find(findings)),
            InputForm::Conversation(form) => {
                findings.within("input.form.conversation.", |findings| form.find(findings));
            }
        }
        let output = findings.within("output.", |findings| Output::find(&draft.output, findings));
        for (field, text) in [("licence", &draft.licence), ("approved_by", &draft.approved_by)] {
            findings.expect_line(text, Self::LINE_LEN_MAX, field);
        }
        if !draft.note.is_empty() {
            findings.expect_line(&draft.note, Self::NOTE_LEN_MAX, "note");
        }
        let test_vector = findings
            .within("test_vector.", |findings| TestVector::find(&draft.test_vector, kind, &output, findings));
        let is_class = |table: &ClassTable| output.classes().iter().any(|class| class.name == *table.class());
        let tables = draft.calibration.iter().flat_map(|calibration| calibration.classes());
        for table in tables.filter(|table| !is_class(table)) {
            findings.add("calibration", format!("the output has no class {}", table.class()));
        }
        let thresholds = thresholds(&draft, &mut findings);
        findings.expect(draft.mode == Mode::Shadow || !draft.thresholds.is_empty(), "mode", || {
            "an active model has a threshold, which its calibration supports".into()
        });
        findings.finish()?;
        let parts = name.zip(source).zip(test_vector);
        let ((name, source), test_vector) = parts.expect("a part is missing only with a fault");
        Ok(Self { name, source, output, test_vector, thresholds, draft: Box::new(draft) })
    }
}

/// Returns the source of the model; a draft must name exactly one.
fn source(draft: &ModelCardDraft, findings: &mut Findings) -> Option<Source> {
    match (&draft.digest, &draft.server_version) {
        (Some(digest), None) => {
            digest.parse().map(Source::File).map_err(|error| findings.add("digest", format!("{error}"))).ok()
        }
        (None, Some(version)) => {
            findings.expect_line(version, ModelCard::LINE_LEN_MAX, "server_version");
            Some(Source::Server(version.as_str().into()))
        }
        (Some(_), Some(_)) | (None, None) => {
            findings.add("digest", "either the digest of a file or the version of an external server");
            None
        }
    }
}

/// Checks the thresholds: each must be the one that the calibration supports for its rate.
fn thresholds(draft: &ModelCardDraft, findings: &mut Findings) -> Box<[(Name, Chosen)]> {
    let mut names = BTreeSet::new();
    let mut thresholds = Vec::new();
    for (number, asked) in draft.thresholds.iter().enumerate() {
        let field = format!("thresholds[{number}]");
        findings.expect(names.insert(&asked.class), &field, || {
            format!("{} has a threshold already", asked.class)
        });
        let mut tables = draft.calibration.iter().flat_map(|calibration| calibration.classes());
        let Some(table) = tables.find(|table| table.class().as_str() == asked.class) else {
            findings.add(&field, format!("no calibration measured the class {}", asked.class));
            continue;
        };
        match choose(table, asked.rate) {
            Ok(chosen) => {
                let threshold = chosen.measured.threshold;
                findings.expect(threshold.to_bits() == asked.threshold.to_bits(), &field, || {
                    format!(
                        "the calibration has {threshold} for a rate of at most {}, not {}",
                        asked.rate, asked.threshold
                    )
                });
                thresholds.push((table.class().clone(), chosen));
            }
            Err(error) => findings.add(&field, error.to_string()),
        }
    }
    thresholds.into()
}
