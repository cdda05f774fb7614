use proptest::prelude::*;

use crate::conversation::{Conversation, ConversationDraft, Message};
use crate::preprocessing::{ConversationForm, ConversationInput, DropFirst, InputError, Whole};
use crate::tensor::TensorData;

fn conversation(messages: &[(&str, &str)]) -> Conversation {
    let message =
        |(role, text): &(&str, &str)| Message { role: (*role).into(), at: None, text: (*text).into() };
    let draft = ConversationDraft { messages: messages.iter().map(message).collect(), language: None };
    draft.try_into().unwrap()
}

fn input(form: ConversationForm, bytes_max: u32, drop_first: DropFirst) -> ConversationInput {
    ConversationInput { form, message: "{role}: {text}".into(), between: "\n".into(), bytes_max, drop_first }
}

#[test]
fn messages_are_written_by_the_template_and_joined() {
    let talk = conversation(&[("a", "hi"), ("b", "ho {role} {text}")]);
    let declared = input(ConversationForm::Text, 100, DropFirst::Oldest);
    let joined = declared.join(&talk).unwrap();
    assert_eq!((joined.text.as_str(), joined.dropped_bytes), ("a: hi\nb: ho {role} {text}", 0));
    assert_eq!(format!("{joined:?}"), "Joined(25 bytes, 0 dropped)");
    let tensor = declared.tensor("text", &talk).unwrap();
    assert_eq!(tensor.shape(), [1, 1]);
    assert_eq!(tensor.data(), &TensorData::Text(vec![joined.text]));
    // A role that looks like a marker is not replaced, and the template may end with the role.
    let spoof = conversation(&[("{text}", "x")]);
    let behind = ConversationInput { message: "<{text}|{role}>".into(), ..declared };
    assert_eq!(behind.join(&spoof).unwrap().text, "<x|{text}>");
}

#[test]
fn bytes_are_padded_at_the_end() {
    let talk = conversation(&[("a", "é")]);
    let tensor = |element, pad| {
        let declared = input(ConversationForm::Utf8Bytes { pad, element }, 7, DropFirst::Newest);
        let tensor = declared.tensor("bytes", &talk).unwrap();
        assert_eq!(tensor.shape(), [1, 7]);
        tensor.into_data()
    };
    assert_eq!(tensor(Whole::I32, 256), TensorData::I32(vec![97, 58, 32, 195, 169, 256, 256]));
    assert_eq!(tensor(Whole::I64, 0), TensorData::I64(vec![97, 58, 32, 195, 169, 0, 0]));
    assert_eq!(tensor(Whole::F32, -1), TensorData::F32(vec![97.0, 58.0, 32.0, 195.0, 169.0, -1.0, -1.0]));
}

#[test]
fn byte_counts_are_shares_of_the_text() {
    let declared = ConversationInput {
        message: "{text}".into(),
        ..input(ConversationForm::ByteCounts, 8, DropFirst::Newest)
    };
    let shares = |text: &str| {
        let tensor = declared.tensor("counts", &conversation(&[("a", text)])).unwrap();
        let TensorData::F32(shares) = tensor.into_data() else { panic!() };
        shares
    };
    let some = shares("aab\n");
    assert_eq!((some.len(), some[97], some[98], some[10], some[99]), (256, 0.5, 0.25, 0.25, 0.0));
    assert_eq!(shares(""), vec![0.0; 256]);
    // The text is cut to 8 bytes before it is counted.
    assert_eq!(shares("aaaaaaaabbbbbbbb")[97], 1.0);
}

proptest! {
    #[test]
    fn a_text_is_cut_at_one_end_at_a_character_and_by_as_little_as_can_be(
        texts in prop::collection::vec("[a-zé€😀]{0,9}", 1..6), bytes_max in 1_u32..60, is_oldest: bool,
    ) {
        let talk = conversation(&texts.iter().map(|text| ("r", text.as_str())).collect::<Vec<_>>());
        let whole = texts.iter().map(|text| format!("r: {text}")).collect::<Vec<_>>().join("\n");
        let drop_first = if is_oldest { DropFirst::Oldest } else { DropFirst::Newest };
        let joined = input(ConversationForm::Text, bytes_max, drop_first).join(&talk).unwrap();
        prop_assert_eq!(joined.text.len() + joined.dropped_bytes, whole.len());
        // Brute force: the longest part at that end that fits.
        let fits = |part: &&str| part.len() <= usize::try_from(bytes_max).unwrap();
        let starts = whole.char_indices().map(|(at, _)| at).chain([whole.len()]);
        let parts = starts.map(|at| if is_oldest { &whole[at..] } else { &whole[..at] });
        prop_assert_eq!(Some(joined.text.as_str()), parts.filter(fits).max_by_key(|part| part.len()));
    }
}

#[test]
fn every_fault_of_a_declaration_is_listed() {
    let faulty = ConversationInput {
        form: ConversationForm::Utf8Bytes { pad: 257, element: Whole::I64 },
        message: format!("{{role}}{{role}}{{name}}{}", "x".repeat(50)),
        between: "-".repeat(65),
        bytes_max: 0,
        drop_first: DropFirst::Oldest,
    };
    let Err(InputError::Declared(faults)) = faulty.join(&conversation(&[("a", "x")])) else { panic!() };
    assert_eq!(
        faults.to_string(),
        "form.pad: 257 is not from -1 to 256\n\
         message: a template has at most 64 bytes, not 68\n\
         message: {text} occurs once, not 0 times\n\
         message: {role} occurs at most once, not 2 times\n\
         message: braces are only in {role} and {text}\n\
         between: a separator has at most 64 bytes, not 65\n\
         bytes_max: 0 is not from 1 to 65536"
    );
    assert!(faulty.check().is_err() && faulty.tensor("x", &conversation(&[("a", "x")])).is_err());
}

#[test]
fn the_json_form_reads_back() {
    let text = r#"{"form":{"utf8_bytes":{"pad":0,"element":"i64"}},"message":"{role}: {text}","between":"\n","bytes_max":2048,"drop_first":"oldest"}"#;
    let declared: ConversationInput = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&declared).unwrap(), text);
    let form: ConversationForm = serde_json::from_str("\"byte_counts\"").unwrap();
    assert_eq!(form, ConversationForm::ByteCounts);
}
