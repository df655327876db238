//! `GET /metrics`: what is counted, and what it means. Alerts to set on it, and the metric of each
//! bound, stand in `docs/operations.md`.

use super::error::ApiError;
use super::exposition::{CONTENT_TYPE, Exposition};
use super::flow::Flow;
use super::traffic::CLASSES;
use super::{Shared, State};
use crate::actors::refused::Refused;
use crate::core::budget::For;
use actix_web::HttpResponse;
use clawlink_protocol::PROTOCOL;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Microseconds of a second.
const MICROS: f64 = 1_000_000.0;

/// `GET /metrics`. Put together where nobody waits: the system is asked too, and the table of
/// reservations may be busy.
pub async fn metrics(state: Shared) -> Result<HttpResponse, ApiError> {
    let page = tokio::task::spawn_blocking(move || page(&state)).await;
    let page = page.map_err(|_| Refused::unavailable("the metrics"))?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(page))
}

fn page(state: &State) -> String {
    let mut page = Exposition::default();
    process(&mut page, state);
    requests(&mut page, state);
    agents(&mut page, state);
    messages(&mut page, state);
    ends(&mut page, state);
    sockets(&mut page, state);
    tasks(&mut page, state);
    kept(&mut page, state);
    page.into_text()
}

fn process(page: &mut Exposition, state: &State) {
    let process = &state.process;
    let usage = process.usage();
    let version = env!("CARGO_PKG_VERSION");
    let protocol = PROTOCOL.to_string();
    page.gauge("clawlink_build_info", "Always 1; which relay this is.")
        .of(&[("version", version), ("protocol", &protocol)], 1);
    page.gauge("clawlink_uptime_seconds", "Since the relay began.")
        .is(process.uptime().as_secs_f64());
    let start = "When the relay began, in seconds since 1970.";
    page.gauge("process_start_time_seconds", start)
        .is(process.start_time());
    if let Some(seconds) = usage.cpu {
        let help = "Processor time used, the system's for it included.";
        page.counter("process_cpu_seconds_total", help).is(seconds);
    }
    let memory = "Memory in use.";
    let open = "File descriptors that are open.";
    let may = "File descriptors that may be open.";
    for (name, help, value) in [
        ("process_resident_memory_bytes", memory, usage.resident),
        ("process_open_fds", open, usage.descriptors),
        ("process_max_fds", may, usage.descriptors_max),
    ] {
        if let Some(value) = value {
            page.gauge(name, help).is(value);
        }
    }
    let mut limits = page.gauge(
        "clawlink_limit",
        "What the option of this name says, as given or by default.",
    );
    for (flag, value) in &state.bounds {
        limits.of(&[("option", flag)], value);
    }
}

fn requests(page: &mut Exposition, state: &State) {
    let traffic = &state.traffic;
    let mut replies = page.counter(
        "clawlink_requests_total",
        "Requests by call and class of their status; route - is none of the calls.",
    );
    let routes = traffic.routes();
    for route in &routes {
        for (class, count) in CLASSES.iter().zip(&route.replies) {
            let labels = [
                ("method", route.method),
                ("route", &route.pattern),
                ("status", class),
            ];
            replies.of(&labels, count.get());
        }
    }
    let mut took = page.histogram(
        "clawlink_request_duration_seconds",
        "From the head of a request to the head of its reply, waits of polls included.",
    );
    for route in &routes {
        let labels = [("method", route.method), ("route", &*route.pattern)];
        took.spread(&labels, &route.took, MICROS);
    }
    let mut refusals = page.counter(
        "clawlink_refusals_total",
        "Requests and frames of sockets that were refused, by the code of the error.",
    );
    for (code, count) in traffic.refusals() {
        // A code has a name on the wire only.
        let name = serde_json::to_value(code).unwrap_or_default();
        refusals.of(&[("code", name.as_str().unwrap_or_default())], count);
    }
    page.gauge("clawlink_connections", "Connections that are open.")
        .is(traffic.connections.get());
    page.counter(
        "clawlink_connections_unused_total",
        "Connections that ended without a request, those whose head did not come in time included.",
    )
    .counted(&traffic.unused);
    bounds(page, &state.flow);
}

/// What met a bound that all connections share.
fn bounds(page: &mut Exposition, flow: &Flow) {
    let count = |counter: &AtomicU64| counter.load(Relaxed);
    let counts = &flow.counts;
    page.counter(
        "clawlink_connections_refused_total",
        "Requests on a connection beyond the limit of connections.",
    )
    .is(count(&counts.connections_refused));
    let mut deadlines = page.counter(
        "clawlink_deadlines_total",
        "TLS handshakes, heads of later requests, bodies, and messages of sockets that did not come in time, and replies \
         that were not taken in time.",
    );
    for (what, late) in [
        ("handshake", &counts.late_handshakes),
        ("head", &counts.late_heads),
        ("body", &counts.late_bodies),
        ("message", &counts.late_messages),
        ("reply", &counts.late_replies),
    ] {
        deadlines.of(&[("what", what)], count(late));
    }
    let mut limited = page.counter(
        "clawlink_rate_limited_total",
        "Requests and tokens that were refused for the rate of their address or agent, and frames that waited for it.",
    );
    for (what, times) in [
        ("request", &counts.requests_limited),
        ("agent", &counts.agents_limited),
        ("token", &counts.tokens_limited),
        ("frame", &counts.frames_delayed),
    ] {
        limited.of(&[("what", what)], count(times));
    }
    page.gauge(
        "clawlink_requests_under_way",
        "Requests whose reply has not gone, with polls that wait and sockets; what an order to end waits for.",
    )
    .is(flow.under_way());
    page.gauge(
        "clawlink_in_flight_bytes",
        "Bytes of bodies and replies on their way, and of messages of sockets that have come in part.",
    )
    .is(flow.in_flight());
    page.counter(
        "clawlink_in_flight_refused_total",
        "Bodies and replies for which there was no room.",
    )
    .is(count(&counts.in_flight_refused));
}

fn agents(page: &mut Exposition, state: &State) {
    let relay = &state.relay;
    let (all, online) = (relay.directory.len(), relay.online());
    let mut agents = page.gauge("clawlink_agents", "Registered agents.");
    agents.of(&[("status", "online")], online);
    agents.of(&[("status", "stale")], all.saturating_sub(online));
    page.counter(
        "clawlink_agent_panics_total",
        "Panics in an agent's inbox, which was started again with its mail.",
    )
    .counted(&relay.metrics.agent_panics);
}

fn messages(page: &mut Exposition, state: &State) {
    let (relay, metrics) = (&state.relay, &state.relay.metrics);
    let mut held = page.gauge(
        "clawlink_inbox_messages",
        "Messages in all inboxes, waiting and in hand. What a plain poll took counts until its agent next does something, or falls silent.",
    );
    held.of(&[("kind", "mail")], relay.budget.messages(For::Mail));
    held.of(&[("kind", "notice")], relay.budget.messages(For::Notice));
    page.gauge(
        "clawlink_inboxes_bytes",
        "Bytes of them, as --inboxes-bytes counts them.",
    )
    .is(relay.budget.used());
    page.histogram(
        "clawlink_inbox_depth",
        "Mail in an inbox as a piece of mail is taken in, that one included. The count is that of all mail taken in.",
    )
    .spread(&[], &metrics.depth, 1.0);
    page.counter(
        "clawlink_deliveries_total",
        "Messages handed to a socket or to the reply of a poll.",
    )
    .by_both(["way", "kind"], &metrics.deliveries);
    page.counter(
        "clawlink_redeliveries_total",
        "Those of them that their agent may have seen before.",
    )
    .counted(&metrics.redeliveries);
    page.counter(
        "clawlink_receipts_total",
        "Receipts that came back, by what was asked and what came of it.",
    )
    .by_both(["action", "result"], &metrics.settled);
    page.counter("clawlink_leases_expired_total", "Leases that ran out.")
        .counted(&metrics.leases_expired);
    page.gauge("clawlink_polls_waiting", "Polls that wait for mail.")
        .is(metrics.polls_waiting.get());
    page.counter(
        "clawlink_polls_replaced_total",
        "Polls that waited and lost their place to a newer one of their agent.",
    )
    .counted(&metrics.polls_replaced);
    page.counter("clawlink_broadcasts_total", "Broadcasts taken.")
        .is(relay.herald.broadcasts());
}

/// What has not reached anybody.
fn ends(page: &mut Exposition, state: &State) {
    let metrics = &state.relay.metrics;
    page.counter(
        "clawlink_deaths_total",
        "Messages that died in an inbox. Of these only mail becomes a dead letter.",
    )
    .by_both(["kind", "reason"], &metrics.died);
    page.gauge("clawlink_dead_letters", "Dead letters that are kept.")
        .is(metrics.dead_letters.get());
    page.gauge("clawlink_dead_letters_bytes", "Bytes of them.")
        .is(metrics.dead_letters_bytes.get());
    page.counter(
        "clawlink_dead_letters_dropped_total",
        "Dead letters that made room for newer ones.",
    )
    .counted(&metrics.dead_letters_dropped);
    page.counter(
        "clawlink_senders_not_told_total",
        "Times that delivery_failed reached nobody: its sender is not registered, or has too many of them.",
    )
    .by("why", &metrics.not_told);
    page.counter(
        "clawlink_notices_missed_total",
        "Broadcasts and file notices that gave way in a full inbox, or found all inboxes together full.",
    )
    .by("full", &metrics.missed);
    page.counter(
        "clawlink_presence_notices_dropped_total",
        "Notices of who comes, falls silent or goes that were dropped: one socket, or all, did not keep up.",
    )
    .by("at", &metrics.presence_dropped);
}

fn sockets(page: &mut Exposition, state: &State) {
    let (relay, metrics) = (&state.relay, &state.relay.metrics);
    page.gauge("clawlink_sockets", "Sockets that are open.")
        .is(relay.herald.sockets());
    page.counter("clawlink_sockets_ended_total", "Sockets that have ended.")
        .by("why", &metrics.sockets_ended);
    page.counter(
        "clawlink_socket_windows_full_total",
        "Times that a socket had as much in flight as it may, and more waited.",
    )
    .counted(&metrics.windows_full);
    page.counter(
        "clawlink_socket_reads_paused_total",
        "Times that a socket was not read on, as too many of its frames waited.",
    )
    .counted(&metrics.reads_paused);
}

fn tasks(page: &mut Exposition, state: &State) {
    let (relay, metrics) = (&state.relay, &state.relay.metrics);
    let (open, ended, bytes) = relay.board.held();
    let mut tasks = page.gauge("clawlink_tasks", "Tasks that are kept.");
    tasks.of(&[("state", "open")], open);
    tasks.of(&[("state", "ended")], ended);
    page.gauge(
        "clawlink_tasks_bytes",
        "Bytes of them and their results, as --tasks-bytes counts them.",
    )
    .is(bytes);
    page.counter(
        "clawlink_partial_picks_total",
        "Delegations to a capability that more agents online have than were compared.",
    )
    .counted(&metrics.partial_picks);
    page.counter(
        "clawlink_tasks_passed_on_total",
        "Tasks sent to a capability that went to another agent, as the first was away.",
    )
    .by("reason", &metrics.passed_on);
    page.counter(
        "clawlink_task_steps_dropped_total",
        "Steps that left a task's history for newer ones.",
    )
    .counted(&metrics.steps_dropped);
}

fn kept(page: &mut Exposition, state: &State) {
    let (relay, metrics) = (&state.relay, &state.relay.metrics);
    page.gauge("clawlink_broadcasts_kept", "Broadcasts in the log.")
        .is(metrics.log.get());
    page.gauge("clawlink_broadcasts_kept_bytes", "Bytes of them.")
        .is(metrics.log_bytes.get());
    page.gauge("clawlink_files", "Files.")
        .is(relay.library.len());
    page.gauge(
        "clawlink_file_versions",
        "Versions of files that are kept, the current ones and deletions included.",
    )
    .is(metrics.versions.get());
    page.gauge(
        "clawlink_files_bytes",
        "Bytes of them, as --files-limit counts them.",
    )
    .is(metrics.files_bytes.get());
    page.counter(
        "clawlink_file_versions_gone_total",
        "Versions that made room: as their file had too many, or all files too many bytes.",
    )
    .by("why", &metrics.versions_gone);
    page.gauge("clawlink_merges_running", "Merges under way.")
        .is(relay.merges.running());
    page.counter("clawlink_merges_total", "Merges, by what came of them.")
        .by("result", &metrics.merges);
    page.gauge("clawlink_reservations", "Reservations.")
        .is(relay.reservations.count());
    let (keys, bytes, early) = relay.replays.held();
    page.gauge(
        "clawlink_idempotency_keys",
        "Idempotency keys that are remembered.",
    )
    .is(keys);
    page.gauge(
        "clawlink_idempotency_bytes",
        "Bytes of them and their replies.",
    )
    .is(bytes);
    page.counter(
        "clawlink_idempotency_keys_forgotten_total",
        "Keys that were forgotten before their time, to make room.",
    )
    .is(early);
}
