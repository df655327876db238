//! Patterns of paths, and whether two of them have a path in common.
//!
//! A path is segments between slashes. In a segment `*` stands for any run of characters, also for
//! none, and `?` for one character; a segment `**` stands for any number of segments, also for none.
//! Everything else stands for itself, brackets and braces too: there are files with such names, and a
//! shell has expanded the others. A path without `*` and `?` is a pattern that means itself.

use clawlink_protocol::name::FileKey;

/// One pattern. Its text has the bounds of a file key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(FileKey);

/// A segment that stands for any number of them.
const DEEP: &str = "**";

impl Pattern {
    /// Any file key is one.
    pub fn new(text: FileKey) -> Self {
        Pattern(text)
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether some path is meant by both. Takes at most as many steps as one pattern has characters
    /// times those of the other.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let (ours, theirs) = (self.as_str(), other.as_str());
        // What most pairs differ in.
        let plain = |text: &str| text.find(['*', '?']).unwrap_or(text.len());
        let common = plain(ours).min(plain(theirs));
        if ours.as_bytes()[..common] != theirs.as_bytes()[..common] {
            return false;
        }
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            (ours.split('/').collect(), theirs.split('/').collect());
        common_path(
            &ours,
            &theirs,
            |own| *own == DEEP,
            |a, b| segments_overlap(a, b),
        )
    }
}

/// Whether two segments without a slash have a text in common.
fn segments_overlap(ours: &str, theirs: &str) -> bool {
    let same = |(a, b): (char, char)| a == b || a == '?' || b == '?';
    // What most segments are.
    if !ours.contains('*') && !theirs.contains('*') {
        return ours.chars().count() == theirs.chars().count()
            && ours.chars().zip(theirs.chars()).all(same);
    }
    let (ours, theirs): (Vec<char>, Vec<char>) = (ours.chars().collect(), theirs.chars().collect());
    common_path(&ours, &theirs, |c| *c == '*', |a, b| same((*a, *b)))
}

/// Whether two sequences, in which a `run` stands for any number of steps, can be walked side by side
/// to their ends. `reached[j]` says whether they can be walked as far as here in the one and `j` in
/// the other.
fn common_path<T>(
    ours: &[T],
    theirs: &[T],
    run: impl Fn(&T) -> bool,
    same: impl Fn(&T, &T) -> bool,
) -> bool {
    let mut reached = vec![false; theirs.len() + 1];
    reached[0] = true;
    for (j, theirs) in theirs.iter().enumerate() {
        reached[j + 1] = reached[j] && run(theirs);
    }
    for own in ours {
        let before = reached;
        reached = vec![false; theirs.len() + 1];
        reached[0] = before[0] && run(own);
        for (j, theirs) in theirs.iter().enumerate() {
            // A run may end here, or go on over what the other does.
            reached[j + 1] = match run(own) || run(theirs) {
                true => before[j + 1] || reached[j],
                false => before[j] && same(own, theirs),
            };
        }
    }
    reached[theirs.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(FileKey::parse(text).unwrap())
    }

    fn overlap(ours: &str, theirs: &str) -> bool {
        let (ours, theirs) = (pattern(ours), pattern(theirs));
        assert_eq!(
            ours.overlaps(&theirs),
            theirs.overlaps(&ours),
            "{ours:?} {theirs:?}"
        );
        ours.overlaps(&theirs)
    }

    #[test]
    fn patterns_of_a_source_tree() {
        for (ours, theirs) in [
            ("src/main.rs", "src/main.rs"),
            ("src/**", "src/main.rs"),
            ("src/**", "src/a/b/c.rs"),
            ("src/**", "src"),
            ("**", "anything/at/all"),
            ("**/*.rs", "main.rs"),
            ("**/*.rs", "src/a/main.rs"),
            ("src/*.rs", "*/main.?s"),
            ("src/**/test.rs", "**/core/*.rs"),
            ("a*/x", "*a/x"),
            ("a**b", "axxb"),
            ("app/[id]/page.tsx", "app/[id]/*"),
            ("gr\u{fc}n?", "gr??*"),
        ] {
            assert!(overlap(ours, theirs), "{ours} {theirs}");
        }
        for (ours, theirs) in [
            ("src/main.rs", "src/lib.rs"),
            ("src/*", "src/a/b.rs"),
            ("src/*", "src"),
            ("src/**", "srcs/a"),
            ("src/**", "docs/**"),
            ("**/*.rs", "**/*.md"),
            ("src/**/test.rs", "src/**/main.rs"),
            ("a/*/c", "a/**/d"),
            ("[ab].rs", "a.rs"),
            ("Src/a", "src/a"),
            ("a**b", "a/b"),
            ("??", "\u{fc}"),
        ] {
            assert!(!overlap(ours, theirs), "{ours} {theirs}");
        }
    }

    /// Whether a pattern means a path, by trying every length of every run.
    fn means(pattern: &[&str], path: &[&str]) -> bool {
        fn text(pattern: &[u8], segment: &[u8]) -> bool {
            match pattern.split_first() {
                None => segment.is_empty(),
                Some((b'*', rest)) => (0..=segment.len()).any(|n| text(rest, &segment[n..])),
                Some((own, rest)) => segment
                    .split_first()
                    .is_some_and(|(c, left)| (own == c || *own == b'?') && text(rest, left)),
            }
        }
        match pattern.split_first() {
            None => path.is_empty(),
            Some((&DEEP, rest)) => (0..=path.len()).any(|n| means(rest, &path[n..])),
            Some((own, rest)) => path.split_first().is_some_and(|(segment, left)| {
                text(own.as_bytes(), segment.as_bytes()) && means(rest, left)
            }),
        }
    }

    /// Every path of at most three segments of at most three letters.
    fn paths() -> Vec<String> {
        let letters = ["a", "b"];
        let mut segments: Vec<String> = letters.map(str::to_owned).to_vec();
        for _ in 0..2 {
            let longer = segments
                .iter()
                .flat_map(|s| letters.map(|l| format!("{s}{l}")));
            let longer: Vec<String> = longer.collect();
            segments.extend(longer);
        }
        segments.sort();
        segments.dedup();
        let mut paths = segments.clone();
        for _ in 0..2 {
            let deeper = paths
                .iter()
                .flat_map(|path| segments.iter().map(move |s| format!("{path}/{s}")));
            let deeper: Vec<String> = deeper.collect();
            paths.extend(deeper);
        }
        paths.sort();
        paths.dedup();
        paths
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// The patterns are so short that two that overlap have a path among these in common.
        #[test]
        fn two_patterns_overlap_where_a_path_is_meant_by_both(
            ours in "(\\*\\*|[ab*?]{1,2})(/(\\*\\*|[ab*?]{1,2})){0,1}",
            theirs in "(\\*\\*|[ab*?]{1,2})(/(\\*\\*|[ab*?]{1,2})){0,1}",
        ) {
            use std::sync::OnceLock;
            static PATHS: OnceLock<Vec<String>> = OnceLock::new();
            let split = |text: &'_ str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
            let (own, other) = (split(&ours), split(&theirs));
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            let other: Vec<&str> = other.iter().map(String::as_str).collect();
            let found = PATHS.get_or_init(paths).iter().any(|path| {
                let path: Vec<&str> = path.split('/').collect();
                means(&own, &path) && means(&other, &path)
            });
            prop_assert_eq!(overlap(&ours, &theirs), found);
        }
    }

    #[test]
    fn the_worst_pair_takes_no_time_worth_naming() {
        let stars = "*a".repeat(127);
        let deep = "**/a/".repeat(50) + "b";
        let began = std::time::Instant::now();
        for _ in 0..100 {
            assert!(!overlap(&format!("{stars}b"), &format!("{stars}c")));
            assert!(!overlap(&deep, &deep.replace('b', "c")));
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(5));
    }
}
