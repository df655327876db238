//! The rules, tried on histories made by hand: for each one that breaks it and one that does not.

mod death;
mod loss;
mod order;
mod places;
mod sending;

use super::{Rule, judge};
use crate::record::{
    Accepted, Action, Died, End, Event, Failed, History, Item, Kind, Mark, Micros, Polled, Sent,
    Settled, Settlement, Span, Stream, Told,
};

/// A history that is being told. Times are milliseconds; each call takes one.
struct Tale(History);

/// One item: mark, receipt, attempt.
type Leased = (Mark, &'static str, u32);

fn span(at: u64) -> Span {
    Span {
        from: at * 1_000,
        to: (at + 1) * 1_000,
    }
}

fn item(mark: Mark) -> Item {
    Item {
        mark,
        id: format!("i{mark}"),
        receipt: None,
        attempt: None,
    }
}

fn leased((mark, receipt, attempt): Leased) -> Item {
    Item {
        receipt: Some(receipt.to_owned()),
        attempt: Some(attempt),
        ..item(mark)
    }
}

impl Tale {
    /// Agents `s` and `a` are there from the beginning; an inbox holds 3.
    fn new() -> Tale {
        let mut tale = Tale(History::new(3, None));
        tale.joins("s", 0);
        tale.joins("a", 0);
        tale
    }

    fn push(&mut self, event: Event) -> &mut Tale {
        self.0.events.push(event);
        self
    }

    fn joins(&mut self, agent: &str, at: u64) -> &mut Tale {
        let (agent, span) = (agent.into(), span(at));
        self.push(Event::Joined { agent, span })
    }

    fn leaves(&mut self, agent: &str, at: u64) -> &mut Tale {
        let (agent, span) = (agent.into(), span(at));
        self.push(Event::Left { agent, span })
    }

    /// A delegation from `s` to `a` that is taken; change it with [`Tale::last_sent`].
    fn sends(&mut self, mark: Mark, at: u64) -> &mut Tale {
        let id = Some(format!("i{mark}"));
        self.push(Event::Sent(Sent {
            mark,
            from: "s".into(),
            to: Some("a".into()),
            kind: Kind::Delegation,
            rank: 2,
            ttl: None,
            keyed: false,
            span: span(at),
            told: Told::Done(Accepted {
                id,
                ..Accepted::default()
            }),
        }))
    }

    fn last_sent(&mut self, change: impl FnOnce(&mut Sent)) -> &mut Tale {
        if let Some(Event::Sent(sent)) = self.0.events.last_mut() {
            change(sent);
        }
        self
    }

    fn broadcasts(&mut self, mark: Mark, at: u64) -> &mut Tale {
        self.sends(mark, at).last_sent(|sent| {
            sent.to = None;
            sent.kind = Kind::Broadcast;
        })
    }

    fn polls(&mut self, at: u64, lease: Option<u64>, told: Told<Vec<Item>>) -> &mut Tale {
        self.push(Event::Polled(Polled {
            agent: "a".into(),
            span: span(at),
            lease: lease.map(|lease| lease * 1_000),
            max: Some(3),
            told,
            missed: 0,
        }))
    }

    /// `a` leases these for a second.
    fn leases(&mut self, at: u64, items: &[Leased]) -> &mut Tale {
        let items = items.iter().copied().map(leased).collect();
        self.polls(at, Some(1_000), Told::Done(items))
    }

    /// `a` takes these for good.
    fn takes(&mut self, at: u64, marks: &[Mark]) -> &mut Tale {
        let items = marks.iter().copied().map(item).collect();
        self.polls(at, None, Told::Done(items))
    }

    fn settles(&mut self, at: u64, action: Action, receipt: &str, told: Told<bool>) -> &mut Tale {
        let told = told.map(|done| Settlement {
            done: usize::from(done),
            expired: if done {
                vec![]
            } else {
                vec![receipt.to_owned()]
            },
        });
        self.push(Event::Settled(Settled {
            agent: "a".into(),
            span: span(at),
            action,
            receipts: vec![receipt.to_owned()],
            told,
        }))
    }

    fn acks(&mut self, at: u64, receipt: &str) -> &mut Tale {
        self.settles(at, Action::Ack, receipt, Told::Done(true))
    }

    /// A socket of `a` on which these arrive, one a millisecond.
    fn streams(&mut self, at: u64, acks: bool, items: Vec<Item>, end: End) -> &mut Tale {
        let timed = (at + 1..).map(|at| at * 1_000).zip(items);
        let items: Vec<(Micros, Item)> = timed.collect();
        let to = (at + 2 + items.len() as u64) * 1_000;
        self.push(Event::Stream(Stream {
            agent: "a".into(),
            span: Span {
                from: at * 1_000,
                to,
            },
            acks,
            items,
            end,
        }))
    }

    /// It is listed as dead, and `s` is told.
    fn dies(&mut self, at: u64, mark: Mark, reason: &str, attempts: u32) -> &mut Tale {
        self.is_told_of_failure("s", &format!("i{mark}"));
        self.dies_untold(at, mark, reason, attempts)
    }

    fn dies_untold(&mut self, at: u64, mark: Mark, reason: &str, attempts: u32) -> &mut Tale {
        self.0.dead_limit = Some(1_000);
        self.push(Event::Died(Died {
            agent: "a".into(),
            mark,
            reason: reason.to_owned(),
            attempts,
            span: span(at),
        }))
    }

    fn is_told_of_failure(&mut self, sender: &str, id: &str) -> &mut Tale {
        self.push(Event::Failed(Failed {
            sender: sender.into(),
            to: "a".into(),
            ids: vec![id.to_owned()],
            at: 0,
        }))
    }

    /// Exactly these rules are broken.
    #[track_caller]
    fn breaks(&self, rules: &[Rule]) {
        let found = judge(&self.0).found;
        let mut broken: Vec<Rule> = found.iter().map(|violation| violation.rule).collect();
        broken.dedup();
        assert_eq!(broken, rules, "{}", super::report(&found));
    }

    #[track_caller]
    fn is_sound(&self) {
        self.breaks(&[]);
    }
}
