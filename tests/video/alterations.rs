//! Alterations of drawn videos: the share of a query's frames that is found in the source, where the source
//! is banked densely and the query has one frame a second.
//!
//! The short form always runs; the long one is a measurement, whose table is in BENCHMARKS.md.

use std::env;

use vigie_media::video::Sampling;
use vigie_model::{Hash, PdqHash, Variant, VideoFingerprint, Way};

use crate::studio::{Studio, distance};

/// A frame is found if it is within this many bits.
const BITS_MAX: u32 = 31;
/// Frames of a lower quality are neither searched nor banked.
const QUALITY_MIN: u8 = 50;

/// The way in which a copy is made from a source.
struct Alteration {
    name: &'static str,
    /// The arguments of `ffmpeg` before the input; `after` has those after it.
    before: &'static str,
    after: &'static str,
    /// The arguments of the encoder; by default H.264 of usual quality.
    coder: Option<&'static str>,
    /// Whether every frame has to be found by its plain hash, for each source; otherwise by some way or
    /// variant.
    plainly: bool,
}

const H264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -crf 23";

const fn filtered(name: &'static str, after: &'static str) -> Alteration {
    Alteration { name, before: "", after, coder: None, plainly: true }
}

const fn coded(name: &'static str, coder: &'static str) -> Alteration {
    Alteration { name, before: "", after: "", coder: Some(coder), plainly: true }
}

const fn otherwise(name: &'static str, after: &'static str) -> Alteration {
    Alteration { plainly: false, ..filtered(name, after) }
}

const ALTERATIONS: [Alteration; 27] = [
    coded("crf23", H264),
    coded("crf35", "-c:v libx264 -preset veryfast -pix_fmt yuv420p -crf 35"),
    coded("crf45", "-c:v libx264 -preset veryfast -pix_fmt yuv420p -crf 45"),
    filtered("scale25", "-vf scale=iw/4:-2"),
    filtered("scale50", "-vf scale=iw/2:ih/2"),
    filtered("scale200", "-vf scale=iw*2:ih*2"),
    filtered("stretch4x3", "-vf scale=480:360,setsar=1"),
    filtered("grey", "-vf hue=s=0"),
    filtered("bright", "-vf eq=brightness=0.12"),
    filtered("blur", "-vf gblur=sigma=3"),
    filtered("noise", "-vf noise=alls=20:allf=t:all_seed=1"),
    coded("vp9", "-c:v libvpx-vp9 -b:v 0 -crf 40 -deadline realtime -cpu-used 8"),
    filtered("fps10", "-vf fps=10"),
    filtered("fps15", "-vf fps=15"),
    filtered("fps2997", "-vf fps=30000/1001"),
    filtered("fps30", "-vf fps=30"),
    filtered("speed125", "-vf setpts=PTS/1.25"),
    Alteration { before: "-ss 5", ..filtered("trim5to15", "-t 10") },
    Alteration { before: "-ss 5.5", ..filtered("trim5.5to15.5", "-t 10") },
    Alteration { before: "-ss 5.52", ..filtered("trim5.52to15.52", "-t 10") },
    otherwise("letterbox", "-vf pad=iw:ih*4/3:0:(oh-ih)/2"),
    otherwise("letterbox5", "-vf pad=iw:ih*1.1:0:(oh-ih)/2"),
    otherwise("pillarbox", "-vf pad=iw*4/3:ih:(ow-iw)/2:0"),
    otherwise("mirror", "-vf hflip"),
    otherwise("quarter-turn", "-vf transpose=1"),
    otherwise("mirror-letterbox", "-vf hflip,pad=iw:ih*4/3:0:(oh-ih)/2"),
    otherwise("watched-on-a-phone", "-vf scale=480:-2,fps=24,pad=iw:ih*1.2:0:(oh-ih)/2"),
];

/// Draws a source of this length in seconds.
fn source(studio: &Studio, name: &str, seconds: u32) -> Option<Vec<u8>> {
    for number in [3, 6, 11, 12, 13, 14] {
        studio.picture(number, 1_280, 720);
    }
    let coder = "-c:v libx264 -preset veryfast -crf 20 -pix_fmt yuv420p -an -threads 1";
    let line = match name {
        "pan" => format!(
            "-loop 1 -framerate 25 -i p003.png -t {seconds} -vf crop=w=640:h=360:x=(iw-640)*t/{seconds}:y=(ih-360)*t/{seconds} {coder} pan.mp4"
        ),
        "zoom" => format!(
            "-loop 1 -framerate 25 -i p006.png -t {seconds} -vf \
             zoompan=z=1+on/400:x=(iw-iw/zoom)/2:y=(ih-ih/zoom)/2:d=1:s=640x360:fps=25 {coder} zoom.mp4"
        ),
        _ => {
            let each = f64::from(seconds) / 4.0;
            let inputs: Vec<String> = [11, 12, 13, 14]
                .map(|number| format!("-loop 1 -framerate 25 -t {} -i p{number:03}.png", each + 1.0))
                .to_vec();
            let fades = format!(
                "[0]scale=640:360[a];[1]scale=640:360[b];[2]scale=640:360[c];[3]scale=640:360[d];\
                 [a][b]xfade=duration=1:offset={each}[e];[e][c]xfade=duration=1:offset={}[f];[f][d]xfade=duration=1:offset={}",
                2.0 * each,
                3.0 * each
            );
            format!("{} -filter_complex {fades} -t {seconds} {coder} slides.mp4", inputs.join(" "))
        }
    };
    studio.try_make(&line.split_ascii_whitespace().collect::<Vec<_>>())
}

/// The numbers of a query's frames that are found, and of all its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    /// Frames found by the plain hash.
    plainly: usize,
    /// Frames found by the best way and variant, the same one for all frames.
    somehow: usize,
    frames: usize,
}

fn share(query: &VideoFingerprint, item: &Hash) -> Share {
    let banked: Vec<PdqHash> = item
        .frames()
        .unwrap()
        .iter()
        .filter(|frame| frame.quality >= QUALITY_MIN)
        .map(|frame| frame.pdq)
        .collect();
    let found = |way: Way, variant: Variant| {
        let usable = query.frames_in(way, variant).filter(|frame| frame.quality >= QUALITY_MIN);
        usable.filter(|frame| banked.iter().any(|other| distance(&frame.pdq, other) <= BITS_MAX)).count()
    };
    let somehow = query.ways().flat_map(|way| Variant::ALL.map(|variant| found(way, variant))).max().unwrap();
    let frames = query.frames.iter().filter(|frame| frame.plain.quality.get() >= QUALITY_MIN).count();
    Share { plainly: found(Way::Plain, Variant::Original), somehow, frames }
}

/// Measures one alteration. `None` for one that this build of the program cannot make.
fn measure(studio: &Studio, source: &str, item: &Hash, alteration: &Alteration) -> Option<Share> {
    let Alteration { name, before, after, coder, .. } = alteration;
    let coder = coder.unwrap_or(H264);
    let line =
        if coder.contains("vp9") { format!("{source}-{name}.webm") } else { format!("{source}-{name}.mp4") };
    let line = format!("{before} -i {source}.mp4 {after} {coder} -an -threads 1 {line}");
    let copy = studio.try_make(&line.split_ascii_whitespace().collect::<Vec<_>>())?;
    let query = studio.hash(&copy, Sampling::QUERY).unwrap();
    assert_eq!(query.partial, None, "{source} {name}");
    Some(share(&query, item))
}

#[test]
fn a_copy_of_another_rate_and_one_cut_between_seconds_are_found() {
    let Some(studio) = Studio::open() else { return };
    let Some(pan) = source(&studio, "pan", 16) else {
        eprintln!("SKIPPED: this ffmpeg is built without libx264");
        return;
    };
    let item = studio.hash(&pan, Sampling::Dense).unwrap().banked(Way::Plain).unwrap();
    for name in ["fps2997", "trim5.5to15.5", "mirror-letterbox"] {
        let alteration = ALTERATIONS.iter().find(|one| one.name == name).unwrap();
        let share = measure(&studio, "pan", &item, alteration).unwrap();
        println!("{name}: {share:?}");
        assert!(share.frames >= 10 && share.somehow == share.frames, "{name}: {share:?}");
        assert!(!alteration.plainly || share.plainly == share.frames, "{name}: {share:?}");
    }
}

/// Measures the whole table, which takes minutes for each source. `VIGIE_SOURCE` names one source, and only
/// its part is printed.
#[test]
#[ignore = "a measurement"]
fn every_alteration_of_three_sources_is_found() {
    let Some(studio) = Studio::open() else { return };
    let mut missed = Vec::new();
    println!("| source | alteration | frames | plain hash | best way and variant |\n|---|---|---|---|---|");
    let only = env::var("VIGIE_SOURCE").ok();
    let sources = ["pan", "zoom", "slides"];
    let chosen = |name: &&str| only.as_ref().is_none_or(|only| only == name);
    assert!(sources.iter().any(chosen), "there is no source {only:?}");
    for source_name in sources.into_iter().filter(|name| chosen(name)) {
        let source = source(&studio, source_name, 20).unwrap();
        let dense = studio.hash(&source, Sampling::Dense).unwrap();
        let item = dense.banked(Way::Plain).unwrap();
        println!("| {source_name} | (banked: {} frames) | | | |", item.frames().unwrap().len());
        for alteration in &ALTERATIONS {
            let Some(share) = measure(&studio, source_name, &item, alteration) else { continue };
            let Share { plainly, somehow, frames } = share;
            let percent = |found: usize| found * 100 / frames.max(1);
            println!(
                "| {source_name} | {} | {frames} | {} % | {} % |",
                alteration.name,
                percent(plainly),
                percent(somehow)
            );
            if somehow < frames || (alteration.plainly && plainly < frames) {
                missed.push(format!("{source_name} {}: {share:?}", alteration.name));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
