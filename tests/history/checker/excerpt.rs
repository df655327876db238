//! What is known of one message, line by line.

use super::book::Book;
use crate::record::{Action, Event, Item, Mark, Micros, Sent, Settled, Span, Told};
use std::collections::BTreeSet;

/// Lines of one excerpt.
const LINES: usize = 40;

/// The history of one message: who sent it, who got it, and what became of the receipts.
pub(super) fn of(book: &Book<'_>, mark: Mark) -> String {
    let parcels = book.parcels.values().filter(|parcel| parcel.mark == mark);
    let items = parcels.flat_map(|parcel| &parcel.handovers).map(|h| h.item);
    let receipts: BTreeSet<&str> = items.filter_map(|item| item.receipt.as_deref()).collect();
    let mut lines: Vec<(Micros, String)> = Vec::new();
    for event in &book.history.events {
        lines.extend(line(event, mark, &receipts));
    }
    lines.sort();
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    let mut out: String = lines
        .into_iter()
        .map(|(_, line)| format!("    {line}\n"))
        .collect();
    if more > 0 {
        out.push_str(&format!("    and {more} lines more\n"));
    }
    out
}

fn line(event: &Event, mark: Mark, receipts: &BTreeSet<&str>) -> Option<(Micros, String)> {
    match event {
        Event::Sent(sent) if sent.mark == mark => Some((sent.span.from, sending(sent))),
        Event::Polled(polled) => {
            let item = polled.told.done()?.iter().find(|item| item.mark == mark)?;
            let way = match polled.lease {
                Some(lease) => format!("leases for {}", seconds(lease)),
                None => "takes".to_owned(),
            };
            let text = format!(
                "{} {} {way} {}",
                when(polled.span),
                polled.agent,
                thing(item)
            );
            Some((polled.span.from, text))
        }
        Event::Stream(stream) => {
            let mut arrived = stream.items.iter();
            let (at, item) = arrived.find(|(_, item)| item.mark == mark)?;
            let text = format!(
                "{} {} gets {} on a socket that was open {}, {:?}",
                seconds(*at),
                stream.agent,
                thing(item),
                when(stream.span),
                stream.end
            );
            Some((*at, text))
        }
        Event::Settled(settled) => settling(settled, receipts),
        Event::Died(died) if died.mark == mark => {
            let text = format!(
                "{} {}: dead, {} after {} attempts",
                when(died.span),
                died.agent,
                died.reason,
                died.attempts
            );
            Some((died.span.from, text))
        }
        Event::Waits { agent, mark: other } if *other == mark => {
            Some((Micros::MAX, format!("at the end it waits for {agent}")))
        }
        _ => None,
    }
}

fn sending(sent: &Sent) -> String {
    let told = match &sent.told {
        Told::Done(accepted) => format!("taken as {}", accepted.id.as_deref().unwrap_or("-")),
        Told::Refused(status, code) => format!("refused, {status} {code}"),
        Told::Unknown => "no answer".to_owned(),
    };
    let to = sent.to.as_deref().unwrap_or("all");
    let ttl = sent
        .ttl
        .map(|ttl| format!(", ttl {}", seconds(ttl)))
        .unwrap_or_default();
    let when = when(sent.span);
    format!(
        "{when} {} sends m{} to {to}, rank {}{ttl}: {told}",
        sent.from, sent.mark, sent.rank
    )
}

fn settling(settled: &Settled, receipts: &BTreeSet<&str>) -> Option<(Micros, String)> {
    let mut named = settled.receipts.iter();
    let receipt = named.find(|receipt| receipts.contains(receipt.as_str()))?;
    let action = match settled.action {
        Action::Ack => "acknowledges".to_owned(),
        Action::Nack(0) => "gives back".to_owned(),
        Action::Nack(delay) => format!("gives back for {}", seconds(delay)),
        Action::Extend(lease) => format!("extends to {}", seconds(lease)),
    };
    let told = match &settled.told {
        Told::Done(settlement) if settlement.expired.contains(receipt) => "expired".to_owned(),
        Told::Done(_) => "done".to_owned(),
        Told::Refused(status, code) => format!("refused, {status} {code}"),
        Told::Unknown => "no answer".to_owned(),
    };
    let when = when(settled.span);
    let text = format!("{when} {} {action} {receipt}: {told}", settled.agent);
    Some((settled.span.from, text))
}

fn thing(item: &Item) -> String {
    let mut text = format!("m{}", item.mark);
    if let (Some(receipt), Some(attempt)) = (&item.receipt, item.attempt) {
        text.push_str(&format!(" as attempt {attempt}, receipt {receipt}"));
    }
    text
}

fn when(span: Span) -> String {
    format!("{} to {}", seconds(span.from), seconds(span.to))
}

fn seconds(micros: Micros) -> String {
    format!("{}.{:03} s", micros / 1_000_000, micros % 1_000_000 / 1_000)
}
