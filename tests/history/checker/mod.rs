//! Judges a history: pure, so that it can be tried on histories made by hand.
//!
//! Nothing is assumed about the order of calls that overlap. A rule is broken only where no order
//! of what may have happened inside the intervals keeps it, and what a caller was not told may
//! have happened or not.

mod book;
mod bounds;
mod death;
mod excerpt;
mod loss;
mod order;
mod places;
mod sending;
#[cfg(test)]
mod tests;

use crate::record::{History, Mark};
use book::Book;
use std::collections::BTreeMap;
use std::fmt;

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// An accepted message was neither acknowledged nor died, and does not wait either.
    Lost,
    /// A message was in two hands at a time.
    Twice,
    /// It came after its acknowledgement had been confirmed.
    AfterAck,
    /// An acknowledgement was said to be done for a delivery that was over.
    StaleAck,
    /// It came although it had died.
    AfterDeath,
    /// It died for a reason that cannot be.
    FalseDeath,
    /// It was listed as dead, or told to have failed, and was acknowledged too.
    DeadAndAcked,
    /// It died, and its sender was not told.
    Untold,
    /// It came first after its time to live.
    TooLate,
    /// It came before one that was sent earlier, by the same sender and as urgent.
    OutOfOrder,
    /// One reply had the less urgent before the more urgent.
    LessUrgentFirst,
    /// The number of an attempt is not what it must be.
    Attempts,
    /// One key, or one call, became two messages.
    Doubled,
    /// A repeated call was not said to be a repetition, or got another reply.
    NotReplayed,
    /// Somebody got what was not for them, or what nobody sent.
    Misdelivered,
    /// A broadcast was not counted to those who were there.
    Recipients,
    /// An inbox held more than it may.
    OverLimit,
    /// A reply held more messages than were asked for.
    OverMax,
    /// The relay's counts of receipts do not add up.
    Miscounted,
}

/// A broken promise.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    /// What happened, in a sentence.
    pub(crate) what: String,
    /// The message it happened to.
    pub(crate) mark: Option<Mark>,
    /// What is known of that message.
    pub(crate) excerpt: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.rule, self.what)?;
        write!(f, "{}", self.excerpt)
    }
}

/// Collects what the rules find.
#[derive(Debug, Default)]
struct Findings {
    found: Vec<Violation>,
    /// Copies that came to nobody, for a reason that is told beforehand; by agent.
    excused: BTreeMap<String, usize>,
}

impl Findings {
    fn excuse(&mut self, agent: &str, copies: usize) {
        *self.excused.entry(agent.to_owned()).or_default() += copies;
    }

    fn add(&mut self, rule: Rule, mark: impl Into<Option<Mark>>, what: String) {
        self.found.push(Violation {
            rule,
            what,
            mark: mark.into(),
            excerpt: String::new(),
        });
    }
}

/// Excerpts are written for so many violations of each rule; the others are counted only.
const EXCERPTS: usize = 3;

/// What the judge says.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Everything that was broken, each rule's violations together.
    pub(crate) found: Vec<Violation>,
    /// Copies of which nobody knows where they are, and the relay has told beforehand that this
    /// may be: a plain poll was not answered, an agent was removed. By agent.
    pub(crate) excused: BTreeMap<String, usize>,
}

/// Judges a history.
pub(crate) fn judge(history: &History) -> Verdict {
    let book = Book::of(history);
    let mut findings = Findings::default();
    places::check(&book, &mut findings);
    loss::check(&book, &mut findings);
    order::check(&book, &mut findings);
    sending::check(&book, &mut findings);
    death::check(&book, &mut findings);
    bounds::check(&book, &mut findings);
    let Findings { mut found, excused } = findings;
    found.sort_by_key(|violation| violation.rule);
    let mut told: Vec<Rule> = Vec::new();
    for violation in &mut found {
        told.push(violation.rule);
        let nth = told.iter().filter(|&&rule| rule == violation.rule).count();
        if let Some(mark) = violation.mark.filter(|_| nth <= EXCERPTS) {
            violation.excerpt = excerpt::of(&book, mark);
        }
    }
    Verdict { found, excused }
}

/// What was broken, as a reader wants it: each rule with its count and some cases.
pub(crate) fn report(found: &[Violation]) -> String {
    let mut out = String::new();
    for (n, violation) in found.iter().enumerate() {
        let same = found.iter().filter(|other| other.rule == violation.rule);
        let first = n == 0 || found[n - 1].rule != violation.rule;
        if first {
            out.push_str(&format!(
                "== {:?}, {} times\n",
                violation.rule,
                same.count()
            ));
        }
        if first || !violation.excerpt.is_empty() {
            out.push_str(&format!("{violation}\n"));
        }
    }
    out
}
