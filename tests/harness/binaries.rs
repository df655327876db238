//! The binaries under test, built once for a run of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the binaries of this build are. `CLAWLINK_BIN_DIR` names a folder with others to try.
///
/// # Panics
/// When they cannot be built.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match std::env::var_os("CLAWLINK_BIN_DIR") {
        Some(folder) => folder.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    // target/<profile>/deps/<this test>, or target/<profile>/faults
    let own = std::env::current_exe().expect("its own path");
    let folder = own.parent().expect("its folder");
    let deps = folder.ends_with("deps");
    let profile = if deps { folder.parent() } else { Some(folder) };
    let profile = profile.expect("a profile's folder").to_owned();
    let target = profile.parent().expect("a target folder");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    build
        .args(["build", "--quiet", "--package", "clawlink-server"])
        .args(["--package", "clawlink", "--bins", "--target-dir"])
        .arg(target);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "the binaries under test do not build");
    profile
}

/// The relay.
pub fn relay() -> PathBuf {
    folder().join("clawlink-server")
}

/// The client.
pub fn client() -> PathBuf {
    folder().join("clawlink")
}
