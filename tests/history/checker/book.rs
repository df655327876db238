//! A history put in order: messages, their copies, and in whose hands each copy was.

use super::super::record::{
    Action, Died, End, Event, History, Item, Kind, Mark, Micros, Name, Polled, SECOND, Sent,
    Settled, Span, Stream, Told,
};
use std::collections::{BTreeMap, HashMap};

/// How long a call may still take effect after its caller has given up: the longest a connection
/// is held up on its way, and more.
pub(super) const GRACE: Micros = 5 * SECOND;
/// The relay counts time in whole milliseconds.
pub(super) const SLACK: Micros = 2_000;
/// Messages in flight to one socket: who got more than that after one has confirmed it.
const WINDOW: usize = 64;

/// One message, by all the calls that sent it.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    pub(super) calls: Vec<&'a Sent>,
    /// From the first call to the last.
    pub(super) span: Span,
}

impl<'a> Letter<'a> {
    pub(super) fn first(&self) -> &'a Sent {
        self.calls[0]
    }

    /// The call that the relay said yes to first.
    pub(super) fn accepted(&self) -> Option<&'a Sent> {
        self.calls
            .iter()
            .copied()
            .find(|call| call.told.done().is_some())
    }

    /// Whether the relay may have taken it.
    pub(super) fn may_exist(&self) -> bool {
        let yes = |call: &&Sent| !matches!(call.told, Told::Refused(..));
        self.calls.iter().any(yes)
    }

    /// Those of the same sender, receiver and rank keep their order.
    pub(super) fn is_mail(&self) -> bool {
        self.first().kind != Kind::Broadcast
    }
}

/// By which way a copy was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Leased,
    Plain,
    Socket,
    AckSocket,
}

/// One handing over of one copy, as its receiver saw it.
#[derive(Debug)]
pub(super) struct Handover<'a> {
    /// The event it is part of, and its place there.
    pub(super) place: (usize, usize),
    pub(super) item: &'a Item,
    pub(super) way: Way,
    /// It was handed over not before, and not after.
    pub(super) from: Micros,
    pub(super) to: Micros,
    /// The earliest moment in which it may have been free to go again; `None` where never.
    pub(super) free: Option<Micros>,
    /// The moment by which its lease was over, unless something prolonged it.
    pub(super) over: Option<Micros>,
    /// The first acknowledgement that was confirmed.
    pub(super) acked: Option<Span>,
    /// An acknowledgement that was not answered.
    pub(super) perhaps_acked: Option<Span>,
    /// The earliest moment in which it may have been given back.
    pub(super) returned: Option<Micros>,
    /// It was given back, and that was confirmed.
    pub(super) nacked: Option<Span>,
}

/// A message for one receiver.
#[derive(Debug)]
pub(super) struct Parcel<'a> {
    pub(super) mark: Mark,
    pub(super) agent: &'a str,
    pub(super) handovers: Vec<Handover<'a>>,
    pub(super) died: Vec<&'a Died>,
    pub(super) waits: bool,
}

/// Something that may have taken messages out of an inbox without anybody having seen them.
#[derive(Debug)]
pub(super) struct Ghost {
    pub(super) from: Micros,
    /// What it took may be held until then.
    pub(super) until: Micros,
    /// What it took may be gone for good.
    pub(super) loses: bool,
    /// What it took may have counted as an attempt.
    pub(super) counts: bool,
    /// It may have carried off a count of `missed`.
    pub(super) polled: bool,
}

/// A history in order.
pub(super) struct Book<'a> {
    pub(super) history: &'a History,
    pub(super) letters: BTreeMap<Mark, Letter<'a>>,
    pub(super) parcels: BTreeMap<(Mark, &'a str), Parcel<'a>>,
    pub(super) ghosts: HashMap<&'a str, Vec<Ghost>>,
    pub(super) joined: BTreeMap<&'a str, Span>,
    pub(super) left: BTreeMap<&'a str, Span>,
    receipts: HashMap<(&'a str, &'a str), Vec<&'a Settled>>,
}

impl<'a> Book<'a> {
    pub(super) fn of(history: &'a History) -> Book<'a> {
        let mut book = Book {
            history,
            letters: BTreeMap::new(),
            parcels: BTreeMap::new(),
            ghosts: HashMap::new(),
            joined: BTreeMap::new(),
            left: BTreeMap::new(),
            receipts: HashMap::new(),
        };
        for event in &history.events {
            book.first_look(event);
        }
        book.expect();
        for (n, event) in history.events.iter().enumerate() {
            match event {
                Event::Polled(polled) => book.polled(n, polled),
                Event::Stream(stream) => book.stream(n, stream),
                Event::Died(died) => book.parcel(died.mark, &died.agent).died.push(died),
                Event::Waits { agent, mark } => book.parcel(*mark, agent).waits = true,
                _ => {}
            }
        }
        book
    }

    fn first_look(&mut self, event: &'a Event) {
        match event {
            Event::Joined { agent, span } => drop(self.joined.entry(agent).or_insert(*span)),
            Event::Left { agent, span } => drop(self.left.insert(agent, *span)),
            Event::Sent(sent) => {
                let span = sent.span;
                let calls = Vec::new();
                let letter = self
                    .letters
                    .entry(sent.mark)
                    .or_insert(Letter { calls, span });
                letter.calls.push(sent);
                letter.span.from = letter.span.from.min(span.from);
                letter.span.to = letter.span.to.max(span.to);
            }
            Event::Settled(settled) => {
                for receipt in &settled.receipts {
                    let key = (&*settled.agent, receipt.as_str());
                    self.receipts.entry(key).or_default().push(settled);
                }
            }
            _ => {}
        }
    }

    /// The copies that must exist: of each accepted message, for each that it was meant for.
    fn expect(&mut self) {
        let mut expected = Vec::new();
        for (&mark, letter) in &self.letters {
            let Some(accepted) = letter.accepted() else {
                continue;
            };
            match &accepted.to {
                Some(to) => expected.push((mark, to)),
                None => {
                    let others = self.history.events.iter().filter_map(|event| match event {
                        Event::Joined { agent, .. } => Some(agent),
                        _ => None,
                    });
                    let here = |agent: &&'a Name| self.was_there(agent, letter.span);
                    let others = others.filter(|agent| **agent != accepted.from).filter(here);
                    expected.extend(others.map(|agent| (mark, agent)));
                }
            }
        }
        for (mark, agent) in expected {
            self.parcel(mark, agent);
        }
    }

    /// Whether an agent was surely registered all through a span.
    pub(super) fn was_there(&self, agent: &str, span: Span) -> bool {
        let came = self
            .joined
            .get(agent)
            .is_some_and(|join| join.to < span.from);
        came && self
            .left
            .get(agent)
            .is_none_or(|leave| leave.from > span.to)
    }

    fn parcel(&mut self, mark: Mark, agent: &'a str) -> &mut Parcel<'a> {
        self.parcels.entry((mark, agent)).or_insert_with(|| Parcel {
            mark,
            agent,
            handovers: Vec::new(),
            died: Vec::new(),
            waits: false,
        })
    }

    /// Those that may have taken something out of an agent's inbox unseen.
    pub(super) fn ghosts_of(&self, agent: &str) -> &[Ghost] {
        self.ghosts.get(agent).map_or(&[], Vec::as_slice)
    }

    fn sent_at(&self, mark: Mark) -> Micros {
        self.letters.get(&mark).map_or(0, |letter| letter.span.from)
    }

    fn polled(&mut self, n: usize, polled: &'a Polled) {
        let Polled { agent, span, .. } = polled;
        if polled.told.is_unknown() {
            self.ghost(
                agent,
                Ghost {
                    from: span.from,
                    until: span.to + polled.lease.unwrap_or(0) + GRACE,
                    loses: polled.lease.is_none(),
                    counts: polled.lease.is_some(),
                    polled: true,
                },
            );
        }
        for (position, item) in polled.told.done().into_iter().flatten().enumerate() {
            let from = span.from.max(self.sent_at(item.mark));
            let mut handover = Handover {
                place: (n, position),
                item,
                way: polled.lease.map_or(Way::Plain, |_| Way::Leased),
                from,
                to: span.to,
                free: polled.lease.map(|lease| from + lease),
                over: polled.lease.map(|lease| span.to + lease),
                acked: None,
                perhaps_acked: None,
                returned: None,
                nacked: None,
            };
            self.settle(agent, &mut handover);
            self.parcel(item.mark, agent).handovers.push(handover);
        }
    }

    fn stream(&mut self, n: usize, stream: &'a Stream) {
        if stream.end != End::Closed {
            self.ghost(
                &stream.agent,
                Ghost {
                    from: stream.span.from,
                    until: stream.span.to + GRACE,
                    loses: stream.end == End::Leaving && !stream.acks,
                    counts: stream.acks,
                    polled: false,
                },
            );
        }
        // What arrived was handed over in that order, and all of it before the relay lost the peer.
        let begins = |(_, item): &(Micros, Item)| self.sent_at(item.mark).max(stream.span.from);
        let last = stream.items.iter().map(begins).max();
        let mut from = stream.span.from;
        for (position, (at, item)) in stream.items.iter().enumerate() {
            from = from.max(self.sent_at(item.mark));
            let slid = position + WINDOW < stream.items.len();
            let confirmed = !stream.acks && (stream.end == End::Closed || slid);
            let mut handover = Handover {
                place: (n, position),
                item,
                way: if stream.acks {
                    Way::AckSocket
                } else {
                    Way::Socket
                },
                from,
                to: *at,
                free: last.filter(|_| !confirmed),
                over: None,
                acked: None,
                perhaps_acked: None,
                returned: None,
                nacked: None,
            };
            self.settle(&stream.agent, &mut handover);
            self.parcel(item.mark, &stream.agent)
                .handovers
                .push(handover);
        }
    }

    fn ghost(&mut self, agent: &'a Name, ghost: Ghost) {
        self.ghosts.entry(agent).or_default().push(ghost);
    }

    /// What was done with the receipt of a delivery.
    fn settle(&self, agent: &str, handover: &mut Handover<'_>) {
        let Some(receipt) = handover.item.receipt.as_deref() else {
            return;
        };
        let Some(calls) = self.receipts.get(&(agent, receipt)) else {
            return;
        };
        let mut unanswered = Vec::new();
        for call in calls {
            let Settled { span, action, .. } = call;
            let done = match &call.told {
                Told::Done(settlement) => !settlement.expired.iter().any(|over| over == receipt),
                Told::Refused(..) => false,
                Told::Unknown => {
                    unanswered.push(*call);
                    continue;
                }
            };
            match action {
                _ if !done => {}
                Action::Ack => drop(handover.acked.get_or_insert(*span)),
                Action::Nack(delay) => {
                    handover.free = Some(span.from + delay);
                    handover.returned = handover.free;
                    handover.nacked = Some(*span);
                }
                Action::Extend(lease) => {
                    handover.free = Some(span.from + lease);
                    handover.over = Some(span.to + lease);
                }
            }
        }
        // Those may have been heard late, after others that were answered.
        for Settled { span, action, .. } in unanswered {
            let free = match action {
                Action::Ack => {
                    handover.perhaps_acked.get_or_insert(*span);
                    continue;
                }
                Action::Nack(delay) => {
                    handover.returned.get_or_insert(span.from + delay);
                    span.from + delay
                }
                Action::Extend(lease) => {
                    handover.over = None;
                    span.from + lease
                }
            };
            handover.free = handover.free.map(|before| before.min(free));
        }
        if handover.acked.is_some() {
            handover.free = None;
        }
    }
}
