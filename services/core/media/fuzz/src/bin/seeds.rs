//! Writes the initial inputs of the targets to `corpus/` of this folder: small generated pictures in the
//! formats that we can write, and the crate's own test files. `cargo +nightly run --bin seeds`.

use std::path::Path;
use std::{fs, io};

use vigie_pictures::{Format, draw};

/// The pictures are small, so that the fuzzer tries many.
const SIZE: (u32, u32) = (48, 36);

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let write = |target: &str, name: &str, content: &[u8]| {
        let folder = here.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), content)
    };
    for seed in 1..=4 {
        let picture = draw(seed, SIZE.0, SIZE.1);
        for (target, format) in [
            ("jpeg", Format::Jpeg(75)),
            ("png", Format::Png),
            ("webp", Format::WebP),
            ("gif", Format::Gif),
            ("bmp", Format::Bmp),
            ("tiff", Format::Tiff),
        ] {
            write(target, &format!("drawn-{seed}"), &format.encode(&picture))?;
        }
    }
    let mut folders = vec![here.join("../testdata")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let target = match path.extension().and_then(|ending| ending.to_str()) {
                Some("jpg") => "jpeg",
                Some("tif") => "tiff",
                Some(ending @ ("png" | "webp" | "gif" | "bmp" | "avif")) => ending,
                _ => continue,
            };
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            write(target, &name, &fs::read(&path)?)?;
        }
    }
    Ok(())
}
