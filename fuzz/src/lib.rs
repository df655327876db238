//! What the parsers of ClawLink promise for any bytes. Each target of `cargo fuzz` is one function of
//! [`checks`], which panics where a promise is broken; `fuzz_targets` only joins them to libFuzzer.

pub mod checks;

/// The client's modules, as they stand in its own crate: it is a program, not a library.
#[path = "../../client/src"]
#[allow(dead_code)]
mod client {
    pub(crate) mod args;
    pub(crate) mod arrange;
    pub(crate) mod escape;
    pub(crate) mod help;
    pub(crate) mod mdns;
    pub(crate) mod meant;
    pub(crate) mod spec;
    pub(crate) mod table;
    pub(crate) mod url;
}

// They know each other by these paths.
pub(crate) use client::{args, arrange, escape, help, mdns, meant, spec, table, url};

#[cfg(test)]
mod tests {
    use crate::checks;
    use std::fs;
    use std::path::Path;

    /// Without libFuzzer: what was once worth keeping holds still.
    #[test]
    fn the_corpora_find_nothing() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        for (target, check) in checks::ALL {
            let inputs = fs::read_dir(corpora.join(target)).expect(target);
            let mut count = 0;
            for input in inputs {
                check(&fs::read(input.unwrap().path()).unwrap());
                count += 1;
            }
            assert!(count > 0, "{target} has no corpus");
        }
    }
}
