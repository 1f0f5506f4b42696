//! The process: listening, serving, uploading when it is quiet, leaving.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_core::{Digest, RecipeKey};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use super::ask::Conversation;
use super::execute::Engines;
use super::instance;
use super::protocol::{Ask, Left, Reply, Request, Whom};
use super::remote::{Remote, locked};
use super::status;
use crate::config::RemoteSettings;

/// How often it is looked whether anything is to be done.
const LOOK: Duration = Duration::from_millis(500);
/// A build that asks for nothing for so long is over, or compiles something long. The end of most is told:
/// what is uploaded before that comes in small packs.
const QUIET: Duration = Duration::from_secs(30);
/// After an upload that failed; doubled each time.
const BACK_OFF: Duration = Duration::from_secs(30);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(900);
/// nice(2) of threads that pack and upload.
pub(super) const LOW: i32 = 15;
const WORKERS: usize = 4;

/// Runs the agent until it has been idle for so long, or is told to end.
pub(crate) fn serve(dir: &Path, idle: Duration) -> ExitCode {
    // Not a part of the build that started it: its terminal's signals are not for this process.
    let _ = rustix::process::setsid();
    close_inherited();
    let Some((listener, _lock)) = listen(dir) else { return ExitCode::FAILURE };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    let served = runtime.block_on(async {
        let listener = UnixListener::from_std(listener)?;
        Arc::new(Agent::new(idle)).run(listener, &dir.join("socket")).await
    });
    if served.is_ok() {
        let _ = fs::remove_file(dir.join("socket"));
    }
    // What is under way is begun again by the next one.
    runtime.shutdown_background();
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Closes what the build that started this had open, such as the pipe of its job tokens or of whoever reads
/// its output to the end. Nothing of this process's own is open yet.
fn close_inherited() {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.collect::<Vec<_>>().into_iter().filter(|number| *number > 2) {
        // The directory that was listed is among them, and closed already.
        let _ = nix::unistd::close(number);
    }
}

/// Listens, and tells whoever started this. `None` when another one does already.
fn listen(dir: &Path) -> Option<(std::os::unix::net::UnixListener, File)> {
    fs::create_dir_all(dir).ok()?;
    let lock = instance::take(dir)?;
    let _ = fs::remove_file(dir.join("socket"));
    let handle = File::open(dir).ok()?;
    let path = format!("/proc/self/fd/{}/socket", handle.as_raw_fd());
    let listener = std::os::unix::net::UnixListener::bind(path).ok()?;
    listener.set_nonblocking(true).ok()?;
    let _ = fs::remove_file(dir.join("avoid"));
    let _ = io::stdout().write_all(b"r").and_then(|()| io::stdout().flush());
    // Whoever reads to the end must not wait for this process.
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
    Some((listener, lock))
}

struct Agent {
    remotes: Mutex<HashMap<Digest, Arc<Open>>>,
    engines: Engines,
    connections: AtomicUsize,
    last: Mutex<Instant>,
    idle: Duration,
}

/// A remote, and when its spool is next looked at.
struct Open {
    remote: Arc<Remote>,
    uploads: AtomicUsize,
    failures: AtomicU64,
    not_before: Mutex<Instant>,
}

impl Agent {
    fn new(idle: Duration) -> Self {
        Self {
            remotes: Mutex::default(),
            engines: Engines::default(),
            connections: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            idle,
        }
    }

    async fn run(self: Arc<Self>, listener: UnixListener, socket: &Path) -> io::Result<()> {
        let file = |path: &Path| Some(fs::symlink_metadata(path).ok()?.ino());
        let own = file(socket);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                connection = listener.accept() => {
                    let agent = self.clone();
                    let (stream, _) = connection?;
                    tokio::spawn(async move { agent.connection(stream).await });
                }
                _ = look.tick() => {
                    if self.is_idle() {
                        return Ok(());
                    }
                    if file(socket) != own {
                        // Nobody finds this agent any more.
                        return Err(io::ErrorKind::NotFound.into());
                    }
                    self.upload_what_is_quiet();
                }
                _ = terminate.recv() => return Ok(()),
            }
        }
    }

    fn is_idle(&self) -> bool {
        let busy = locked(&self.remotes).values().any(|open| open.is_uploading());
        !busy
            && self.connections.load(Ordering::Relaxed) == 0
            && locked(&self.last).elapsed() >= self.idle
    }

    fn upload_what_is_quiet(&self) {
        for open in locked(&self.remotes).values() {
            let due = Instant::now() >= *locked(&open.not_before);
            let quiet = open.remote.touched().is_none_or(|since| since.elapsed() >= QUIET);
            if due && quiet && open.has_work() {
                open.upload_in_background();
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: UnixStream) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        // Whoever has gone away needs no answer.
        let _ = self.answer(&mut Conversation::new(stream)).await;
        *locked(&self.last) = Instant::now();
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    async fn answer(&self, talk: &mut Conversation) -> io::Result<()> {
        let request: Request = talk.hear().await?.parse()?;
        let remote = match request.whom {
            Whom::Remote(remote) => remote,
            Whom::Engine(settings) => {
                return self.engines.answer(settings, request.ask, talk).await;
            }
        };
        let open = match self.open(remote) {
            Ok(open) => open,
            Err(why) => return talk.say(&Reply::Nothing { why }).await,
        };
        let key = |hex: &str| hex.parse().map(RecipeKey).map_err(io::Error::other);
        match request.ask {
            Ask::Bring { key: hex } => open.remote.bring(&key(&hex)?, talk).await,
            Ask::BringBuild { exact, near } => {
                let near: Result<Vec<_>, _> = near.iter().map(|near| key(near)).collect();
                open.remote.bring_build(&key(&exact)?, near?, talk).await
            }
            Ask::Poke => {
                talk.say(&Reply::Done).await?;
                open.upload_in_background();
                Ok(())
            }
            Ask::Push => {
                let pushed = open.upload().await;
                talk.say(&Reply::Pushed(pushed)).await
            }
            Ask::Execute(_) => {
                let why = "a remote executes nothing".into();
                talk.say(&Reply::Nothing { why }).await
            }
            Ask::Status => talk.say(&Reply::Status(status::of(&self.same_as(&open)))).await,
        }
    }

    /// All that are open of a remote: who asks from a terminal has another environment than a compiler that
    /// cargo starts (which sets `SSL_CERT_FILE`, for one).
    fn same_as(&self, open: &Open) -> Vec<Arc<Remote>> {
        let remotes = locked(&self.remotes);
        let same = remotes.values().filter(|other| other.remote.dir == open.remote.dir);
        same.map(|open| open.remote.clone()).collect()
    }

    /// The remote of these settings, opened if it is a new one.
    fn open(&self, settings: RemoteSettings) -> Result<Arc<Open>, String> {
        let name = Digest::of(&serde_json::to_vec(&settings).unwrap_or_default());
        let mut remotes = locked(&self.remotes);
        if let Some(open) = remotes.get(&name) {
            return Ok(open.clone());
        }
        let remote = Remote::open(settings).map_err(|error| error.to_string())?;
        let open = Arc::new(Open {
            remote: Arc::new(remote),
            uploads: AtomicUsize::new(0),
            failures: AtomicU64::new(0),
            not_before: Mutex::new(Instant::now()),
        });
        remotes.insert(name, open.clone());
        Ok(open)
    }
}

impl Open {
    fn is_uploading(&self) -> bool {
        self.uploads.load(Ordering::Relaxed) > 0
    }

    fn has_work(&self) -> bool {
        !self.is_uploading() && self.remote.depot.writes() && !self.remote.spool.items().is_empty()
    }

    fn upload_in_background(self: &Arc<Self>) {
        if self.has_work() {
            let open = self.clone();
            tokio::spawn(async move { open.upload().await });
        }
    }

    /// Uploads on a thread of low priority: a compile must not notice.
    async fn upload(self: &Arc<Self>) -> Left {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (open, runtime) = (self.clone(), Handle::current());
        open.uploads.fetch_add(1, Ordering::Relaxed);
        let thread = std::thread::Builder::new().name("upload".into()).spawn(move || {
            // On Linux this is the thread's own (nice(2), "C library/kernel differences").
            let _ = rustix::process::nice(LOW);
            let left = runtime.block_on(open.remote.upload());
            open.uploads.fetch_sub(1, Ordering::Relaxed);
            open.settle(&left);
            let _ = tell.send(left);
        });
        if thread.is_err() {
            self.uploads.fetch_sub(1, Ordering::Relaxed);
        }
        told.await.unwrap_or_default()
    }

    fn settle(&self, left: &Left) {
        if left.trouble.is_none() {
            self.failures.store(0, Ordering::Relaxed);
            return;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(5);
        let pause = BACK_OFF * 2_u32.pow(u32::try_from(failures).unwrap_or(5));
        *locked(&self.not_before) = Instant::now() + pause.min(LONGEST_BACK_OFF);
    }
}
