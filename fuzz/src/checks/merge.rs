use clawlink_server::core::merge::{Merged, Side};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Three texts with a NUL between them: the base and its two changes. Each rule holds with time
/// and without.
pub fn merge(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut texts = text.splitn(3, '\0');
    let (Some(base), Some(ours), Some(theirs)) = (texts.next(), texts.next(), texts.next()) else {
        return;
    };
    for time in [Duration::from_secs(2), Duration::ZERO] {
        let clean = |text: &str| Merged::Clean(text.to_owned());
        assert_eq!(merged([base, base, theirs], time), clean(theirs));
        assert_eq!(merged([base, ours, base], time), clean(ours));
        assert_eq!(merged([base, ours, ours], time), clean(ours));

        let both = merged([base, ours, theirs], time);
        let other_way = merged([base, theirs, ours], time);
        match &both {
            Merged::Clean(text) => {
                assert_eq!(both, other_way);
                only_lines_of(text, &[base, ours, theirs]);
                nothing_gone_stays(text, base, ours, theirs);
            }
            Merged::Conflict(text) => {
                assert!(matches!(other_way, Merged::Conflict(_)));
                if [base, ours, theirs].iter().all(|text| !has_marker(text)) {
                    conflict(text, [base, ours, theirs]);
                }
            }
        }
        let (Merged::Clean(text) | Merged::Conflict(text)) = &both;
        nothing_new_is_lost(text, base, ours);
        nothing_new_is_lost(text, base, theirs);
    }
}

fn merged([base, ours, theirs]: [&str; 3], time: Duration) -> Merged {
    let side = |text, name| Side { text, name };
    clawlink_server::core::merge::merge(
        side(base, "base"),
        side(ours, "ours"),
        side(theirs, "theirs"),
        Instant::now() + time,
    )
}

/// Lines with their ends: nothing is normalised.
fn whole(text: &str) -> HashSet<&str> {
    text.split_inclusive('\n').collect()
}

/// Lines without their ends: a marker gives the last line one.
fn bare(text: &str) -> Vec<&str> {
    let line = |line: &'_ str| line.len() - usize::from(line.ends_with('\n'));
    text.split_inclusive('\n').map(|l| &l[..line(l)]).collect()
}

fn only_lines_of(text: &str, sources: &[&str]) {
    let known: HashSet<&str> = sources.iter().flat_map(|source| whole(source)).collect();
    for line in text.split_inclusive('\n') {
        assert!(known.contains(line), "{line:?} is nobody's");
    }
}

/// A line that neither side has any more is not in what both have made.
fn nothing_gone_stays(text: &str, base: &str, ours: &str, theirs: &str) {
    let (mine, other) = (whole(ours), whole(theirs));
    for line in whole(text) {
        let kept = mine.contains(line) || other.contains(line);
        assert!(kept || !whole(base).contains(line), "{line:?} was deleted");
    }
}

/// A line that the base had not is there.
fn nothing_new_is_lost(text: &str, base: &str, side: &str) {
    let (known, there): (HashSet<_>, HashSet<_>) = (
        bare(base).into_iter().collect(),
        bare(text).into_iter().collect(),
    );
    for line in bare(side) {
        assert!(
            known.contains(line) || there.contains(line),
            "{line:?} is lost"
        );
    }
}

const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

fn has_marker(text: &str) -> bool {
    bare(text)
        .iter()
        .any(|line| MARKERS.iter().any(|marker| line.starts_with(marker)))
}

/// The markers come in their order, and what stands between them are lines that follow each other in
/// the text whose they are; what stands outside are lines of one of the three.
fn conflict(text: &str, texts: [&str; 3]) {
    let [base, ours, theirs] = texts.map(bare);
    let known: HashSet<&str> = [&base, &ours, &theirs]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let lines = bare(text);
    let mut found: [Vec<&str>; 3] = Default::default();
    let mut rest = [&ours[..], &base[..], &theirs[..]];
    let (mut part, mut conflicts) = (0, 0);
    for line in lines {
        let marker = ["<<<<<<< ours", "||||||| base", "=======", ">>>>>>> theirs"][part];
        if line == marker {
            part = (part + 1) % 4;
            if part == 0 {
                conflicts += 1;
                for (found, rest) in found.iter_mut().zip(&mut rest) {
                    *rest = after(rest, &std::mem::take(found));
                }
            }
        } else if part > 0 {
            found[part - 1].push(line);
        } else {
            assert!(known.contains(line), "{line:?} is nobody's");
        }
    }
    assert!(part == 0 && conflicts > 0, "markers out of order");
}

/// What follows the first place where these lines stand one after the other.
fn after<'a, 'b>(lines: &'a [&'b str], found: &[&str]) -> &'a [&'b str] {
    if found.is_empty() {
        return lines;
    }
    let at = lines
        .windows(found.len())
        .position(|window| window == found);
    &lines[at.expect("lines that stand so nowhere") + found.len()..]
}
