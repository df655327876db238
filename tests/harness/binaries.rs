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

/// The folder of the profile that this test was built with.
fn own_profile() -> PathBuf {
    // target/<profile>/deps/<this test>
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("a profile's folder");
    profile.to_owned()
}

fn build() -> PathBuf {
    let profile = own_profile();
    let target = profile.parent().expect("a target folder");
    cargo(&["--workspace", "--bins"], target, &profile);
    profile
}

fn cargo(what: &[&str], target: &Path, profile: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    // What cargo has set for this test is not for another cargo: build scripts that look at these
    // would run again each time, and all that depends on them.
    let own = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(own) {
            build.env_remove(name);
        }
    }
    build.args(["build", "--quiet"]).args(what);
    build.arg("--target-dir").arg(target);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "the binaries under test do not build");
}

/// The relay.
pub fn relay() -> PathBuf {
    folder().join("clawlink-server")
}

/// The client.
pub fn client() -> PathBuf {
    folder().join("clawlink")
}

/// The client with TLS, which is `clawlink-tls` where a folder with others is named. It is built in a
/// folder of its own beside theirs: it has the name of the other, and features that the other has not.
///
/// # Panics
/// When it cannot be built.
pub fn client_with_tls() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let named = folder().join("clawlink-tls");
    if named.exists() {
        return named;
    }
    let built = BUILT.get_or_init(|| {
        let profile = own_profile();
        let target = profile.parent().expect("a target folder").join("tls");
        cargo(&["-p", "clawlink", "--features", "tls"], &target, &profile);
        target.join(profile.file_name().expect("a profile's name"))
    });
    built.join("clawlink")
}
