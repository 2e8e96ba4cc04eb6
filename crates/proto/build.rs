//! Generates the prost and tonic code from `/proto` without a `protoc` on the machine.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = [
        "envelope",
        "roles",
        "device",
        "devices",
        "faces",
        "wan",
        "control",
        "tape",
        "migration",
        "instructions",
        "campaigns",
    ]
    .map(|name| root.join(format!("s1lab/{name}.proto")));
    println!("cargo::rerun-if-changed={}", root.display());
    let descriptors = protox::compile(files, [&root])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
