//! Compiles the protocol files with a compiler written in Rust: no `protoc` is asked for.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let files = ["model", "matching", "coordinator", "matcher", "bank", "consortium", "decoder"]
        .map(|name| (name, name))
        .into_iter()
        .chain([("consortium", "directory"), ("consortium", "audit"), ("consortium", "opinion")])
        .chain([("consortium", "policy"), ("consortium", "policy_service"), ("consortium", "statistics")])
        .chain([("consortium", "hash_type"), ("consortium", "hash_type_service")])
        .chain([("consortium", "model_card"), ("consortium", "model_card_service"), ("matching", "scoring")])
        .chain([("consortium", "case"), ("consortium", "decision")])
        .chain([
            ("bank", "exchange"),
            ("bank", "exchange_service"),
            ("classifier", "worker"),
            ("classifier", "classifier"),
        ])
        .map(|(package, file)| format!("vigie/{package}/v1/{file}.proto"))
        .collect::<Vec<_>>();
    println!("cargo::rerun-if-changed=vigie");
    println!("cargo::rerun-if-changed=google");
    println!("cargo::rerun-if-changed=inference");

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    let descriptors = compiler.file_descriptor_set();

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // Of what the details of a status may carry beside our own messages; its Rust code is that of
    // `tonic-types`.
    compiler.open_files(["google/rpc/status.proto", "google/rpc/error_details.proto"])?;
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let mut config = tonic_prost_build::Config::new();
    // Type names are what a status's details are found by.
    config.enable_type_names();
    tonic_prost_build::configure()
        // Sensitive: `src/pb.rs` gives these a `Debug` that shows no hash, no image and no key.
        .skip_debug([
            ".vigie.model.v1.Hash",
            ".vigie.model.v1.PackedHashes",
            ".vigie.model.v1.PictureHashes",
            ".vigie.matching.v1.MatchQuery",
            ".vigie.matching.v1.HashRequest",
            ".vigie.matching.v1.MatchVideoRequest",
            ".vigie.matching.v1.MatchVideoRequest.part",
            ".vigie.matching.v1.HashVideoRequest",
            ".vigie.matching.v1.HashVideoRequest.part",
            ".vigie.consortium.v1.CreatePrincipalRequest",
            ".vigie.consortium.v1.CreatePrincipalRequest.credential",
            ".vigie.consortium.v1.CreatePrincipalResponse",
            ".vigie.consortium.v1.RotateKeyRequest",
            ".vigie.consortium.v1.RotateKeyResponse",
            ".vigie.consortium.v1.PrincipalPut",
            ".vigie.bank.v1.DocumentPut",
            ".vigie.consortium.v1.NewReferral",
            ".vigie.consortium.v1.NewReferral.target",
            ".vigie.classifier.v1.Tensor",
            ".vigie.classifier.v1.ScoreItem",
            ".vigie.classifier.v1.ScoreItem.content",
            ".vigie.classifier.v1.ConversationMessage",
            ".vigie.matching.v1.MeasureScoresRequest",
            ".vigie.matching.v1.MeasureScoresRequest.content",
            ".vigie.decoder.v1.DecodeResponse",
        ])
        .bytes(".vigie.matching.v1")
        .bytes(".vigie.model.v1.PackedHashes.values")
        .compile_fds_with_config(descriptors, config)?;
    check_all_documented(Path::new(&root), &files)?;
    inference_servers(&root)
}

/// Compiles the protocol of inference servers. No server here speaks it, so it is not among the descriptors
/// that servers show.
fn inference_servers(root: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let files = ["inference/inference.proto".to_owned()];
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).open_files(&files)?;
    tonic_prost_build::configure()
        // Sensitive: `src/pb.rs` gives these a `Debug` that shows no content.
        .skip_debug([
            ".inference.ModelInferRequest",
            ".inference.ModelInferResponse",
            ".inference.InferTensorContents",
        ])
        .compile_fds(compiler.file_descriptor_set())?;
    check_all_documented(root, &files)
}

/// Refuses a field or method without a comment: the protocol files are the public documentation.
fn check_all_documented(root: &Path, files: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    for file in files {
        let text = std::fs::read_to_string(root.join(file))?;
        let mut previous = "";
        for (index, line) in text.lines().map(str::trim).enumerate() {
            let declares = (line.ends_with(';') && (line.contains(" = ") || line.starts_with("rpc ")))
                || ["message ", "enum ", "service ", "oneof "].iter().any(|word| line.starts_with(word));
            if declares
                && !line.starts_with("//")
                && !line.starts_with("syntax")
                && !previous.starts_with("//")
            {
                return Err(format!("{file}:{}: `{line}` has no comment", index + 1).into());
            }
            previous = line;
        }
    }
    Ok(())
}
