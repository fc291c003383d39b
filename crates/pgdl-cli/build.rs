//! Notes how this program is built, so that it can build hosts for plugins in the same way.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let target = variable("TARGET");
    // <target folder>[/<triple>]/<profile>/build/<package>/out
    let out = variable("OUT_DIR");
    let profile = Path::new(&out).ancestors().nth(3);
    let profile_name = profile.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("release");
    let folder = profile.and_then(Path::parent).map(|folder| match folder.ends_with(&target) {
        true => folder.parent().unwrap_or(folder),
        false => folder,
    });
    let manifest = variable("CARGO_MANIFEST_DIR");
    let source = Path::new(&manifest).ancestors().nth(2).unwrap_or(Path::new(""));
    let notes = [
        ("SOURCE", source.display().to_string()),
        ("TARGET_DIR", folder.map(|folder| folder.display().to_string()).unwrap_or_default()),
        ("PROFILE", profile_name.to_owned()),
        ("TRIPLE", target),
        ("LIBTORCH", variable("LIBTORCH")),
        ("RUSTFLAGS", variable("CARGO_ENCODED_RUSTFLAGS")),
    ];
    for (name, value) in notes {
        println!("cargo:rustc-env=PGDL_BUILT_{name}={value}");
    }
}
