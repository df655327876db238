//! A large file put and got: memory at most, and processor time beside an echo of the same bytes.

use crate::agents::{id, relay_with};
use crate::http::{Each, Load, Reply, write_request};
use crate::processes::{self, Server};
use crate::rounds::{Cost, beside, cost, median};
use crate::table::{Figure, Row};
use crate::{Outcome, Scale};

/// Bytes of the file.
const SIZE: usize = 8 * 1024 * 1024;

/// `files`
pub(crate) fn files(scale: Scale) -> Outcome<Vec<Row>> {
    let relay = relay_with(1, &[])?;
    let bare = processes::floor([""; 4])?;
    // Text without escapes, of which no two lines are the same.
    let content: String = (0..)
        .map(|line| format!("line {line:08} of a report "))
        .take(SIZE / 25)
        .collect();
    let content = &(content.clone() + &content)[..SIZE];
    let body = format!(
        r#"{{"agent_id":"{}","file_key":"report","content":"{content}"}}"#,
        id(0)
    );
    let mut peaks = Vec::new();
    let (echo, ours) = beside(
        scale.rounds,
        &mut || echo(&bare, body.as_bytes()),
        &mut || {
            relay.process.forget_peak()?;
            let before = relay.process.rss()?;
            let cost = put_and_get(&relay, body.as_bytes())?;
            peaks.push(relay.process.peak()?.saturating_sub(before) as f64 / SIZE as f64);
            Ok(cost)
        },
    )?;
    let most = peaks.iter().copied().fold(0.0, f64::max);
    let notes = format!(
        "the median {:.2}; with the version that is kept",
        median(peaks)
    );
    let what = "8 MiB put and got: peak RSS above idle, in sizes";
    let memory = Row::alone("files/memory", what, Figure(most, "")).noting(notes);
    let what = "the same, CPU";
    let (ours_ms, echo_ms) = (ours.cpu() / 1000.0, echo.cpu() / 1000.0);
    let other = ("echo", Figure(echo_ms, "ms"));
    let cpu = Row::against(
        "files/cpu",
        what,
        Figure(ours_ms, "ms"),
        other,
        ours.ratio(&echo),
    );
    Ok(vec![memory, cpu])
}

fn echo(floor: &Server, body: &[u8]) -> Outcome<Cost> {
    exchange(floor, 1, |_, out| write_request(out, "POST", "/echo", body))
}

fn put_and_get(relay: &Server, body: &[u8]) -> Outcome<Cost> {
    exchange(relay, 2, |number, out| match number {
        0 => write_request(out, "POST", "/files", body),
        _ => write_request(out, "GET", "/files/report", b""),
    })
}

/// The cost of all of these requests together.
fn exchange(
    server: &Server,
    requests: usize,
    write: impl FnMut(usize, &mut Vec<u8>),
) -> Outcome<Cost> {
    let mut script = Each {
        numbers: 0..requests,
        write,
        hear: |_: &Reply<'_>| Ok(()),
    };
    cost(&[&server.process], 1, || {
        Load::connect(server.address, 1)?.run(&mut script, 1)
    })
}
