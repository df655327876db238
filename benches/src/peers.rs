//! What people would otherwise pick for a turn: Redis Streams, NATS JetStream. Servers of their own, on free
//! ports, that keep nothing; one connection for each of as many loops as the relay has.

use crate::Outcome;
use crate::agents::{AGENTS, CONNECTIONS, MORE, TASK, id};
use crate::http::Spent;
use crate::processes::{Server, other, program};
use crate::rounds::{Cost, cost};
use async_nats::jetstream;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::StorageType;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncTypedCommands, RedisResult};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// How long a read waits where there is nothing.
const BLOCK: Duration = Duration::from_secs(5);
/// The group of a Redis stream, and its consumer; the stream of NATS.
const GROUP: &str = "agents";

/// A server, what talks to it, and what it lies in.
pub(crate) struct Peer {
    server: Server,
    runtime: Runtime,
    clients: Clients,
    _folder: TempDir,
}

enum Clients {
    Redis(Vec<MultiplexedConnection>),
    Nats(Vec<jetstream::Context>, Vec<Vec<PullConsumer>>),
}

/// Redis; none where it is not on this machine.
pub(crate) fn redis() -> Outcome<Option<Peer>> {
    let Some(program) = program("redis-server") else {
        return Ok(None);
    };
    let folder = tempfile::tempdir()?;
    let server = other(|port| {
        let mut command = Command::new(&program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]);
        command.arg(folder.path());
        command
    })?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let clients = runtime.block_on(async {
        let client = redis::Client::open(format!("redis://{}/", server.address))?;
        let connect = || client.get_multiplexed_async_connection();
        let clients = try_join_all((0..CONNECTIONS).map(|_| connect())).await?;
        let mut first = clients[0].clone();
        for agent in 0..AGENTS {
            first.xgroup_create_mkstream(id(agent), GROUP, "$").await?;
        }
        RedisResult::Ok(clients)
    })?;
    Ok(Some(Peer {
        server,
        runtime,
        clients: Clients::Redis(clients),
        _folder: folder,
    }))
}

/// NATS; none where it is not on this machine.
pub(crate) fn nats() -> Outcome<Option<Peer>> {
    let Some(program) = program("nats-server") else {
        return Ok(None);
    };
    let folder = tempfile::tempdir()?;
    let server = other(|port| {
        let mut command = Command::new(&program);
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        command
            .args(["--jetstream", "--store_dir"])
            .arg(folder.path());
        command
    })?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let url = format!("nats://{}", server.address);
    let (contexts, consumers) = runtime.block_on(nats_clients(&url))?;
    Ok(Some(Peer {
        server,
        runtime,
        clients: Clients::Nats(contexts, consumers),
        _folder: folder,
    }))
}

type NatsClients = (Vec<jetstream::Context>, Vec<Vec<PullConsumer>>);

/// A client for each loop, and the consumers of its agents.
async fn nats_clients(url: &str) -> Outcome<NatsClients> {
    let mut contexts = Vec::new();
    let mut consumers = Vec::new();
    for connection in 0..CONNECTIONS {
        let context = jetstream::new(async_nats::connect(url).await?);
        let config = jetstream::stream::Config {
            name: GROUP.to_owned(),
            subjects: vec![format!("{GROUP}.*")],
            storage: StorageType::Memory,
            ..Default::default()
        };
        let stream = context.get_or_create_stream(config).await?;
        let mut own = Vec::new();
        for agent in (connection..AGENTS).step_by(CONNECTIONS) {
            let config = jetstream::consumer::pull::Config {
                durable_name: Some(id(agent)),
                filter_subject: format!("{GROUP}.{}", id(agent)),
                memory_storage: true,
                ..Default::default()
            };
            own.push(stream.create_consumer(config).await?);
        }
        contexts.push(context);
        consumers.push(own);
    }
    Ok((contexts, consumers))
}

impl Peer {
    /// A round of so many turns in so many loops. What it leaves is cleared away, which is not counted.
    pub(crate) fn turns(&self, count: usize, loops: usize) -> Outcome<Cost> {
        let each = count / loops;
        let cost = cost(&[&self.server.process], each * loops, || {
            let began = Instant::now();
            let latencies = self.runtime.block_on(turns(&self.clients, each, loops))?;
            let elapsed = began.elapsed();
            let mut latencies = latencies.concat();
            latencies.sort_unstable();
            Ok(Spent { elapsed, latencies })
        })?;
        self.runtime.block_on(clear(&self.clients))?;
        Ok(cost)
    }
}

async fn turns(clients: &Clients, each: usize, loops: usize) -> Outcome<Vec<Vec<Duration>>> {
    match clients {
        Clients::Redis(connections) => {
            let loops = connections.iter().enumerate().take(loops);
            try_join_all(loops.map(|(n, one)| redis_turns(n, one.clone(), each))).await
        }
        Clients::Nats(contexts, consumers) => {
            let loops = contexts.iter().zip(consumers).enumerate().take(loops);
            try_join_all(loops.map(|(n, (context, own))| nats_turns(n, context, own, each))).await
        }
    }
}

/// As much as a delegation carries.
fn payload(from: usize, to: usize) -> String {
    let (from, to) = (id(from), id(to));
    format!(r#"{{"from_agent":"{from}","to_agent":"{to}","task":"{TASK}",{MORE}}}"#)
}

/// The agents of a loop, in turn.
fn agents_of(connection: usize) -> impl Iterator<Item = usize> {
    (connection..AGENTS).step_by(CONNECTIONS).cycle()
}

async fn redis_turns(
    number: usize,
    mut connection: MultiplexedConnection,
    each: usize,
) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(each);
    let options = StreamReadOptions::default()
        .group(GROUP, GROUP)
        .block(BLOCK.as_millis() as usize)
        .count(50);
    for agent in agents_of(number).take(each) {
        let began = Instant::now();
        let key = id(agent);
        let fields = [("task", payload(agent, agent))];
        connection.xadd(&key, "*", &fields).await?;
        let read = connection.xread_options(&[&key], &[">"], &options).await?;
        let read: StreamReadReply = read.ok_or("Redis gave nothing")?;
        let ids: Vec<&str> = read
            .keys
            .iter()
            .flat_map(|key| &key.ids)
            .map(|id| &*id.id)
            .collect();
        let acked = connection.xack(&key, GROUP, &ids).await?;
        if acked != 1 {
            return Err("Redis gave more or less than was put".into());
        }
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

async fn nats_turns(
    number: usize,
    context: &jetstream::Context,
    consumers: &[PullConsumer],
    each: usize,
) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(each);
    let own = agents_of(number).zip(consumers.iter().cycle());
    for (agent, consumer) in own.take(each) {
        let began = Instant::now();
        let subject = format!("{GROUP}.{}", id(agent));
        let published = context
            .publish(subject, payload(agent, agent).into())
            .await?;
        published.await?;
        let batch = consumer.batch().max_messages(1).expires(BLOCK);
        let mut messages = batch.messages().await?;
        let message = messages.next().await.ok_or("NATS gave nothing")?;
        message?.ack().await?;
        latencies.push(began.elapsed());
    }
    // An acknowledgement is on its way until the connection was flushed.
    context.client().flush().await?;
    Ok(latencies)
}

async fn clear(clients: &Clients) -> Outcome<()> {
    match clients {
        Clients::Redis(connections) => {
            let mut first = connections[0].clone();
            for agent in 0..AGENTS {
                let trim = redis::streams::StreamMaxlen::Equals(0);
                first.xtrim(id(agent), trim).await?;
            }
        }
        Clients::Nats(contexts, _) => {
            contexts[0].get_stream(GROUP).await?.purge().await?;
        }
    }
    Ok(())
}
