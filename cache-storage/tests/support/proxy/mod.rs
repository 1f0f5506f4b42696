//! A proxy for one HTTP/1.1 server that does to it what networks and servers do on bad days.
//!
//! It asks server and client to close each connection after one request, so that a connection is a
//! request: requests can be counted, and a fault strikes one of them, without understanding more of
//! HTTP than where a head ends.

mod fault;
mod head;
mod relay;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub(crate) use fault::{Fault, Rule};
use head::Head;

/// What went through.
#[derive(Default)]
pub(crate) struct Counts {
    /// Requests that came, answered or not, by method.
    requests: Mutex<BTreeMap<String, u64>>,
    /// Bytes of bodies from the client that the server has been given.
    up: AtomicU64,
    /// Bytes from the server that the client has been given.
    down: AtomicU64,
    /// Answers of which a byte was changed.
    struck: AtomicU64,
}

impl Counts {
    fn note(&self, method: &str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(method.to_owned()).or_default() += 1;
    }

    fn of(&self, counts: impl Fn(&str) -> bool) -> u64 {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|(method, _)| counts(method)).map(|(_, count)| count).sum()
    }
}

struct State {
    upstream: String,
    /// TLS towards the client.
    tls: Option<TlsAcceptor>,
    counts: Counts,
    rules: Mutex<Vec<Rule>>,
}

/// A proxy that runs until it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy for the server at `upstream`, a URL, on a free port of the loopback interface.
    pub(crate) async fn start(upstream: &str) -> Self {
        Self::with(upstream, None).await
    }

    /// The same, speaking TLS with its clients.
    pub(crate) async fn start_tls(upstream: &str, tls: TlsAcceptor) -> Self {
        Self::with(upstream, Some(tls)).await
    }

    async fn with(upstream: &str, tls: Option<TlsAcceptor>) -> Self {
        let host = upstream.split_once("://").map_or(upstream, |(_, rest)| rest);
        let upstream = host.split('/').next().unwrap_or(host).to_owned();
        let listener = small_socket().and_then(|socket| {
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            socket.listen(1024)
        });
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (counts, rules) = (Counts::default(), Mutex::default());
        let state = Arc::new(State { upstream, tls, counts, rules });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// Where it listens: host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL `of` the server behind it, with the proxy in its place.
    pub(crate) fn instead_of(&self, of: &str) -> String {
        of.replacen(&self.state.upstream, &self.address.to_string(), 1)
    }

    /// Adds a rule. Of those that apply to a request the one added last counts.
    pub(crate) fn add(&self, rule: Rule) {
        self.state.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.state.counts.of(|_| true)
    }

    /// Requests of this method so far.
    pub(crate) fn requests_of(&self, method: &str) -> u64 {
        self.state.counts.of(|counted| counted == method)
    }

    /// Answers that said yes and of which a byte was changed so far.
    #[allow(dead_code, reason = "only some of the test programs ask for it")]
    pub(crate) fn struck(&self) -> u64 {
        self.state.counts.struck.load(Ordering::SeqCst)
    }

    /// Bytes of bodies that went up so far.
    pub(crate) fn up(&self) -> u64 {
        self.state.counts.up.load(Ordering::SeqCst)
    }

    /// Bytes that came down so far, heads included.
    pub(crate) fn down(&self) -> u64 {
        self.state.counts.down.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A socket that holds little: what is under way is then with the client or the server, where tests
/// look for it. Accepted sockets have the listening one's sizes.
fn small_socket() -> std::io::Result<TcpSocket> {
    const SIZE: u32 = 128 << 10;
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(SIZE)?;
    socket.set_recv_buffer_size(SIZE)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        // Either side may break off at any time; that is what the tests are about.
        tokio::spawn(async move { serve(client, &state).await.unwrap_or_default() });
    }
}

async fn serve(client: TcpStream, state: &State) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    match &state.tls {
        None => request(client, state).await,
        Some(tls) => request(tls.accept(client).await?, state).await,
    }
}

async fn request(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    state: &State,
) -> std::io::Result<()> {
    let Some(request) = Head::read(&mut client).await? else { return Ok(()) };
    state.counts.note(request.method());
    let fault = state.fault(&request);
    relay::run(client, request, &state.upstream, fault, &state.counts).await
}

impl State {
    fn fault(&self, request: &Head) -> Fault {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.iter_mut().rev().find(|rule| rule.applies_to(request));
        rule.map_or(Fault::None, Rule::strike)
    }
}
