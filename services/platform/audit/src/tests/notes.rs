//! Keys and notes: reading, verification, and refusal at each bound.

use super::{ORIGIN, key, known, log_key, witness_key};
use crate::note::*;

const TEXT: &str = "one line\n\nanother\n";

fn parse(note: &str) -> Result<Note, NoteError> {
    Note::parse(note.as_bytes())
}

#[test]
fn a_note_is_read_as_it_was_written() {
    let (old, new) = (key(ORIGIN, KeyKind::Log, 3), log_key());
    let note = Note::sign(TEXT.to_owned(), &[&old, &new]).unwrap();
    let read = parse(&note.to_string()).unwrap();
    assert_eq!((read.text(), &read), (TEXT, &note));
    // While one key replaces another, readers with either can verify.
    for keys in [known(&[&old]), known(&[&new]), known(&[&old, &new])] {
        assert_eq!(read.verify(&keys).unwrap().len(), keys.iter().count());
    }
}

#[test]
fn signatures_of_unknown_keys_are_ignored_and_forged_ones_are_not() {
    let note = Note::sign(TEXT.to_owned(), &[&log_key()]).unwrap();
    // The same name with another key, and the same key with another name.
    let others = [key(ORIGIN, KeyKind::Log, 9), key("other.example", KeyKind::Log, 1)];
    for other in &others {
        assert_eq!(note.verify(&known(&[other])), Err(VerifyError::NoKnownKey));
        let both = Note::sign(TEXT.to_owned(), &[&log_key(), other]).unwrap();
        assert_eq!(both.verify(&known(&[&log_key()])).unwrap().len(), 1);
    }
    let changed = note.to_string().replacen("another", "Another", 1);
    let forged = VerifyError::Forged { name: ORIGIN.to_owned(), id: log_key().public().id() };
    assert_eq!(parse(&changed).unwrap().verify(&known(&[&log_key()])), Err(forged.clone()));
    // A second signature of the same key is verified too, before or after the right one.
    let lines = |note: &str| note.rsplit_once("\n\n").unwrap().1.to_owned();
    let other = lines(&Note::sign("other\n".to_owned(), &[&log_key()]).unwrap().to_string());
    let right = lines(&note.to_string());
    for signatures in [format!("{right}{other}"), format!("{other}{right}")] {
        let both = parse(&format!("{TEXT}\n{signatures}")).unwrap();
        assert_eq!(both.verify(&known(&[&log_key()])), Err(forged.clone()));
    }
}

#[test]
fn what_is_no_note_is_refused() {
    let good = Note::sign(TEXT.to_owned(), &[&log_key()]).unwrap().to_string();
    let line = good.rsplit_once("\n\n").unwrap().1;
    let cases = [
        (good.replacen("one", "o\tne", 1), NoteError::Control { at: 1 }),
        (good.replacen("one", "one\r", 1), NoteError::Control { at: 3 }),
        (good.trim_end().to_owned(), NoteError::NotASignature { line: 1 }),
        (TEXT.to_owned(), NoteError::NotASignature { line: 1 }),
        ("text\n".to_owned(), NoteError::NoBlankLine),
        ("text\n\n".to_owned(), NoteError::NoSignature),
        (String::new(), NoteError::NoBlankLine),
        (format!("text\n\n{line}- {ORIGIN} AAAAAAA=\n"), NoteError::NotASignature { line: 2 }),
        (format!("text\n\n\u{2014} {ORIGIN} AAAAAA==\n"), NoteError::NotASignature { line: 1 }),
        ("text\n\n\u{2014}  AAAAAAA=\n".to_owned(), NoteError::NotASignature { line: 1 }),
        ("text\n\n\u{2014} a+b AAAAAAA=\n".to_owned(), NoteError::NotASignature { line: 1 }),
        ("text\n\n\u{2014} a\u{2003}b AAAAAAA=\n".to_owned(), NoteError::NotASignature { line: 1 }),
        ("text\n\n\u{2014} a b AAAAAAA=\n".to_owned(), NoteError::NotASignature { line: 1 }),
        (
            format!("text\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(SIGNATURES_MAX + 1)),
            NoteError::TooManySignatures,
        ),
        ("x".repeat(NOTE_BYTES_MAX + 1), NoteError::TooLong { bytes: NOTE_BYTES_MAX + 1 }),
    ];
    for (note, expected) in cases {
        assert_eq!(parse(&note), Err(expected), "{note:.80}");
    }
    assert_eq!(Note::parse(b"text\xff\n\n"), Err(NoteError::NotUtf8 { at: 4 }));
    let many = format!("text\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(SIGNATURES_MAX));
    assert_eq!(parse(&many).unwrap().signatures().len(), SIGNATURES_MAX);
    // A reader must accept 16 signatures of 5 KB each.
    let long = format!("text\n\n{}", format!("\u{2014} a {}\n", "A".repeat(7_000)).repeat(16));
    assert_eq!(parse(&long).unwrap().signatures().len(), 16);
}

#[test]
fn what_would_be_no_note_is_not_signed() {
    let sign = |text: &str, keys: &[&SignerKey]| Note::sign(text.to_owned(), keys).unwrap_err();
    assert_eq!(sign("no end", &[&log_key()]), SignError::Note(NoteError::NoEnd));
    assert_eq!(sign("a\tb\n", &[&log_key()]), SignError::Note(NoteError::Control { at: 1 }));
    assert_eq!(sign("text\n", &[]), SignError::Note(NoteError::NoSignature));
    assert!(matches!(
        sign(&format!("{}\n", "x".repeat(NOTE_BYTES_MAX)), &[&log_key()]),
        SignError::Note(NoteError::TooLong { .. })
    ));
    assert!(matches!(sign("text\n", &[&witness_key()]), SignError::Key(KeyError::WrongKind { .. })));
}

#[test]
fn signatures_of_witnesses_are_added_once_each_and_only_known_ones() {
    let mut note = Note::sign(TEXT.to_owned(), &[&log_key()]).unwrap();
    let keys = known(&[&log_key(), &witness_key()]);
    let line = |at| Signature::of_witness(&witness_key(), TEXT, UnixSeconds(at)).to_string();
    let stranger =
        Signature::of_witness(&key("x.example", KeyKind::Witness, 9), TEXT, UnixSeconds(1)).to_string();
    assert_eq!(note.add_signatures(&format!("{}{stranger}", line(100)), &keys).unwrap(), 1);
    assert_eq!(note.add_signatures(&line(200), &keys).unwrap(), 1);
    assert_eq!(note.signatures().len(), 2);
    let times: Vec<_> = note.verify(&keys).unwrap().iter().map(|one| one.cosigned_at).collect();
    assert_eq!(times, [None, Some(UnixSeconds(200))]);
    // If one line is forged, none is added.
    let before = note.clone();
    let other = Signature::of_witness(&witness_key(), "other\n", UnixSeconds(300)).to_string();
    assert!(matches!(note.add_signatures(&format!("{}{other}", line(400)), &keys), Err(AddError::Forged(_))));
    assert!(matches!(note.add_signatures("no line\n", &keys), Err(AddError::Note(_))));
    assert_eq!(note, before);
    // A time beyond what a cosignature may have.
    let late = Signature::of_witness(&witness_key(), TEXT, UnixSeconds(1 << 63)).to_string();
    assert!(matches!(note.add_signatures(&late, &keys), Err(AddError::Forged(_))));
}

#[test]
fn keys_are_read_as_they_were_written() {
    for kind in [KeyKind::Log, KeyKind::Witness] {
        let key = SignerKey::generate("vigie.example/audit", kind).unwrap();
        let read: SignerKey = key.to_secret_text().parse().unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(key.public().to_string().parse::<VerifierKey>().unwrap(), *key.public());
        let shown = format!("{key:?}");
        let secret = key.to_secret_text();
        let secret = secret.rsplit('+').next().unwrap();
        assert!(!shown.contains(secret) && shown.contains("vigie.example"), "{shown}");
    }
    assert_ne!(
        SignerKey::generate("a", KeyKind::Log).unwrap().public(),
        SignerKey::generate("a", KeyKind::Log).unwrap().public()
    );
    // One key used for both kinds has two ids.
    assert_ne!(key("a", KeyKind::Log, 1).public().id(), key("a", KeyKind::Witness, 1).public().id());
}

#[test]
fn what_is_no_key_is_refused() {
    let public = |text: &str| text.parse::<VerifierKey>().unwrap_err();
    let good = log_key().public().to_string();
    for text in [
        "",
        "a",
        "a+b",
        "a+0000000+AAAA",
        "a+0000000g+AAAA",
        "a+00000000+",
        "a+00000000+AA",
        "a++",
        &good[..good.len() - 1],
    ] {
        assert_eq!(public(text), KeyError::PublicForm, "{text}");
    }
    assert_eq!(public("+00000000+AVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFRUVFR"), KeyError::Name);
    assert_eq!(public("a+00000000+BVFR"), KeyError::Kind(5));
    assert_eq!(public("a+00000000+AVFR"), KeyError::Length { bytes: 2 });
    assert!(matches!(public(&good.replacen("vigie", "Vigie", 1)), KeyError::Id { .. }));
    assert_eq!(public(&"x".repeat(1_000)), KeyError::PublicForm);
    // A private key is not read as a public one, nor a public one as private.
    assert!(log_key().to_secret_text().parse::<VerifierKey>().is_err());
    assert_eq!(good.parse::<SignerKey>().unwrap_err(), KeyError::PrivateForm);
    let secret = log_key().to_secret_text();
    let error = secret.replacen("vigie", "Vigie", 1).parse::<SignerKey>().unwrap_err();
    assert!(matches!(error, KeyError::Id { .. }) && !error.to_string().contains("AQEB"), "{error}");
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\tb", "a\u{1}", &"x".repeat(256)] {
        assert_eq!(SignerKey::generate(name, KeyKind::Log).unwrap_err(), KeyError::Name, "{name:?}");
    }
}

#[test]
fn known_keys_are_different_and_bounded() {
    let one = log_key().public().clone();
    let error = KnownKeys::new([one.clone(), one.clone()]).unwrap_err();
    assert_eq!(error, KeyError::Doubled { name: ORIGIN.to_owned(), id: one.id() });
    let many = |count: usize| {
        (0..count).map(|number| VerifierKey::new(&format!("k{number}"), KeyKind::Log, [0; 32]).unwrap())
    };
    assert_eq!(KnownKeys::new(many(KNOWN_KEYS_MAX)).unwrap().iter().count(), KNOWN_KEYS_MAX);
    assert!(matches!(KnownKeys::new(many(KNOWN_KEYS_MAX + 1)), Err(KeyError::TooMany { .. })));
}
