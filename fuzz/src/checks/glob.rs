use clawlink_protocol::name::FileKey;
use clawlink_server::core::glob::Pattern;

/// Two patterns and a path, each on a line.
pub fn glob(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n').map(FileKey::parse);
    let (Some(Ok(ours)), Some(Ok(theirs))) = (lines.next(), lines.next()) else {
        return;
    };
    let (own, other) = (steps(ours.as_str()), steps(theirs.as_str()));
    let path = lines.next().and_then(Result::ok);
    let (ours, theirs) = (Pattern::new(ours), Pattern::new(theirs));

    let overlap = ours.overlaps(&theirs);
    assert_eq!(overlap, theirs.overlaps(&ours), "one way only");
    assert!(ours.overlaps(&ours) && theirs.overlaps(&theirs));
    assert_eq!(overlap, in_common(&own, &other), "{ours:?} {theirs:?}");

    if let Some(path) = path.filter(|path| !path.as_str().contains(['*', '?'])) {
        let letters = steps(path.as_str());
        let meant = [&own, &other].map(|pattern| in_common(pattern, &letters));
        assert!(overlap || meant != [true; 2], "{ours:?} {theirs:?} {path}");
        let path = Pattern::new(path);
        assert_eq!([ours.overlaps(&path), theirs.overlaps(&path)], meant);
    }
}

/// A pattern as an automaton over the text of a path, in which a slash stands behind each segment.
#[derive(Clone, Copy)]
enum Step {
    One(char),
    /// Any character but a slash.
    Any,
    /// Any number of them.
    Run,
    /// Any number of segments.
    Segments,
}

fn steps(pattern: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for segment in pattern.split('/') {
        if segment == "**" {
            steps.push(Step::Segments);
            continue;
        }
        steps.extend(segment.chars().map(|c| match c {
            '*' => Step::Run,
            '?' => Step::Any,
            c => Step::One(c),
        }));
        steps.push(Step::One('/'));
    }
    steps
}

/// Where an automaton is: before which step, and whether inside a segment of [`Step::Segments`].
type Place = (usize, bool);

/// What takes an automaton on.
#[derive(Clone, Copy, PartialEq)]
enum By {
    One(char),
    AnyButSlash,
}

/// Where it can go without a character, and where with which.
fn moves(steps: &[Step], (at, inside): Place) -> (Option<Place>, Vec<(By, Place)>) {
    let next = (at + 1, false);
    match steps.get(at) {
        None => (None, Vec::new()),
        Some(Step::One(c)) => (None, vec![(By::One(*c), next)]),
        Some(Step::Any) => (None, vec![(By::AnyButSlash, next)]),
        Some(Step::Run) => (Some(next), vec![(By::AnyButSlash, (at, false))]),
        Some(Step::Segments) => (
            (!inside).then_some(next),
            vec![(By::AnyButSlash, (at, true)), (By::One('/'), (at, false))],
        ),
    }
}

/// Whether some text takes both automata to their ends: all pairs of places are tried.
fn in_common(ours: &[Step], theirs: &[Step]) -> bool {
    let index = |(a, b): (Place, Place)| {
        ((a.0 * 2 + usize::from(a.1)) * (theirs.len() + 1) + b.0) * 2 + usize::from(b.1)
    };
    let mut seen = vec![false; (ours.len() + 1) * (theirs.len() + 1) * 4];
    let mut open = vec![((0, false), (0, false))];
    while let Some((a, b)) = open.pop() {
        if std::mem::replace(&mut seen[index((a, b))], true) {
            continue;
        }
        if a.0 == ours.len() && b.0 == theirs.len() {
            return true;
        }
        let ((skip_a, with_a), (skip_b, with_b)) = (moves(ours, a), moves(theirs, b));
        open.extend(skip_a.map(|to| (to, b)));
        open.extend(skip_b.map(|to| (a, to)));
        for &(by_a, to_a) in &with_a {
            for &(by_b, to_b) in &with_b {
                let both = match (by_a, by_b) {
                    (By::One(a), By::One(b)) => a == b,
                    (By::One(c), By::AnyButSlash) | (By::AnyButSlash, By::One(c)) => c != '/',
                    (By::AnyButSlash, By::AnyButSlash) => true,
                };
                if both {
                    open.push((to_a, to_b));
                }
            }
        }
    }
    false
}
