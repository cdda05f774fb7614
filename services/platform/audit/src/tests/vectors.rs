//! Published examples.

use super::Log;
use crate::checkpoint::Checkpoint;
use crate::note::{KeyId, KeyKind, KnownKeys, Note, SignerKey, VerifierKey};
use crate::tree::*;

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn hash(text: &str) -> NodeHash {
    NodeHash(unhex(text).try_into().unwrap())
}

/// The entries of the reference implementation of Certificate Transparency,
/// `cpp/merkletree/merkle_tree_test.cc`. They are now in `github.com/transparency-dev/merkle`,
/// `proof/verify_test.go`, as are the roots and proofs below.
const ENTRIES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

/// The roots of the first 0 to 8 entries.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const N01: &str = ROOTS[2];
const N23: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const N45: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
const N67: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const N4567: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const N0123: &str = ROOTS[4];
const LEAF0: &str = ROOTS[1];
const LEAF1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const LEAF4: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const LEAF6: &str = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f";

#[test]
fn roots_and_proofs_are_those_of_certificate_transparency() {
    let mut log = Log::of(ENTRIES.map(unhex));
    for (size, expected) in ROOTS.iter().enumerate() {
        assert_eq!(log.head_at(size).root, hash(expected), "of {size}");
    }
    let inclusions: [(usize, usize, &[&str]); 5] = [
        (0, 1, &[]),
        (0, 8, &[LEAF1, N23, N4567]),
        (5, 8, &[LEAF4, N67, N0123]),
        (2, 3, &[N01]),
        (1, 5, &[LEAF0, N23, LEAF4]),
    ];
    for (index, size, proof) in inclusions {
        let proof: Vec<NodeHash> = proof.iter().map(|text| hash(text)).collect();
        assert_eq!(log.inclusion(index, size), proof, "of entry {index} of {size}");
        let (leaf, tree) = (log.leaves()[index], log.head_at(size));
        check_inclusion(&proof, LeafIndex(index as u64), &leaf, &tree).unwrap();
    }
    let consistencies: [(usize, usize, &[&str]); 5] = [
        (1, 1, &[]),
        (1, 8, &[LEAF1, N23, N4567]),
        (6, 8, &[N45, N67, N0123]),
        (2, 5, &[N23, LEAF4]),
        (6, 7, &[N45, LEAF6, N0123]),
    ];
    for (old, new, proof) in consistencies {
        let proof: Vec<NodeHash> = proof.iter().map(|text| hash(text)).collect();
        assert_eq!(log.consistency(old, new), proof, "from {old} to {new}");
        check_consistency(&proof, &log.head_at(old), &log.head_at(new)).unwrap();
    }
}

/// RFC 6962, section 2.1.3: the tree of 7 entries, d0 to d6, with its leaves a b c d e f j and its nodes g h
/// i k l.
#[test]
fn proofs_of_seven_entries_are_those_of_the_rfc() {
    let mut log = Log::of_size(7);
    let [a, b, c, d, e, f, j] = log.leaves().try_into().unwrap();
    let above = |left, right| NodeHash::of_children(&left, &right);
    let (g, h, i) = (above(a, b), above(c, d), above(e, f));
    let (k, l) = (above(g, h), above(i, j));
    assert_eq!(log.head().root, above(k, l));
    assert_eq!(log.inclusion(0, 7), [b, h, l]);
    assert_eq!(log.inclusion(3, 7), [c, g, l]);
    assert_eq!(log.inclusion(4, 7), [f, j, k]);
    assert_eq!(log.inclusion(6, 7), [i, k]);
    assert_eq!(log.consistency(3, 7), [c, d, g, l]);
    assert_eq!(log.consistency(4, 7), [l]);
    assert_eq!(log.consistency(6, 7), [i, j, k]);
}

/// Answers of Google's log Argon 2020 for Certificate Transparency, with 961,984,013 entries: `get-sth`,
/// `get-proof-by-hash` of entry 10,000 and `get-sth-consistency` from 3,654,490, from
/// `golang.org/x/mod/sumdb/tlog/testdata/argon2020`.
#[test]
fn proofs_of_a_public_log_hold() {
    let lines = |text: &str| -> Vec<NodeHash> { text.lines().map(|line| line.parse().unwrap()).collect() };
    let tree = TreeHead {
        size: Size::new(961_984_013).unwrap(),
        root: "dwlueapdd7LaOEnX2W2Wp9v2XE+KzejHRQGHwEx0oaM=".parse().unwrap(),
    };
    let inclusion = lines(include_str!("testdata/argon2020-inclusion.txt"));
    let (leaf, path) = inclusion.split_first().unwrap();
    check_inclusion(path, LeafIndex(10_000), leaf, &tree).unwrap();
    check_inclusion(path, LeafIndex(10_001), leaf, &tree).unwrap_err();
    let old = TreeHead {
        size: Size::new(3_654_490).unwrap(),
        root: "AuIZ5V6sDUj1vn3Y1K85oOaQ7y+FJJKtyRTl1edIKBQ=".parse().unwrap(),
    };
    let consistency = lines(include_str!("testdata/argon2020-consistency.txt"));
    check_consistency(&consistency, &old, &tree).unwrap();
    let other = TreeHead { size: Size::new(3_654_491).unwrap(), ..old };
    check_consistency(&consistency, &other, &tree).unwrap_err();
}

/// The examples of Go's package `note`.
#[test]
fn keys_and_notes_are_those_of_go() {
    let key: SignerKey =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz".parse().unwrap();
    let public: VerifierKey =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    assert_eq!((key.public(), public.id(), public.kind()), (&public, KeyId(0xc74f_20a3), KeyKind::Log));
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let expected = format!(
        "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    );
    let note = Note::sign(text.to_owned(), &[&key]).unwrap();
    assert_eq!(note.to_string(), expected);
    let known = KnownKeys::new([public]).unwrap();
    assert_eq!(Note::parse(expected.as_bytes()).unwrap().verify(&known).unwrap().len(), 1);
}

/// The examples of C2SP `signed-note` and `tlog-cosignature`.
#[test]
fn notes_and_cosignatures_are_those_of_the_specifications() {
    let key: VerifierKey =
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse().unwrap();
    let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let parsed = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(parsed.verify(&KnownKeys::new([key]).unwrap()).unwrap().len(), 1);

    // The keys of this note are not published, so it is read and not verified.
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let note = format!(
        "{text}\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
         \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    );
    let parsed = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(parsed.to_string(), note);
    let [log, witness] = parsed.signatures() else { panic!("{parsed:?}") };
    assert_eq!((log.name(), log.id()), ("example.com/behind-the-sofa", KeyId(0x033d_e0ae)));
    assert_eq!((witness.name(), witness.id()), ("witness.example.com/w1", KeyId(0x8d66_cf3f)));
    assert_eq!(witness.cosigned_at().unwrap().0, 1_679_315_147);
    let checkpoint: Checkpoint = parsed.text().parse().unwrap();
    assert_eq!(
        (checkpoint.origin(), checkpoint.tree().size.get()),
        ("example.com/behind-the-sofa", 20_852_163)
    );
    assert_eq!(checkpoint.to_string(), text);
}
