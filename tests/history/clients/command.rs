//! The real client, as `clawlink poll`, some of them killed at any moment. What was printed was
//! read; what became of the rest nobody knows.

use super::{Desk, item_of};
use crate::record::{Action, Event, Item, Polled, Settlement, Span, Told};
use harness::{Client, Value};
use std::io::Read;
use std::time::{Duration, Instant};

/// Seconds of the lease that the proxy makes of the command's own, which is of a minute: what a
/// killed command had leased is to come again within the run.
pub(crate) const LEASE: u64 = 2;
/// What the proxy replaces in the request, and by what.
pub(crate) const SHORTER: (&str, &str) = ("lease=60", "lease=02");
/// No command takes longer.
const LONGEST: Duration = Duration::from_secs(20);

pub(crate) fn run(mut desk: Desk) -> Vec<Event> {
    let url = format!("http://{}", desk.address);
    let client = Client::member(&url, &desk.name, &desk.name);
    while !desk.is_over() {
        let wait = desk.dice.below(2).to_string();
        let max = desk.dice.between(1, 60);
        let words = [
            "--json",
            "--timeout",
            "3",
            "poll",
            "--wait",
            &wait,
            "--max",
            &max.to_string(),
        ];
        // Most of a short run is the start of the program and its first request.
        let kill = desk.dice.percent(35).then(|| desk.dice.below(60));
        let from = desk.now();
        let (printed, complaints, ended) = spawn(&client, &words, kill.map(Duration::from_millis));
        let span = desk.common.clock.since(from);
        note(
            &mut desk,
            span,
            &printed,
            ended.then_some(complaints),
            max as usize,
        );
        desk.pause(30, 300);
    }
    desk.events
}

/// Runs the command: what it printed, what it complained of, and whether it ended well by itself.
fn spawn(client: &Client, words: &[&str], kill: Option<Duration>) -> (String, String, bool) {
    let mut child = client.command(words).spawn().expect("the client runs");
    drop(child.stdin.take());
    let mut out = child.stdout.take().expect("its output");
    let mut err = child.stderr.take().expect("its errors");
    let read = |stream: &mut dyn Read| {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let printed = std::thread::spawn(move || read(&mut out));
    let complaints = std::thread::spawn(move || read(&mut err));
    let end = Instant::now() + kill.unwrap_or(LONGEST);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            _ if Instant::now() >= end => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            _ => std::thread::sleep(Duration::from_millis(3)),
        }
    };
    let well = status.is_some_and(|status| status.success());
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    (text(printed), text(complaints), well)
}

fn note(desk: &mut Desk, span: Span, printed: &str, complaints: Option<String>, max: usize) {
    let messages: Vec<Value> = printed
        .split_inclusive('\n')
        // The last line of a killed command may not be whole.
        .filter_map(|line| serde_json::from_str(line.strip_suffix('\n')?).ok())
        .collect();
    let items: Vec<Item> = messages.iter().filter_map(item_of).collect();
    messages.iter().for_each(|message| desk.hear(message));
    let receipts: Vec<String> = items
        .iter()
        .filter_map(|item| item.receipt.clone())
        .collect();
    let poll = |told, missed| {
        Event::Polled(Polled {
            agent: desk.name.clone(),
            span,
            lease: Some(LEASE * 1_000_000),
            max: Some(max),
            told,
            missed,
        })
    };
    let missed = complaints.as_deref().map_or(0, missed);
    let polled = poll(Told::Done(items), missed);
    let unseen = poll(Told::Unknown, 0);
    desk.events.push(polled);
    if complaints.is_none() {
        desk.events.push(unseen);
    }
    if !receipts.is_empty() {
        let sure = complaints.is_some_and(|complaints| !complaints.contains("come again"));
        let told = match sure {
            true => Told::Done(Settlement {
                done: receipts.len(),
                expired: Vec::new(),
            }),
            false => Told::Unknown,
        };
        desk.settled(span, Action::Ack, receipts, told);
    }
}

/// The count in the line that tells of broadcasts that gave way.
fn missed(complaints: &str) -> u64 {
    let mut lines = complaints.lines();
    let line = lines.find(|line| line.contains("broadcasts and file notices were dropped"));
    let mut words = line
        .unwrap_or_default()
        .split(' ')
        .filter_map(|word| word.parse().ok());
    words.next().unwrap_or(0)
}
