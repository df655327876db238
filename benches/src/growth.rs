//! What calls cost as the work grows.

use crate::agents::{AGENTS, CONNECTIONS, TASK, quickly, register, relay_with, write_delegation};
use crate::broadcast::to_inboxes;
use crate::plot::{Plot, Series};
use crate::processes::relay;
use crate::rounds::{Cost, median};
use crate::table::{Figure, Row};
use crate::turn::Turns;
use crate::{Outcome, Scale, million, report};

/// Rounds of each point.
const ROUNDS: usize = 3;
/// Bytes of messages that a point may leave behind.
const LEFT: usize = 48 * 1024 * 1024;

/// `growth`
pub(crate) fn growth(scale: Scale) -> Outcome<Vec<Row>> {
    Ok(vec![
        agents(scale)?,
        sizes(scale)?,
        depths(scale)?,
        subscribers(scale)?,
    ])
}

/// Draws a plot; the row tells of its first and its last point, and of all of them in its notes.
fn shown(
    scale: Scale,
    name: &'static str,
    what: &str,
    across: &str,
    series: &[Series],
) -> Outcome<Row> {
    let unit = "us";
    let plot = Plot {
        title: what,
        across,
        up: "CPU, us",
        by_powers: true,
        series,
    };
    if scale.page {
        plot.write(&report::plot_file(name)?)?;
    }
    let all = series.iter().map(|(name, points)| {
        let points = points.iter().map(|(x, y)| format!("{x}: {y:.1}"));
        format!("{name}: {}", points.collect::<Vec<_>>().join(", "))
    });
    let notes = all.collect::<Vec<_>>().join("; ");
    let points = &series.first().ok_or("nothing to show")?.1;
    let (Some((_, first)), Some((_, last))) = (points.first(), points.last()) else {
        return Err("nothing to show".into());
    };
    let other = ("least", Figure(*first, unit));
    Ok(Row::against(name, what, Figure(*last, unit), other, last / first).noting(notes))
}

/// The median processor time of some rounds after one that warms.
fn typical(mut round: impl FnMut() -> Outcome<Cost>) -> Outcome<f64> {
    round()?;
    let costs = (0..ROUNDS).map(|_| Ok(round()?.cpu));
    Ok(median(costs.collect::<Outcome<_>>()?))
}

fn agents(scale: Scale) -> Outcome<Row> {
    let relay = relay(&[])?;
    let (mut delegates, mut polls) = (Vec::new(), Vec::new());
    let mut registered = 0;
    for agents in [1_000, 10_000, 100_000, 1_000_000] {
        if agents > scale.agents {
            break;
        }
        register(&relay, registered..agents)?;
        registered = agents;
        let count = scale.requests;
        let cpu = typical(|| million::delegate(&relay, agents, count))?;
        delegates.push((agents as f64, cpu));
        polls.push((
            agents as f64,
            typical(|| million::poll(&relay, agents, count))?,
        ));
    }
    let series = [("POST /delegate", delegates), ("GET /poll", polls)];
    shown(
        scale,
        "growth-agents",
        "Calls among agents",
        "agents",
        &series,
    )
}

fn sizes(scale: Scale) -> Outcome<Row> {
    let mut points = Vec::new();
    for size in [100, 1_000, 10_000, 100_000, 1_000_000] {
        let relay = relay_with(AGENTS, &[])?;
        let task = "x".repeat(size);
        let count = (LEFT / size / (ROUNDS + 1))
            .min(scale.requests / 2)
            .max(CONNECTIONS);
        let cpu = typical(|| {
            let mut turns = Turns::new(count, AGENTS, CONNECTIONS).carrying(task.clone());
            let cost = turns.run(&relay)?;
            turns.clear(&relay)?;
            Ok(cost)
        })?;
        points.push((size as f64, cpu));
    }
    let series = [("delegate, leased poll", points)];
    shown(
        scale,
        "growth-size",
        "A turn with a message of so many bytes",
        "bytes",
        &series,
    )
}

fn depths(scale: Scale) -> Outcome<Row> {
    let mut points = Vec::new();
    for depth in [1, 10, 100, 990] {
        let relay = relay_with(CONNECTIONS, &[])?;
        quickly(&relay, 0..depth * CONNECTIONS, |number, out| {
            write_delegation(number % CONNECTIONS, CONNECTIONS, TASK, out);
        })?;
        // The inboxes are as deep afterwards: each turn puts one and takes one. Tasks stay.
        let count = scale.requests / 4;
        let cpu = typical(|| {
            Turns::new(count, CONNECTIONS, CONNECTIONS)
                .taking(1)
                .run(&relay)
        })?;
        points.push((depth as f64, cpu));
    }
    let series = [("delegate, leased poll of 1", points)];
    shown(
        scale,
        "growth-depth",
        "A turn where so many messages wait",
        "messages",
        &series,
    )
}

fn subscribers(scale: Scale) -> Outcome<Row> {
    let mut points = Vec::new();
    for inboxes in [1, 10, 100, 1_000, 10_000] {
        let relay = relay_with(inboxes + 1, &[])?;
        points.push((inboxes as f64, to_inboxes(&relay, inboxes, 5 * ROUNDS)?));
    }
    let series = [("POST /broadcast", points)];
    shown(
        scale,
        "growth-subscribers",
        "A broadcast of 1 KiB to so many inboxes",
        "inboxes",
        &series,
    )
}
