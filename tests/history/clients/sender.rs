//! Sends: delegations, responses and broadcasts, of every priority, with and without a key, a
//! time to live, and a receiver that stays. Reads its own mail now and then.

use super::{Ask, Desk, body_of, mortal};
use crate::record::{Accepted, Action, Event, Kind, Mark, Micros, Name, SECOND, Sent, Told};
use crate::wire::Request;
use harness::{Value, json};
use std::sync::atomic::Ordering;

/// Marks of one sender.
pub(crate) const MARKS: Mark = 1_000_000;
/// Calls for one message that is not answered.
const CALLS: usize = 6;

const RANKS: [&str; 4] = ["urgent", "high", "normal", "low"];

/// A message that is to be sent.
struct Letter {
    mark: Mark,
    kind: Kind,
    to: Option<Name>,
    rank: u8,
    ttl: Option<Micros>,
    keyed: bool,
    request: Request,
}

pub(crate) fn run(mut desk: Desk, number: u32) -> Vec<Event> {
    let began = desk.now();
    for mark in number * MARKS.. {
        if desk.is_over() {
            break;
        }
        let due = began + Micros::from(mark - number * MARKS) * desk.common.gap;
        let ahead = due.saturating_sub(desk.now()) / 1_000;
        desk.pause(0, 2 * ahead);
        if desk.common.sent_all.load(Ordering::SeqCst) || mark % 25 == 24 {
            collect(&mut desk);
        }
        if desk.common.sent_all.load(Ordering::SeqCst) {
            desk.rest(300);
            continue;
        }
        let letter = compose(&mut desk, mark);
        post(&mut desk, &letter);
    }
    desk.events
}

fn compose(desk: &mut Desk, mark: Mark) -> Letter {
    let features = desk.common.features;
    let dice = &mut desk.dice;
    let kind = match dice.below(100) {
        0 => Kind::Broadcast,
        1..12 => Kind::Response,
        _ => Kind::Delegation,
    };
    let rank = if kind == Kind::Delegation {
        dice.below(4) as u8
    } else {
        2
    };
    let to = match dice.percent(4) {
        true => mortal::name(desk.common.mortal.load(Ordering::SeqCst)),
        false => dice.pick(&desk.common.receivers).clone(),
    };
    let seconds = dice.between(1, 3);
    let expires = features.message_ttl && kind == Kind::Delegation && dice.percent(5);
    let length = match dice.below(200) {
        0 => dice.between(20_000, 90_000),
        1..20 => dice.between(500, 6_000),
        _ => dice.below(40),
    };
    let body = body_of(mark, length as usize);
    let from = &*desk.name;
    let (path, mut call) = match kind {
        Kind::Broadcast => ("/broadcast", json!({"from_agent": from, "content": body})),
        Kind::Response => {
            // Of a task that nobody knows: what a response does to tasks is not looked at here.
            let call = json!({"from_agent": from, "to_agent": &*to, "message_id": format!("t{mark}"), "result": body});
            ("/respond", call)
        }
        Kind::Delegation => {
            let rank = RANKS[usize::from(rank)];
            let call =
                json!({"from_agent": from, "to_agent": &*to, "task": body, "priority": rank});
            ("/delegate", call)
        }
    };
    if expires {
        call["ttl"] = seconds.into();
    }
    let keyed = features.idempotency && dice.percent(60);
    let mut request = Request::post(path, &call);
    request.key = keyed.then(|| format!("k{mark}"));
    Letter {
        mark,
        kind,
        to: (kind != Kind::Broadcast).then_some(to),
        rank,
        ttl: expires.then_some(seconds * SECOND),
        keyed,
        request,
    }
}

/// Sends a message; one that has a key as often as it takes to know, and sometimes once more.
fn post(desk: &mut Desk, letter: &Letter) {
    let (mut answered, mut accepted) = (0, false);
    for _ in 0..CALLS {
        let (span, told) = desk.call(&letter.request, 0);
        let told = told.map(|reply| understood(&reply, letter.kind));
        answered += usize::from(!told.is_unknown());
        accepted |= told.done().is_some();
        let refused = matches!(told, Told::Refused(..));
        desk.events.push(Event::Sent(Sent {
            mark: letter.mark,
            from: desk.name.clone(),
            to: letter.to.clone(),
            kind: letter.kind,
            rank: letter.rank,
            ttl: letter.ttl,
            keyed: letter.keyed,
            span,
            told,
        }));
        if refused {
            desk.pause(5, 30);
            break;
        }
        let again = answered == 0 || (answered == 1 && desk.dice.percent(3));
        if !letter.keyed || !again {
            break;
        }
    }
    desk.common
        .accepted
        .fetch_add(usize::from(accepted), Ordering::SeqCst);
}

fn understood(reply: &Value, kind: Kind) -> Accepted {
    let id = reply["message_id"].as_str().map(str::to_owned);
    Accepted {
        // A response bears the id of its task.
        id: id.filter(|_| kind != Kind::Response),
        replayed: reply["replayed"] == true,
        recipients: reply["recipients"].as_u64(),
    }
}

fn collect(desk: &mut Desk) {
    let ask = Ask {
        lease: Some(2),
        ..Ask::default()
    };
    if let Some(leased) = desk.poll(ask, None) {
        desk.settle(&leased, Action::Ack, true);
    }
}
