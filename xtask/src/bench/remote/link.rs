//! A link to a server that is as slow or as bad as it is told to be, and counts.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::http::Requests;

/// Bytes that are passed on at a time.
const PIECE: usize = 16 << 10;
/// Pieces under way in one direction of a connection.
const UNDER_WAY: usize = 1024;

/// What a link is like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions {
    /// Added to each answer: half on the way there, half on the way back.
    pub(super) round_trip: Duration,
    /// Bytes a second in each direction, for all connections together.
    pub(super) rate: Option<u64>,
    /// Of 10 requests, how many fail: answered with 503, or cut off, in turn.
    pub(super) failing: u64,
    /// Requests are taken and never answered.
    pub(super) hangs: bool,
}

/// What went over a link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// Requests of clients.
    pub(super) requests: u64,
    /// Bytes to the server.
    pub(super) up: u64,
    /// Bytes from the server.
    pub(super) down: u64,
}

/// A TCP port in front of a server's. Its threads end with their connections; that which accepts
/// them, with this process.
pub(super) struct Link {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    conditions: Mutex<Conditions>,
    requests: AtomicU64,
    up: Way,
    down: Way,
}

/// One direction, shared by all connections.
#[derive(Default)]
struct Way {
    bytes: AtomicU64,
    /// Until when what was sent so far keeps the wire busy.
    busy: Mutex<Option<Instant>>,
}

impl Way {
    /// Counts bytes, and waits until the wire has taken them.
    fn pass(&self, length: usize, rate: Option<u64>) {
        self.bytes.fetch_add(length as u64, Ordering::Relaxed);
        let Some(rate) = rate else { return };
        let takes = Duration::from_secs(1).mul_f64(length as f64 / rate as f64);
        let until = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let until = busy.filter(|busy| *busy > now).unwrap_or(now) + takes;
            *busy = Some(until);
            until
        };
        sleep(until.saturating_duration_since(Instant::now()));
    }
}

impl Link {
    /// Opens a port in front of `server`, a `HOST:PORT` of this machine.
    ///
    /// # Errors
    /// When there is no port, or the address is none.
    pub(super) fn to(server: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            server: server.parse().with_context(|| format!("{server} is no address"))?,
            conditions: Mutex::default(),
            requests: AtomicU64::new(0),
            up: Way::default(),
            down: Way::default(),
        });
        let link = Self { port, shared: shared.clone() };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || shared.serve(&client));
            }
        });
        Ok(link)
    }

    /// Where clients connect to.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Changes the conditions, for what is sent from now on, and counts anew.
    pub(super) fn set(&self, conditions: Conditions) {
        *self.shared.conditions.lock().unwrap_or_else(PoisonError::into_inner) = conditions;
        self.shared.requests.store(0, Ordering::Relaxed);
        self.shared.up.bytes.store(0, Ordering::Relaxed);
        self.shared.down.bytes.store(0, Ordering::Relaxed);
    }

    /// What went over it since the conditions were set.
    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.shared.requests.load(Ordering::Relaxed),
            up: self.shared.up.bytes.load(Ordering::Relaxed),
            down: self.shared.down.bytes.load(Ordering::Relaxed),
        }
    }
}

/// What one half of a connection gives the other: bytes and when they arrive.
type Sent = (Instant, Vec<u8>);

impl Shared {
    fn conditions(&self) -> Conditions {
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else { return };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (up, to_server) = sync_channel(UNDER_WAY);
        let (down, to_client) = sync_channel(UNDER_WAY);
        let server = &server;
        thread::scope(|scope| {
            scope.spawn(move || deliver(to_server, server));
            scope.spawn(move || deliver(to_client, client));
            scope.spawn(move || self.downwards(server, &down));
            self.upwards(client, server, &up);
            drop(up);
        });
    }

    fn upwards(&self, client: &TcpStream, server: &TcpStream, to: &SyncSender<Sent>) {
        let mut requests = Requests::default();
        receive(client, &mut |bytes| {
            let conditions = self.conditions();
            for _ in 0..requests.take(&bytes) {
                let number = self.requests.fetch_add(1, Ordering::Relaxed);
                // 3 and 10 have no common divisor: those that fail are spread over the ten.
                if (number * 3) % 10 < conditions.failing {
                    refuse(client, number);
                    let _ = server.shutdown(Shutdown::Both);
                    return false;
                }
            }
            self.up.pass(bytes.len(), conditions.rate);
            conditions.hangs || to.send((arrival(conditions), bytes)).is_ok()
        });
    }

    fn downwards(&self, server: &TcpStream, to: &SyncSender<Sent>) {
        receive(server, &mut |bytes| {
            let conditions = self.conditions();
            self.down.pass(bytes.len(), conditions.rate);
            to.send((arrival(conditions), bytes)).is_ok()
        });
    }
}

fn arrival(conditions: Conditions) -> Instant {
    Instant::now() + conditions.round_trip / 2
}

fn refuse(mut client: &TcpStream, number: u64) {
    if number.is_multiple_of(2) {
        let answer =
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = client.write_all(answer);
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// Reads to the end, or until `each` has enough.
fn receive(mut from: &TcpStream, each: &mut dyn FnMut(Vec<u8>) -> bool) {
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if !each(piece[..length].to_vec()) {
            return;
        }
    }
}

/// Writes what has arrived, until the sender is gone.
fn deliver(from: Receiver<Sent>, mut to: &TcpStream) {
    for (due, bytes) in from {
        sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers `ok` to each request, on one connection after the other.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut requests = Requests::default();
                    receive(&client, &mut |bytes| {
                        (0..requests.take(&bytes)).all(|_| {
                            (&client)
                                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                                .is_ok()
                        })
                    });
                });
            }
        });
        address
    }

    fn ask(link: &Link) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", link.port())).expect("connect");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("write");
        let mut answer = vec![0; 200];
        let length = stream.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[test]
    fn what_goes_through_is_counted_and_some_of_it_fails() {
        let link = Link::to(&server().to_string()).expect("link");
        assert!(ask(&link).ends_with("ok"));
        let traffic = link.traffic();
        assert_eq!((traffic.requests, traffic.up), (1, 18));
        assert!(traffic.down > 20);
        link.set(Conditions { failing: 3, ..Conditions::default() });
        let answered = (0..20).filter(|_| ask(&link).ends_with("ok")).count();
        assert_eq!(answered, 14);
        assert_eq!(link.traffic().requests, 20);
    }
}
