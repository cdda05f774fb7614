//! Checks a file of each format with one bad line: the format is recognised, the hashes are right, and the
//! bad line is named.

use super::*;

/// A file with one bad line.
struct Case {
    format: Format,
    text: String,
    /// The expected hashes with the external references of their items.
    hashes: Vec<(String, &'static str)>,
    /// The number of the bad line.
    bad_line: u64,
    hash_type: Option<HashType>,
}

fn case(format: Format, text: String, hashes: &[(&str, String, &'static str)], bad_line: u64) -> Case {
    let hashes =
        hashes.iter().map(|(name, text, reference)| (format!("{name}:{text}"), *reference)).collect();
    Case { format, text, hashes, bad_line, hash_type: None }
}

fn cases() -> Vec<Case> {
    let (p1, p2, m1, m2) = (pdq(0xa1), pdq(0xa2), md5(0xa3), md5(0xa4));
    let sha1 = text_of(HashType::SHA1, 0xa5);
    let sha256 = text_of(HashType::SHA256, 0xa6);
    let photodna = text_of(HashType::PHOTODNA, 0xa7);
    let both = [("pdq", p1.clone(), "one"), ("md5", m1.clone(), "one"), ("pdq", p2.clone(), "two")];
    let of_pdq =
        |reference_1, reference_2| [("pdq", p1.clone(), reference_1), ("pdq", p2.clone(), reference_2)];
    let of_types = [("pdq", p1.clone(), ""), ("md5", m1.clone(), "")];
    let mut all = vec![
        case(Format::Csv, format!("pdq,md5,external_reference\n{p1},{m1},one\n{p2}0,,bad\n{p2},,two\n"), &both, 3),
        case(Format::Tsv, format!("pdq\tmd5\texternal_reference\n{p1}\t{m1}\tone\nx\t\tbad\n{p2}\t\ttwo"), &both, 3),
        case(
            Format::Semicolon,
            format!(
                "MD5;SHA1;PhotoDNA;Image ID;Is distributed;Victim identified;Offender identified;Series name;Number of submissions;\
                 File Available;Media Type;Baseline\r\n{m1};{sha1};{photodna};7;1;0;0;\"a;b\";3;1;image;1\r\n{m1}0;;;8;;;;;;;;\r\n{m2};;;9;;;;;;;;"
            ),
            &[("md5", m1.clone(), "7"), ("sha1", sha1.clone(), "7"), ("photodna", photodna, "7"), ("md5", m2.clone(), "9")],
            3,
        ),
        case(
            Format::JsonLines,
            format!(
                "{{\"pdq\":\"{p1}\",\"md5\":\"{m1}\",\"external_reference\":\"one\"}}\n{{\"pdq\":\n\
                 {{\"item_id\":1,\"bank\":\"b\",\"external_reference\":\"two\",\"hashes\":[{{\"hash_type\":\"pdq\",\"hash\":\"{p2}\"}}]}}"
            ),
            &both,
            2,
        ),
        case(Format::List, format!("{sha1}\nabab\n{}\n", sha1.to_uppercase()), &[("sha1", sha1.clone(), ""), ("sha1", sha1.clone(), "")], 2),
        case(Format::Named, format!("{sha1} a/one.jpg\n{sha1}0 x\n{sha1}\n"), &[("sha1", sha1.clone(), "one.jpg"), ("sha1", sha1.clone(), "")], 2),
        case(
            Format::Sums,
            format!("{m1}  a/one.jpg\n{m1}\nSHA256 (two.jpg) = {sha256}\n{sha1} *three\n"),
            &[("md5", m1.clone(), "one.jpg"), ("sha256", sha256, "two.jpg"), ("sha1", sha1, "three")],
            2,
        ),
        case(Format::Pdq, format!("{p1},100,one.jpg\n{p1},30,dark.jpg\n{p2},50,a, b.jpg\n"), &of_pdq("one.jpg", "a, b.jpg"), 2),
        case(
            Format::PdqDetails,
            format!("hash={p1},norm=128,delta=0,quality=100,filename=one\nhash=0,quality=9,filename=x\nhash={p2},quality=50,filename=two"),
            &of_pdq("one", "two"),
            2,
        ),
        case(Format::ThreatExchange, format!("type,indicator\nHASH_PDQ,{p1}\nHASH_PDQ,{m1}\nHASH_MD5,{m1}\n"), &of_types, 3),
        case(Format::Tx, format!("pdq {p1}\npdq {m1}\nvideo_md5 {m1}\n"), &of_types, 2),
        case(
            Format::TxDataset,
            format!("collab,signal_type,signal_str,category,tags\r\nSample,pdq,{p1},POSITIVE_CLASS,a b\r\nSample,pdq,,x,\r\nSample,video_md5,{m1},,\r\n"),
            &of_types,
            3,
        ),
        case(
            Format::Vpdq,
            format!("[\"{p1},100,0.0\", \"{p2},7,1e+01\"] a/one.mp4\n[\"{p1},100\"]\n[\"{p2},50,1.5\"]\n"),
            &[
                ("vpdq", format!("0,100,{p1},0.000\n1,7,{p2},10.000"), "one.mp4"),
                ("vpdq", format!("0,50,{p2},1.500"), ""),
            ],
            2,
        ),
        case(
            Format::Hma,
            format!("{{\"id\":1,\"signals\":{{\"pdq\":\"{p1}\",\"video_md5\":\"{m1}\"}}}}\n{{\n \"id\": 3,\n \"signals\": {{\"pdq\": \"\"}}\n}}\n\
                     {{\"id\":2,\"metadata\":{{\"content_id\":\"two\"}},\"bank\":{{\"name\":\"A\"}},\"signals\":{{\"pdq\":\"{p2}\"}}}}"),
            &[("pdq", p1.clone(), "1"), ("md5", m1.clone(), "1"), ("pdq", p2.clone(), "two")],
            2,
        ),
        case(
            Format::StopNcii,
            format!("{{\"count\":4,\"hashRecords\":[\n{}\n],\"nextPageToken\":\"\"}}", [
                format!("{{\"signalType\":\"ImagePDQ\",\"hashValue\":\"{p1}\",\"hashStatus\":\"Active\",\"caseNumbers\":[]}}"),
                format!("{{\"signalType\":\"ImagePDQ\",\"hashValue\":\"{p2}\",\"hashStatus\":\"Withdrawn\"}}"),
                "{\"signalType\":\"ImagePDQ\",\"hashValue\":\"\"}".to_owned(),
                format!("{{\"signalType\":\"StopNCIISignalType.VideoMD5\",\"hashValue\":\"{m1}\"}}"),
            ].join(",\n")),
            &of_types,
            4,
        ),
        case(
            Format::Ncmec,
            format!(
                "<?xml version=\"1.0\"?>\n<queryResult xmlns=\"https://hashsharing.ncmec.org/hashsharing/v2\">\n<images count=\"2\">\n\
                 <image><member id=\"42\">Name</member><id>image1</id><classification>A1</classification><fingerprints>\n<md5>{m1}</md5>\n\
                 <md5>zz{m1}</md5>\n<pdq>{p1}</pdq><tmk-pdqf rel=\"self\" href=\"/v2/x\"/></fingerprints><feedback><members><member id=\"9\"/>\
                 </members></feedback></image>\n<deletedImage><member id=\"43\">N</member><id>image4</id></deletedImage></images>\n\
                 <videos><video><id>v</id><fingerprints><md5>{m2}</md5></fingerprints></video></videos></queryResult>"
            ),
            &[("pdq", p1.clone(), "42-image1"), ("md5", m1.clone(), "42-image1"), ("md5", m2, "v")],
            6,
        ),
    ];
    // PDQ hashes and SHA-256 digests have the same text form.
    for case in [
        case(Format::List, format!("{p1}\n{m1}\n{p2}"), &of_pdq("", ""), 2),
        case(
            Format::Named,
            format!("{p1} one.jpg\nx two.jpg\n{p2} two.jpg"),
            &of_pdq("one.jpg", "two.jpg"),
            2,
        ),
    ] {
        all.push(Case { hash_type: Some(HashType::PDQ), ..case });
    }
    all
}

#[test]
fn every_format_is_recognised_and_read_around_its_bad_line() {
    let cases = cases();
    assert!(Format::all().all(|format| cases.iter().any(|case| case.format == format)));
    for Case { format, text, hashes, bad_line, hash_type } in cases {
        for given in [None, Some(format)] {
            let read =
                Read::of(&text, ReadOptions { hash_type, format: given, ..ReadOptions::default() }).unwrap();
            assert_eq!(read.format, format);
            let expected: Vec<_> = hashes
                .iter()
                .map(|(hash, name)| (hash.clone(), Some((*name).to_owned()).filter(|name| !name.is_empty())))
                .collect();
            assert_eq!(read.hashes(), expected, "{format}");
            let lines: Vec<u64> = read.bad.iter().map(|(line, _)| *line).collect();
            assert_eq!(lines, [bad_line], "{format}: {:?}", read.bad);
            for letter in ["a1a1", "a3a3", "a5a5"] {
                assert!(!read.bad[0].1.contains(letter), "{format}: a hash is repeated: {}", read.bad[0].1);
            }
        }
    }
}

#[test]
fn a_format_is_recognised_although_its_first_line_is_bad() {
    for case in cases() {
        let is_lines =
            matches!(case.format, Format::Sums | Format::Pdq | Format::Tx | Format::Named | Format::List);
        if !is_lines {
            continue;
        }
        let text = format!("nonsense\n{}", case.text);
        for format in [None, Some(case.format)] {
            let options = ReadOptions { hash_type: case.hash_type, format, ..ReadOptions::default() };
            let read = Read::of(&text, options).unwrap();
            assert_eq!((read.format, read.bad[0].0, read.bad.len()), (case.format, 1, 2));
        }
    }
}

#[test]
fn withdrawn_entries_are_counted_and_no_items() {
    for case in cases() {
        let withdrawn =
            Read::of(&case.text, ReadOptions { hash_type: case.hash_type, ..ReadOptions::default() })
                .unwrap()
                .left_out
                .withdrawn;
        let expected = u64::from(matches!(case.format, Format::StopNcii | Format::Ncmec));
        assert_eq!(withdrawn, expected, "{}", case.format);
    }
}

#[test]
fn an_empty_file_has_no_items_whatever_its_format() {
    for format in [None].into_iter().chain(Format::all().map(Some)) {
        let options = ReadOptions { format, hash_type: Some(HashType::PDQ), ..ReadOptions::default() };
        for text in ["", "\n \n"] {
            let read = Read::of(text, options.clone()).unwrap();
            assert_eq!((read.items.len(), read.bad.len()), (0, 0), "{format:?}");
        }
    }
}

#[test]
fn what_the_pdq_tool_prints_may_have_a_header() {
    let text = format!("hash,quality,file\n{},100,a.jpg\n{},9,b.jpg\n", pdq(0xa1), pdq(0xa2));
    for format in [None, Some(Format::Pdq), Some(Format::Csv)] {
        let read = Read::of(&text, ReadOptions { format, ..ReadOptions::default() }).unwrap();
        assert_eq!(
            (read.items.len(), read.bad.len(), read.bad[0].0),
            (1, 1, 3),
            "{format:?}: {:?}",
            read.bad
        );
        assert_eq!(read.items[0].1.external_reference(), Some("a.jpg"));
    }
}
