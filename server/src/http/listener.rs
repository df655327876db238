//! From a listening port to the calls: what `actix_web::HttpServer` does, with the relay's own
//! [`Link`] in between, for which it has no place.

use super::Shared;
use super::connection::Conversation;
use super::desk::Desk;
use super::flow::{Flow, count};
use super::link::{Link, Watch};
use super::traffic::Connection;
use super::turns::Held;
use super::upgrade::Upgrades;
use crate::config::FlowLimits;
use crate::machine::unseated;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request};
use actix_service::{IntoServiceFactory, ServiceFactory, fn_factory, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Response, Server, Service, fn_service};
use actix_web::rt::net::TcpStream;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use std::fmt::Debug;
use std::future::ready;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tracing::debug;

/// Bytes of a reply that may have left its message's hands without having left the process. The
/// next part of a reply is asked for when no more than this waits; a usual reply is written at once.
const WRITE_BUFFER: usize = 4 * 1024;
/// How long a connection that is being ended may take for that.
const DISCONNECT: Duration = Duration::from_secs(1);
/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 1024;
/// Silence on a connection before TCP asks whether the peer is there, and between two questions.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(15), 3);

/// Takes a port.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A connection's bytes, encrypted or not.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What connections get.
#[derive(Clone)]
pub struct Connections {
    /// What every call reads.
    pub state: Shared,
    /// How they are encrypted, if they are.
    pub tls: Option<TlsAcceptor>,
    /// The `TCP_USER_TIMEOUT` of each.
    pub dead_peer_after: Duration,
}

/// Serves what comes there. `app` makes the calls anew for each worker, on its thread.
pub fn serve<F, I, S>(
    listener: TcpListener,
    connections: Connections,
    app: F,
) -> std::io::Result<Server>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = Response<Held>> + 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: Debug,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
{
    let flow = connections.state.flow.clone();
    let address = listener.local_addr()?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    // Each worker counts its own. Some more are taken than have a place, and told so.
    let places = flow.limits.connections;
    let places = places.saturating_add(unseated(places));
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(places.div_ceil(workers))
        .shutdown_timeout(flow.limits.shutdown.as_secs())
        .disable_signals();
    let ending = builder.graceful_shutdown_signal();
    let builder = builder.listen("clawlink", listener, move || {
        let (connections, ending) = (connections.clone(), ending.clone());
        // Its defaults are what a call may read of its own address, which none of ours does.
        let app = map_config(app().into_factory(), |()| AppConfig::default());
        fn_factory(move || {
            let (connections, ending) = (connections.clone(), ending.clone());
            let app = app.new_service(());
            async move {
                let app = app.await.map(Rc::new).map_err(drop)?;
                let ends = move || {
                    let ending = ending.clone();
                    async move { ending.notified().await }
                };
                let limits = connections.state.flow.limits;
                let http = http(app, address, limits, ends).new_service(());
                let (desk, http) = (Desk::new(connections.state), http.await?);
                let (desk, http) = (Rc::new(desk), Rc::new(http));
                Ok::<_, ()>(fn_service(move |stream| {
                    prepare(&stream, connections.dead_peer_after);
                    connection(desk.clone(), http.clone(), stream, connections.tls.clone())
                }))
            }
        })
    })?;
    Ok(builder.run())
}

/// HTTP on a connection. One app answers both what stays with it and what it hands on.
fn http<S, E, N>(
    app: Rc<S>,
    address: SocketAddr,
    limits: FlowLimits,
    ends: E,
) -> impl ServiceFactory<
    (Link<Stream>, Protocol, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
>
where
    S: Service<Request, Response = Response<Held>> + 'static,
    S::Error: Into<Response<BoxBody>>,
    S::Future: 'static,
    E: Fn() -> N + 'static,
    N: Future<Output = ()> + 'static,
{
    let upgrades = Upgrades::new(app.clone());
    HttpService::build()
        .graceful_shutdown_signal(ends)
        .keep_alive(limits.keep_alive)
        // The link watches over heads.
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(DISCONNECT)
        .h1_allow_half_closed(false)
        .h1_write_buffer_size(WRITE_BUFFER)
        .local_addr(address)
        .on_connect_ext(|link: &Link<Stream>, data| {
            data.insert::<Rc<Watch>>(link.watch().clone());
        })
        .upgrade(fn_factory(move || ready(Ok::<_, ()>(upgrades.clone()))))
        .finish(fn_factory(move || ready(Ok::<_, ()>(app.clone()))))
}

/// One connection, to its end. What is large is boxed, for as long as it is needed: the task of a
/// socket holds nothing of HTTP and of handshakes.
async fn connection<H>(
    desk: Rc<Desk>,
    http: Rc<H>,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
) -> Result<(), DispatchError>
where
    H: Service<(Link<Stream>, Protocol, Option<SocketAddr>), Response = (), Error = DispatchError>,
{
    let peer = stream.peer_addr().ok();
    let flow = desk.state.flow.clone();
    flow.wait_for_turn().await;
    let stream = match tls {
        None => Either::Left(stream),
        Some(tls) => Either::Right(Box::pin(encrypted(tls, stream, &flow)).await?),
    };
    let watch = Watch::new(flow);
    let _counted = Connection::opened(desk.state.clone(), watch.clone());
    let conversation = Conversation::new(desk, http, watch.clone(), peer);
    Box::pin(conversation.hold(stream)).await?;
    if let Some(socket) = watch.goes_on() {
        socket.await;
    }
    Ok(())
}

async fn encrypted(
    tls: TlsAcceptor,
    stream: TcpStream,
    flow: &Flow,
) -> Result<Box<TlsStream<TcpStream>>, DispatchError> {
    let handshake = tokio::time::timeout(flow.limits.handshake, tls.accept(stream)).await;
    let late = |_| {
        count(&flow.counts.late_handshakes);
        std::io::Error::from(std::io::ErrorKind::TimedOut)
    };
    let stream = handshake.map_err(late).flatten();
    stream.map(Box::new).map_err(DispatchError::Io)
}

/// A peer that has vanished, or that stops reading, is given up by TCP: neither the HTTP layer nor
/// a socket's actor would notice.
fn prepare(stream: &TcpStream, dead_peer_after: Duration) {
    let socket = SockRef::from(stream);
    let (idle, interval, probes) = KEEPALIVE;
    let keepalive = TcpKeepalive::new()
        .with_time(idle)
        .with_interval(interval)
        .with_retries(probes);
    let set = socket
        .set_tcp_keepalive(&keepalive)
        .and_then(|()| socket.set_tcp_nodelay(true));
    #[cfg(target_os = "linux")]
    let set = set.and_then(|()| socket.set_tcp_user_timeout(Some(dead_peer_after)));
    #[cfg(not(target_os = "linux"))]
    let _ = dead_peer_after;
    if let Err(error) = set {
        debug!(%error, "a connection was closed before it began");
    }
}
