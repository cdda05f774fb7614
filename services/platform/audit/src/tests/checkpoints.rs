//! Checkpoints, and proofs as files.

use super::{Log, ORIGIN, key, known, log_key, signed, size_of, witness_key};
use crate::checkpoint::*;
use crate::files::*;
use crate::note::{KeyKind, Note, Signature, UnixSeconds};
use crate::tree::*;

fn head() -> TreeHead {
    Log::of_size(11).head()
}

#[test]
fn a_checkpoint_is_read_as_it_was_signed() {
    let extensions = ["log 6f1c sequence 812 chain 09af".to_owned()];
    let checkpoint = Checkpoint::new(ORIGIN, head(), &extensions).unwrap();
    let expected = format!("{ORIGIN}\n11\n{}\n{}\n", head().root, extensions[0]);
    assert_eq!(checkpoint.to_string(), expected);
    let note = checkpoint.sign(&[&log_key()]).unwrap().to_string();
    let opened = Checkpoint::open(note.as_bytes(), ORIGIN, &known(&[&log_key()])).unwrap();
    assert_eq!((&opened.checkpoint, opened.note.to_string()), (&checkpoint, note));
    assert_eq!((opened.checkpoint.tree(), opened.checkpoint.extensions()), (&head(), &extensions[..]));
    assert!(opened.cosignatures.is_empty());
    // Reading without checking the signatures gives the same.
    assert_eq!(Checkpoint::unverified(opened.note.to_string().as_bytes()), Ok(checkpoint));
    assert!(matches!(Checkpoint::unverified(b"nothing"), Err(OpenError::Note(_))));
}

#[test]
fn a_checkpoint_is_the_logs_or_is_refused() {
    let note = signed(head());
    let (log, nobody, witness) = (known(&[&log_key()]), known(&[]), known(&[&witness_key()]));
    let open = |note: &str, origin, keys| Checkpoint::open(note.as_bytes(), origin, keys).unwrap_err();
    let error = open(&note, "other.example", &log);
    assert_eq!(
        error.to_string(),
        "the checkpoint is of the log `vigie.example/audit`, and not of `other.example`"
    );
    assert!(matches!(open(&note, ORIGIN, &nobody), OpenError::Signatures(_)));
    assert!(matches!(open(&note.replacen("\n11\n", "\n12\n", 1), ORIGIN, &log), OpenError::Signatures(_)));
    assert!(matches!(open("", ORIGIN, &log), OpenError::Note(_)));
    let other = Note::sign("something else\n".to_owned(), &[&log_key()]).unwrap().to_string();
    assert_eq!(open(&other, ORIGIN, &log), OpenError::Checkpoint(CheckpointError::TooShort));
    // The signature of a witness alone is not enough.
    let mut note = Note::parse(note.as_bytes()).unwrap();
    let cosignature = Signature::of_witness(&witness_key(), note.text(), UnixSeconds(1_795_000_000));
    note.put(cosignature).unwrap();
    assert_eq!(open(&note.to_string(), ORIGIN, &witness), OpenError::NotOfTheLog);
    let keys = known(&[&log_key(), &witness_key()]);
    let opened = Checkpoint::open(note.to_string().as_bytes(), ORIGIN, &keys).unwrap();
    let expected = Cosignature { name: "acme.example/witness".to_owned(), at: UnixSeconds(1_795_000_000) };
    assert_eq!(opened.cosignatures, [expected]);
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let root = head().root;
    let read = |text: &str| text.parse::<Checkpoint>().unwrap_err();
    let short = ["", "\n", "a\n", "a\n1\n", &format!("a\n1\n{root}")];
    for text in short {
        assert!(matches!(read(text), CheckpointError::TooShort | CheckpointError::Root), "{text}");
    }
    assert_eq!(read(&format!("\n1\n{root}\n")), CheckpointError::Origin);
    assert_eq!(read(&format!("{}\n1\n{root}\n", "o".repeat(256))), CheckpointError::Origin);
    for size in ["", "-1", "+1", "01", "00", "1 ", "0x1", "4611686018427387905", "99999999999999999999"] {
        assert_eq!(read(&format!("a\n{size}\n{root}\n")), CheckpointError::Size, "{size}");
    }
    let root_text = root.to_string();
    let unused_bits = root_text
        .replace("=", "")
        .chars()
        .rev()
        .skip(1)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect::<String>()
        + "B=";
    for root in
        ["", "AAAA", &root_text[1..], &root_text.replace('=', "A"), &unused_bits, &format!("{root_text} ")]
    {
        assert_eq!(read(&format!("a\n1\n{root}\n")), CheckpointError::Root, "{root}");
    }
    assert_eq!(read(&format!("a\n0\n{root}\n")), CheckpointError::EmptyRoot { root });
    format!("a\n0\n{}\n", NodeHash::EMPTY).parse::<Checkpoint>().unwrap();
    let extended = |extensions: &str| read(&format!("a\n1\n{root}\n{extensions}"));
    assert_eq!(extended("\n"), CheckpointError::Extension { number: 1 });
    assert_eq!(extended("x\n\ny\n"), CheckpointError::Extension { number: 2 });
    assert_eq!(extended(&format!("{}\n", "x".repeat(1_025))), CheckpointError::Extension { number: 1 });
    assert_eq!(extended(&"x\n".repeat(100)), CheckpointError::TooManyExtensions { given: 17 });
    format!("a\n1\n{root}\n{}", "x\n".repeat(16)).parse::<Checkpoint>().unwrap();
}

#[test]
fn a_proof_of_inclusion_travels_as_a_file() {
    let mut log = Log::of_size(40);
    let checkpoint = signed(log.head());
    for (index, extra) in [(0, None), (17, Some(b"why".to_vec())), (39, Some(Vec::new()))] {
        let proof = log.inclusion(index, 40);
        let file =
            InclusionFile { extra, index: LeafIndex(index as u64), proof, checkpoint: checkpoint.clone() };
        let text = file.to_string();
        let read = InclusionFile::parse(text.as_bytes()).unwrap();
        assert_eq!(read, file, "{text}");
        let keys = known(&[&log_key()]);
        let opened = read.verify(&log.entries[index], ORIGIN, &keys).unwrap();
        assert_eq!(opened.checkpoint.tree(), &log.head());
        assert!(matches!(read.verify(b"other", ORIGIN, &keys), Err(InclusionError::Proof(_))));
        let stranger = known(&[&key("x.example", KeyKind::Log, 9)]);
        assert!(matches!(read.verify(&log.entries[index], ORIGIN, &stranger), Err(InclusionError::Open(_))));
    }
}

#[test]
fn what_is_no_file_of_a_proof_is_refused() {
    let hash = NodeHash::EMPTY;
    let read = |text: &str| InclusionFile::parse(text.as_bytes()).unwrap_err();
    let line = |number| move |error| matches!(error, FileError::Line { number: at, .. } if at == number);
    assert_eq!(read("c2sp.org/tlog-proof@v1\nindex 1\n"), FileError::NoCheckpoint);
    assert!(line(1)(read("c2sp.org/tlog-proof@v2\nindex 1\n\nx")));
    assert!(line(2)(read("c2sp.org/tlog-proof@v1\nextra !\nindex 1\n\nx")));
    assert!(line(2)(read("c2sp.org/tlog-proof@v1\nindex 01\n\nx")));
    assert!(line(3)(read("c2sp.org/tlog-proof@v1\nextra AAAA\n\nx")));
    assert!(line(3)(read(&format!("c2sp.org/tlog-proof@v1\nindex 1\n{hash}A\n\nx"))));
    let many = format!("{hash}\n").repeat(PROOF_HASHES_MAX + 1);
    assert_eq!(read(&format!("c2sp.org/tlog-proof@v1\nindex 1\n{many}\nx")), FileError::TooManyHashes);
    assert!(matches!(read(&"x".repeat(FILE_BYTES_MAX + 1)), FileError::TooLong { .. }));
    assert_eq!(InclusionFile::parse(b"\xff"), Err(FileError::NotUtf8));
    let read = |text: &str| CosignFile::parse(text.as_bytes());
    for text in
        ["old\n\nx", "old 01\n\nx", "old -1\n\nx", "old 4611686018427387905\n\nx", "new 1\n\nx", "\n\nx"]
    {
        assert!(line(1)(read(text).unwrap_err()), "{text}");
    }
    assert_eq!(read(&format!("old 1\n{many}\nx")), Err(FileError::TooManyHashes));
    let most = format!("old 1\n{}\nx\n\ny", format!("{hash}\n").repeat(PROOF_HASHES_MAX));
    let file = read(&most).unwrap();
    assert_eq!((file.old, file.proof.len(), file.checkpoint.as_str()), (size_of(1), 63, "x\n\ny"));
    assert_eq!(file.to_string(), most);
}
