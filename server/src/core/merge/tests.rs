//! Merging against a model that knows each line's fate, and rules that hold for any three texts.

use super::*;
use proptest::prelude::*;

/// Lines of the longest texts.
const LINES: usize = 20_000;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn side<'a>(text: &'a str, name: &'a str) -> Side<'a> {
    Side { text, name }
}

fn merged(base: &str, ours: &str, theirs: &str) -> Merged {
    merge(
        side(base, "base"),
        side(ours, "ours"),
        side(theirs, "theirs"),
        soon(),
    )
}

fn clean(text: &str) -> Merged {
    Merged::Clean(text.to_owned())
}

#[test]
fn changes_in_different_places_are_both_made() {
    assert_eq!(
        merged("a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\n"),
        clean("A\nb\nC\n")
    );
    assert_eq!(merged("a\nb\n", "A\nb\n", "a\nB\n"), clean("A\nB\n"));
    assert_eq!(
        merged("a\nb\nc\n", "b\nc\n", "a\nb\nc\nd\n"),
        clean("b\nc\nd\n")
    );
    assert_eq!(merged("a\n", "b\n", "b\n"), clean("b\n"));
    assert_eq!(merged("", "", "x\n"), clean("x\n"));
}

#[test]
fn what_both_changed_otherwise_stands_between_markers_with_the_base() {
    let wanted = "a\n<<<<<<< ours\nX\n||||||| base\nb\n=======\nY\n>>>>>>> theirs\nc\n";
    let conflict = Merged::Conflict(wanted.to_owned());
    assert_eq!(merged("a\nb\nc\n", "a\nX\nc\n", "a\nY\nc\n"), conflict);
    let wanted = "<<<<<<< ours\nx\n||||||| base\n=======\ny\n>>>>>>> theirs\n";
    assert_eq!(merged("", "x", "y"), Merged::Conflict(wanted.to_owned()));
}

#[test]
fn lines_put_in_at_the_edge_of_a_change_have_no_order() {
    for (base, ours, theirs) in [
        ("a\nb\n", "a\nx\nb\n", "a\ny\nb\n"),
        ("a\nb\n", "A\nb\n", "a\nx\nb\n"),
        ("a\n", "a\nx\n", "a"),
        ("a\nb\n", "b\n", "x\na\nb\n"),
    ] {
        let merged = merged(base, ours, theirs);
        assert!(matches!(merged, Merged::Conflict(_)), "{merged:?}");
    }
}

#[test]
fn a_carriage_return_belongs_to_its_line() {
    assert_eq!(
        merged("a\nb\nc\n", "a\r\nb\nc\n", "a\nb\nC"),
        clean("a\r\nb\nC")
    );
    assert_eq!(
        merged("a\rb\n\rc\n", "a\rb\n\rc\n", "a\rB\n\rc\n"),
        clean("a\rB\n\rc\n")
    );
}

#[test]
fn a_text_that_is_too_long_is_not_merged() {
    let limits = MergeLimits {
        at_once: 1,
        time: Duration::from_secs(1),
        tries: 1,
        bytes: 9,
        lines: 5,
    };
    let fits = |text: &str| limits.allow(text);
    assert!(fits(&"\n".repeat(5)) && fits(&"x".repeat(9)));
    assert!(!fits(&"\n".repeat(6)) && !fits(&"x".repeat(10)));
    assert!(!fits(&format!("{}x", "\n".repeat(5))));
}

/// What is known to be hard for ways of finding differences, at its longest.
#[test]
fn the_worst_texts_are_merged_in_time() {
    let lines = |line: &dyn Fn(usize) -> usize| -> String {
        (0..LINES).map(|n| format!("{}\n", line(n))).collect()
    };
    let dice = |seed: usize, sides: usize| {
        move |n: usize| {
            let mixed = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) ^ seed;
            (mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33) % sides
        }
    };
    let texts = [
        (lines(&dice(1, 2)), lines(&dice(2, 2)), lines(&dice(3, 2))),
        (
            lines(&dice(1, 70)),
            lines(&dice(2, 70)),
            lines(&dice(3, 70)),
        ),
        (
            lines(&dice(1, 9000)),
            lines(&dice(2, 9000)),
            lines(&dice(3, 9000)),
        ),
        (
            lines(&|n| n),
            lines(&|n| LINES - n),
            lines(&|n| n * 7919 % LINES),
        ),
        (lines(&|n| n), lines(&|n| n + LINES), lines(&|n| n % 2)),
        (lines(&|_| 0), lines(&|n| n % 3), lines(&|n| n / 2 % 2)),
    ];
    for (at, (base, ours, theirs)) in texts.iter().enumerate() {
        let began = Instant::now();
        let deadline = began + Duration::from_millis(500);
        merge(
            side(base, "b"),
            side(ours, "o"),
            side(theirs, "t"),
            deadline,
        );
        let took = began.elapsed();
        eprintln!("{at}: {took:?}");
        assert!(took < Duration::from_millis(1500), "{at}: {took:?}");
    }
}

/// What becomes of a line of the base on one side.
#[derive(Debug, Clone)]
enum Fate {
    Stays,
    Goes,
    Becomes(u8),
    IsFollowed(u8),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Stays),
        1 => Just(Fate::Goes),
        2 => (0u8..9).prop_map(Fate::Becomes),
        1 => (0u8..9).prop_map(Fate::IsFollowed),
    ]
}

fn apply(text: &mut String, line: usize, fate: &Fate, who: &str) {
    match fate {
        Fate::Stays => text.push_str(&format!("line {line}\r\n")),
        Fate::Goes => {}
        Fate::Becomes(n) => text.push_str(&format!("{who} {line} {n}\n")),
        Fate::IsFollowed(n) => text.push_str(&format!("line {line}\r\n{who} after {line} {n}\n")),
    }
}

proptest! {
    /// Lines of their own, with one between them that nobody touches: all changes are made.
    #[test]
    fn writers_with_lines_of_their_own_lose_nothing(
        fates in prop::collection::vec((any::<bool>(), fate()), 0..60)
    ) {
        let [mut base, mut ours, mut theirs, mut all] = [const { String::new() }; 4];
        for (n, (mine, fate)) in fates.iter().enumerate() {
            let who = if *mine { "ours" } else { "theirs" };
            apply(&mut base, n, &Fate::Stays, "");
            apply(&mut ours, n, if *mine { fate } else { &Fate::Stays }, who);
            apply(&mut theirs, n, if *mine { &Fate::Stays } else { fate }, who);
            apply(&mut all, n, fate, who);
            for text in [&mut base, &mut ours, &mut theirs, &mut all] {
                text.push_str(&format!("between {n}\n"));
            }
        }
        prop_assert_eq!(merged(&base, &ours, &theirs), Merged::Clean(all));
    }

    #[test]
    fn any_three_texts_keep_the_rules(
        texts in prop::array::uniform3(prop::collection::vec(
            prop::sample::select(vec!["a\n", "b\n", "a\r\n", "c\n", "\n"]), 0..12)),
        ends in prop::array::uniform3(prop::sample::select(vec!["", "z", "a"]))
    ) {
        let text = |n: usize| texts[n].concat() + ends[n];
        let (base, ours, theirs) = (text(0), text(1), text(2));
        prop_assert_eq!(merged(&base, &ours, &base), Merged::Clean(ours.clone()));
        prop_assert_eq!(merged(&base, &base, &theirs), Merged::Clean(theirs.clone()));
        prop_assert_eq!(merged(&base, &ours, &ours), Merged::Clean(ours.clone()));
        let both = merged(&base, &ours, &theirs);
        let other_way = merged(&base, &theirs, &ours);
        match both {
            Merged::Clean(_) => prop_assert_eq!(both, other_way),
            Merged::Conflict(_) => prop_assert!(matches!(other_way, Merged::Conflict(_))),
        }
    }

    /// When there is no time, what cannot be told apart conflicts, and nothing is lost.
    #[test]
    fn a_deadline_that_has_passed_loses_nothing(
        lines in prop::collection::vec(0u8..4, 1..200), at in 0usize..200, other in 0usize..200
    ) {
        let text = |change: Option<usize>, by: &str| -> String {
            let line = |(n, line): (usize, &u8)| match change.is_some_and(|at| at % lines.len() == n) {
                true => format!("{by}\n"),
                false => format!("{line}\n"),
            };
            lines.iter().enumerate().map(line).collect()
        };
        let (base, ours, theirs) = (text(None, ""), text(Some(at), "ours"), text(Some(other), "theirs"));
        let past = Instant::now();
        let (Merged::Clean(done) | Merged::Conflict(done)) =
            merge(side(&base, "b"), side(&ours, "o"), side(&theirs, "t"), past);
        prop_assert!(done.contains("ours\n") && done.contains("theirs\n"), "{}", done);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// One after the other, in any order, from the same base: blocks that lie side by side.
    #[test]
    fn many_writers_with_blocks_of_their_own_all_go_together(
        order in Just((0..20_usize).collect::<Vec<_>>()).prop_shuffle(), blank in 2usize..9
    ) {
        let text = |writers: &[usize]| -> String {
            let line = |n: usize| match (writers.contains(&(n / 25)), n % blank) {
                (_, 0) => "\n".to_owned(),
                (true, _) => format!("{} was at {n}\n", n / 25),
                (false, _) => format!("line {n}\n"),
            };
            (0..500).map(line).collect()
        };
        let (base, mut stored) = (text(&[]), text(&[]));
        for (at, writer) in order.iter().enumerate() {
            let now = merged(&base, &stored, &text(&[*writer]));
            prop_assert_eq!(&now, &Merged::Clean(text(&order[..=at])));
            let Merged::Clean(now) = now else { unreachable!() };
            stored = now;
        }
    }
}
