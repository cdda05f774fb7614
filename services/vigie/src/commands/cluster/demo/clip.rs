//! The video part of the demonstration: draws a short clip, banks its frames, and recognises altered copies.
//!
//! `ffmpeg` encodes the clip and its copies here, and decodes them in the frontend. If it is missing, this
//! part is skipped and a line says so.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use vigie_clients::{BankClient, Deadline, Decoding, IdempotencyKey, MatchClient};
use vigie_model::{BankName, Content, ItemContent, ItemDraft, Match, MatchCall, SearchOptions, Sequence};
use vigie_pictures::draw;

use super::millis;
use crate::commands::lines::evidence_words;
use crate::output::Output;

/// The size of the clip in pixels.
const SIZE: (u32, u32) = (320, 240);
const FRAMES_A_SECOND: u32 = 10;
const SECONDS: u32 = 8;
/// The camera moves this many pixels to the right in each frame.
const STEP: u32 = 4;
/// The seeds of the picture that the camera moves over, and of the unrelated clip.
const SEEDS: (u64, u64) = (7_000, 200_000);

/// The alterations of the clip, as filters and options of `ffmpeg`.
const ALTERATIONS: [(&str, &[&str]); 5] = [
    ("unchanged", &["-c", "copy"]),
    ("half the size, 7 frames a second", &["-vf", "scale=iw/2:ih/2", "-r", "7"]),
    ("4 seconds cut out, from 2.5 s", &["-ss", "2.5", "-t", "4"]),
    ("mirrored", &["-vf", "hflip"]),
    ("with black bars", &["-vf", "pad=iw:ih*3/2:0:ih/4"]),
];

/// Counts of wrong results.
#[derive(Debug, Default)]
pub(super) struct Clips {
    pub(super) missed: usize,
    pub(super) falsely: usize,
}

/// Runs this part, and prints its results.
pub(super) async fn show(
    frontend: &MatchClient,
    bank: &BankClient,
    bank_name: &str,
    output: &mut Output,
) -> anyhow::Result<Clips> {
    let Decoding { no_videos, .. } = frontend.decoding(Deadline::now() + Duration::from_secs(10)).await?;
    if let Some(reason) = no_videos {
        output.say(format!(
            "\nVideos are not shown: {reason}. With ffmpeg (Debian and Ubuntu: apt install ffmpeg) the demonstration banks a clip as well."
        ))?;
        return Ok(Clips::default());
    }
    let encoded = tokio::task::spawn_blocking(|| -> anyhow::Result<_> {
        let clip = encode(SEEDS.0)?;
        let copies =
            ALTERATIONS.map(|(name, options)| Ok::<_, anyhow::Error>((name, alter(&clip, options)?)));
        let copies = copies.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        Ok((clip, copies, encode(SEEDS.1)?))
    });
    let (clip, copies, unrelated) = match encoded.await.context("encoding has ended early")? {
        Ok(encoded) => encoded,
        Err(error) => {
            output.say(format!("\nVideos are not shown: this ffmpeg encodes no clip ({error:#})."))?;
            return Ok(Clips::default());
        }
    };

    let hashed = frontend.hash_video(clip.into(), true, Deadline::now() + Duration::from_secs(60)).await?;
    let frames = hashed.decoded.frames_seen;
    let item = ItemContent::try_from(ItemDraft {
        hashes: hashed.hashes,
        labels: vec!["drawn".to_owned()],
        external_reference: "a drawn clip".to_owned(),
    })?;
    let name: BankName = bank_name.parse()?;
    let deadline = Deadline::now() + Duration::from_secs(30);
    let added = bank.add_items(&name, vec![item], IdempotencyKey::random(), deadline).await?;
    let item = *added.value.first().context("the bank has added nothing")?;
    output.say(format!(
        "\nA clip of {SECONDS} seconds, drawn and encoded here, is banked by {frames} frames; copies are asked about by one frame a second.\n"
    ))?;

    let (mut clips, mut rows) = (Clips::default(), Vec::new());
    let sent = copies.into_iter().map(|(name, file)| (name, file, true));
    for (name, file, is_copy) in sent.chain([("an unrelated clip", unrelated, false)]) {
        let begun = Instant::now();
        let matches = ask(frontend, file.into(), added.sequence).await?;
        let time = begun.elapsed();
        let found = matches.iter().find(|found| found.item == item);
        clips.missed += usize::from(is_copy && found.is_none());
        clips.falsely += matches.iter().filter(|found| !is_copy || found.item != item).count();
        let how = found.map(|found| match &found.video {
            Some(evidence) => evidence_words(evidence),
            None => format!("by its {}", found.hash_type),
        });
        output.object(&serde_json::json!({
            "video": name, "recognised": found.is_some(), "hash_type": found.map(|found| found.hash_type.name()),
            "variant": found.map(|found| found.variant.name()), "way": found.map(|found| found.rendition.way.name()),
            "ms": millis(time),
        }))?;
        rows.push(vec![
            name.to_owned(),
            if found.is_some() { "yes" } else { "no" }.to_owned(),
            found.map_or("-", |found| found.variant.name()).to_owned(),
            how.unwrap_or_else(|| "-".to_owned()),
            format!("{:.0}", millis(time)),
        ]);
    }
    output.table(&["video sent", "known", "variant", "what matches", "ms"], &rows)?;
    Ok(clips)
}

async fn ask(frontend: &MatchClient, file: Bytes, sequence: Sequence) -> anyhow::Result<Vec<Match>> {
    let options = SearchOptions { min_sequence: sequence, ..SearchOptions::default() };
    let contents = vec![Content::Video(file)];
    let call = MatchCall {
        contents,
        options,
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let answer = frontend.match_video(call, Deadline::now() + Duration::from_secs(60)).await?;
    let result = answer.results.into_iter().next().context("the answer is empty")?;
    let matched =
        result.map_err(|failure| anyhow::anyhow!("a drawn clip was refused: {}", failure.message))?;
    Ok(matched.found.matches)
}

/// Encodes a clip in which the camera moves over a drawn picture, as an MPEG-4 file.
fn encode(seed: u64) -> anyhow::Result<Vec<u8>> {
    let frames = FRAMES_A_SECOND * SECONDS;
    let (width, height) = SIZE;
    let picture = draw(seed, width + STEP * frames, height);
    let mut raw = Vec::new();
    for frame in 0..frames {
        for row in picture.rows() {
            for pixel in row.skip((frame * STEP) as usize).take(width as usize) {
                raw.extend(pixel.0);
            }
        }
    }
    let size = format!("{width}x{height}");
    let rate = FRAMES_A_SECOND.to_string();
    let input = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size, "-r", &rate, "-i", "pipe:0"];
    ffmpeg(&[&input[..], &["-c:v", "mpeg4", "-q:v", "4"]].concat(), &raw)
}

/// Encodes an altered copy of a clip.
fn alter(clip: &[u8], options: &[&str]) -> anyhow::Result<Vec<u8>> {
    let encoder: &[&str] = if options.contains(&"copy") { &[] } else { &["-c:v", "mpeg4", "-q:v", "5"] };
    ffmpeg(&[&["-f", "avi", "-i", "pipe:0"], options, encoder].concat(), clip)
}

/// Runs `ffmpeg` on files that this program has made, from standard input to standard output.
fn ffmpeg(options: &[&str], input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error"])
        .args(options)
        .args(["-f", "avi", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start ffmpeg")?;
    let mut stdin = child.stdin.take().context("ffmpeg has no input")?;
    let output = std::thread::scope(|scope| {
        // This write fails if the program has already ended; its exit status shows that.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output()
    })?;
    if !output.status.success() || output.stdout.is_empty() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{}", words.lines().next().unwrap_or("it ended with an error"));
    }
    Ok(output.stdout)
}
