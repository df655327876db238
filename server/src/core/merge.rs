//! Merges two changes of one text, line by line.
//!
//! A line ends at its LF, and a CR before it belongs to the line; the last may lack both. Nothing is
//! normalised: every line of the result is a line of one of the three texts, to the last byte. The two
//! changes are found by `similar`; how they go together is decided here. They conflict where they
//! change the same lines to different ones, and where one puts lines in beside lines that the other
//! changes, as nothing then says which come first.

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};
use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// How much work merges may make.
#[derive(Debug, Clone, Copy)]
pub struct MergeLimits {
    /// Merges that run at a time; more wait in turn. Each takes a thread.
    pub at_once: usize,
    /// How long the differences of one call are looked for, with all its tries.
    pub time: Duration,
    /// Tries of one call, where others keep writing meanwhile.
    pub tries: usize,
    /// Bytes of each text.
    pub bytes: usize,
    /// Lines of each text.
    pub lines: usize,
}

impl MergeLimits {
    /// Whether a text is short enough to be merged.
    pub fn allow(&self, text: &str) -> bool {
        text.len() <= self.bytes && text.split_inclusive('\n').count() <= self.lines
    }
}

/// A text and what it is called where it conflicts.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The text.
    pub text: &'a str,
    /// Stands behind the markers.
    pub name: &'a str,
}

/// What came of a merge.
#[derive(Debug, PartialEq, Eq)]
pub enum Merged {
    /// Both changes are in it.
    Clean(String),
    /// Not all went together: where they did not, both stand there between markers, and the base
    /// between them.
    Conflict(String),
}

/// Merges what `ours` and `theirs` have made of `base`. From the deadline on changes are no longer
/// looked for in detail: what is left then counts as changed as a whole, and the merge may conflict
/// where it would not have.
pub fn merge(base: Side<'_>, ours: Side<'_>, theirs: Side<'_>, deadline: Instant) -> Merged {
    let mut numbers = Numbers::default();
    let sides = [base, ours, theirs].map(|side| numbers.lines(side.text));
    let [base_lines, our_lines, their_lines] = &sides;
    let ours_changed = changes(base_lines, our_lines, deadline);
    let theirs_changed = changes(base_lines, their_lines, deadline);
    let mut out = Out::default();
    let (mut at, mut conflicts) = (0, false);
    for part in parts(&ours_changed, &theirs_changed) {
        out.lines(&base_lines[at..part.base.start]);
        at = part.base.end;
        match (part.ours, part.theirs) {
            (None, None) => {}
            (Some(ours), None) => out.lines(&our_lines[ours]),
            (None, Some(theirs)) => out.lines(&their_lines[theirs]),
            (Some(mine), Some(other)) if our_lines[mine.clone()] == their_lines[other.clone()] => {
                out.lines(&our_lines[mine]);
            }
            (Some(mine), Some(other)) => {
                conflicts = true;
                out.marker("<<<<<<<", ours.name);
                out.lines(&our_lines[mine]);
                out.marker("|||||||", base.name);
                out.lines(&base_lines[part.base]);
                out.marker("=======", "");
                out.lines(&their_lines[other]);
                out.marker(">>>>>>>", theirs.name);
            }
        }
    }
    out.lines(&base_lines[at..]);
    match conflicts {
        true => Merged::Conflict(out.0),
        false => Merged::Clean(out.0),
    }
}

/// A line and its number: equal lines have equal ones, so that they are compared but once.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    number: u32,
}

impl PartialEq for Line<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

#[derive(Default)]
struct Numbers<'a>(HashMap<&'a str, u32>);

impl<'a> Numbers<'a> {
    fn lines(&mut self, text: &'a str) -> Vec<Line<'a>> {
        let numbered = text.split_inclusive('\n').map(|text| {
            let next = self.0.len() as u32;
            let number = *self.0.entry(text).or_insert(next);
            Line { text, number }
        });
        numbered.collect()
    }
}

/// Lines of the base, and what one side has in their place.
#[derive(Debug, Clone)]
struct Changed {
    base: Range<usize>,
    side: Range<usize>,
}

/// What a side has changed: in order, with lines of the base between any two.
fn changes(base: &[Line<'_>], side: &[Line<'_>], deadline: Instant) -> Vec<Changed> {
    let numbers = |lines: &[Line<'_>]| -> Vec<u32> { lines.iter().map(|l| l.number).collect() };
    let ops = capture_diff_slices_deadline(
        // The fewest changes there are. The quicker ways take a stretch that was changed in many
        // places for changed as a whole, and what lies between them then conflicts.
        Algorithm::RawMyers,
        &numbers(base),
        &numbers(side),
        Some(deadline),
    );
    let mut all: Vec<Changed> = Vec::new();
    for op in ops.iter().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
        let (base, side) = (op.old_range(), op.new_range());
        match all.last_mut() {
            Some(last) if last.base.end == base.start => {
                last.base.end = base.end;
                last.side.end = side.end;
            }
            _ => all.push(Changed { base, side }),
        }
    }
    all
}

/// Lines of the base that at least one side has changed, and what each that did has there.
struct Part {
    base: Range<usize>,
    ours: Option<Range<usize>>,
    theirs: Option<Range<usize>>,
}

/// Puts the changes of both sides together that meet.
fn parts(mut ours: &[Changed], mut theirs: &[Changed]) -> Vec<Part> {
    let start = |changes: &[Changed]| changes.first().map_or(usize::MAX, |c| c.base.start);
    let mut parts = Vec::new();
    while !ours.is_empty() || !theirs.is_empty() {
        let from = start(ours).min(start(theirs));
        let (mut base, mut mine, mut other) = (from..from, 0, 0);
        loop {
            let meets = |change: &&Changed| meet(&base, &change.base);
            if let Some(change) = ours.get(mine).filter(meets) {
                base.end = base.end.max(change.base.end);
                mine += 1;
            } else if let Some(change) = theirs.get(other).filter(meets) {
                base.end = base.end.max(change.base.end);
                other += 1;
            } else {
                break;
            }
        }
        let (here, after) = ours.split_at(mine);
        let (here_too, after_too) = theirs.split_at(other);
        (ours, theirs) = (after, after_too);
        parts.push(Part {
            ours: on_side(&base, here),
            theirs: on_side(&base, here_too),
            base,
        });
    }
    parts
}

/// Whether a change that begins at or after the start of some lines goes with them: it has lines in
/// common with them, or one of the two is a place between lines, at the edge of the other.
fn meet(lines: &Range<usize>, change: &Range<usize>) -> bool {
    change.start < lines.end
        || (change.start == lines.end && (change.is_empty() || lines.is_empty()))
}

/// What a side has in the place of these lines of the base.
fn on_side(base: &Range<usize>, changes: &[Changed]) -> Option<Range<usize>> {
    let (first, last) = (changes.first()?, changes.last()?);
    let before = first.base.start - base.start;
    let after = base.end - last.base.end;
    Some(first.side.start - before..last.side.end + after)
}

#[derive(Default)]
struct Out(String);

impl Out {
    fn lines(&mut self, lines: &[Line<'_>]) {
        self.0.extend(lines.iter().map(|line| line.text));
    }

    /// A marker has a line of its own, also behind a last line that lacks its end.
    fn marker(&mut self, marker: &str, name: &str) {
        if !self.0.is_empty() && !self.0.ends_with('\n') {
            self.0.push('\n');
        }
        self.0.push_str(marker);
        if !name.is_empty() {
            self.0.push(' ');
            self.0.push_str(name);
        }
        self.0.push('\n');
    }
}
