//! Whether memory grows under a mixed load that leaves nothing behind for good.

use crate::agents::{AGENTS, CONNECTIONS, Sent, drain, id, quickly, relay_with};
use crate::http::write_request;
use crate::plot::Plot;
use crate::processes::Server;
use crate::table::{Figure, Row};
use crate::turn::Turns;
use crate::{Outcome, Scale, report};
use std::time::{Duration, Instant};

/// Turns between two looks.
const TURNS: usize = 4_096;
/// What is kept has reached its bounds by then: 100,000 tasks, 1,000 broadcasts.
const FULL: usize = 150_000;
/// Broadcasts between two looks, and files that are overwritten.
const OTHERS: usize = 40;
/// Between two loads.
const PAUSE: Duration = Duration::from_millis(100);

/// `soak`
pub(crate) fn soak(scale: Scale) -> Outcome<Vec<Row>> {
    let relay = relay_with(AGENTS, &[])?;
    let mut done = 0;
    while done < FULL {
        done += load(&relay)?;
    }
    let began = Instant::now();
    let mut samples = Vec::new();
    while began.elapsed() < scale.soak {
        done += load(&relay)?;
        let at = began.elapsed().as_secs_f64();
        samples.push((at / 60.0, relay.process.rss()? as f64 / (1024.0 * 1024.0)));
        std::thread::sleep(PAUSE);
    }
    let (first, last) = (samples.first(), samples.last());
    let (Some((_, first)), Some((_, last))) = (first.copied(), last.copied()) else {
        return Err("there was no time for a single look".into());
    };
    // What was acknowledged is known for ten minutes, so that a repeated acknowledgement counts.
    let slope = slope(&samples[samples.len() / 3..]) * 60.0;
    if scale.page {
        let plot = Plot {
            title: "Memory under a mixed load",
            across: "minutes",
            up: "MiB",
            by_powers: false,
            series: &[("RSS of the relay", samples)],
        };
        plot.write(&report::plot_file("soak")?)?;
    }
    let minutes = scale.soak.as_secs() / 60;
    let what = format!("RSS slope for an hour, last 2/3 of {minutes} min of mixed load");
    let notes = format!("{done} turns; {first:.1} MiB at first, {last:.1} MiB at last");
    Ok(vec![
        Row::alone("soak", what, Figure(slope, "MiB")).noting(notes),
    ])
}

/// Some of everything: turns whose tasks are answered, broadcasts, files. All mail is taken.
fn load(relay: &Server) -> Outcome<usize> {
    let mut turns = Turns::new(TURNS, AGENTS, CONNECTIONS);
    turns.run(relay)?;
    answer(relay, &turns.sent)?;
    quickly(relay, 0..OTHERS, |number, out| {
        let (from, content) = (id(number), "x".repeat(1024));
        let body = format!(r#"{{"from_agent":"{from}","content":"{content}"}}"#);
        write_request(out, "POST", "/broadcast", body.as_bytes());
    })?;
    quickly(relay, 0..OTHERS, |number, out| {
        let (agent, content) = (id(number), "line\\n".repeat(2_000));
        let key = format!("file-{number}");
        let body = format!(r#"{{"agent_id":"{agent}","file_key":"{key}","content":"{content}"}}"#);
        write_request(out, "POST", "/files", body.as_bytes());
    })?;
    drain(relay, 0..AGENTS)?;
    Ok(turns.sent.len())
}

/// Ends tasks as those do who were given them. That acknowledges them too.
fn answer(relay: &Server, sent: &[Sent]) -> Outcome<()> {
    quickly(relay, 0..sent.len(), |number, out| {
        let sent = &sent[number];
        let (from, message) = (id(sent.to(AGENTS)), &sent.message);
        let body = format!(r#"{{"from_agent":"{from}","message_id":"{message}","result":"done"}}"#);
        write_request(out, "POST", "/respond", body.as_bytes());
    })
}

/// The slope of the line with the least squares: units for a minute.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (mut both, mut squares) = (0.0, 0.0);
    for point in points {
        both += (point.0 - x) * (point.1 - y);
        squares += (point.0 - x) * (point.0 - x);
    }
    if squares > 0.0 { both / squares } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_a_line() {
        let line: Vec<(f64, f64)> = (0..10)
            .map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x)))
            .collect();
        assert!((slope(&line) - 2.0).abs() < 1e-9);
        assert_eq!(slope(&[(1.0, 1.0)]), 0.0);
    }
}
