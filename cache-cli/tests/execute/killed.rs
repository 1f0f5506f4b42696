//! The engine is killed at any moment, and comes again: builds are right.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::harness::Files;
use crate::support::{lab_on, project, sent, starter, varied};

/// Unless `LARDER_TEST_KILLS` says otherwise.
const BUILDS: u64 = 2;
/// An engine starts in milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// An engine of this test's own.
struct Engine {
    script: String,
    port: u16,
    directory: PathBuf,
    process: Child,
}

impl Engine {
    fn start(script: String, directory: PathBuf) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.expect("a port").port();
        fs::create_dir_all(&directory).expect("a directory");
        let process = started(&script, port, &directory);
        Self { script, port, directory, process }
    }

    fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it can be waited for");
    }

    /// With all that it had when it was killed.
    fn again(&mut self) {
        self.process = started(&self.script, self.port, &self.directory);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn started(script: &str, port: u16, directory: &Path) -> Child {
    let began = Instant::now();
    loop {
        let mut command = Command::new(script);
        command.arg(port.to_string()).arg(directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("an engine");
        while process.try_wait().expect("a state").is_none() {
            assert!(began.elapsed() < PATIENCE, "the engine does not start");
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return process;
            }
            sleep(PAUSE);
        }
        // Somebody else had the port for a moment.
        assert!(began.elapsed() < PATIENCE, "the engine ends");
    }
}

/// Kills the engine at moments within `span` that `seed` says, and starts it again, while `work` goes
/// on; how often.
fn while_killing(engine: &mut Engine, seed: u64, span: Duration, work: impl FnOnce()) -> usize {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let (mut random, mut killed) = (seed | 1, 0);
            let mut moment = |span: Duration| {
                // xorshift
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let part = u32::try_from(random % 1000).expect("a small number");
                let until = Instant::now() + span / 1000 * part;
                while Instant::now() < until && !done.load(Ordering::SeqCst) {
                    sleep(PAUSE);
                }
            };
            while !done.load(Ordering::SeqCst) {
                moment(span / 2);
                engine.kill();
                moment(span / 4);
                engine.again();
                killed += 1;
            }
            killed
        });
        work();
        done.store(true, Ordering::SeqCst);
        killer.join().expect("the killer")
    })
}

/// The project, with other sources each time.
fn files(seed: u64) -> Files {
    varied(project(), &seed.to_string())
}

#[test]
fn an_engine_that_is_killed_at_any_moment() {
    let Some(script) = starter() else { return };
    let builds = std::env::var("LARDER_TEST_KILLS").ok();
    let builds = builds.map_or(BUILDS, |text| text.parse().expect("a number"));
    let lab = lab_on("off");
    let mut engine = Engine::start(script, lab.root.join("casd"));
    lab.set_env("LARDER_EXECUTE", format!("grpc://127.0.0.1:{}", engine.port));
    let began = Instant::now();
    lab.checkout("first/ws", &files(0)).build_and_run();
    let span = began.elapsed();
    let (mut killed, mut there, mut here) = (0, 0, 0);
    for seed in 1..=builds {
        // One that knows of no failure.
        lab.larder(&["agent", "--stop"]);
        let (plain, checkout) = (
            lab.plain(&format!("plain{seed}/ws"), &files(seed)),
            lab.checkout(&format!("build{seed}/ws"), &files(seed)),
        );
        plain.build_and_run();
        killed += while_killing(&mut engine, seed * 0x9e37_79b9, span, || {
            assert_eq!(checkout.build_and_run(), "made data\n");
        });
        plain.assert_same(&checkout);
        let sent = sent(&checkout.last());
        there += sent.values().filter(|sent| *sent == "used").count();
        here += sent.values().filter(|sent| sent.starts_with("failed: ")).count();
    }
    println!(
        "{builds} builds, {killed} kills, {there} units compiled there, {here} here after all"
    );
    assert!(killed > 0);
}
