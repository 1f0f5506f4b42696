//! The engine with somewhere to bring outcomes from: asked after a miss, waited for, raced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cache_core::{Digest, RecipeKey};
use cache_rustc::engine::{
    CollectedStreams, Coming, Engine, Mode, News, Options, Report, Request, Served, Supplied,
    Supply,
};
use cache_storage::{Expected, MemoryStore, Store};
use futures::executor::block_on;

/// For what should happen at once; a test that fails does not hang.
const LONG: Duration = Duration::from_secs(60);

/// How a supply behaves.
#[derive(Clone)]
enum Behaviour {
    /// Brings what is chosen at once, and is worth waiting for.
    Prompt,
    /// Is not worth waiting for, and comes when something was written to this pipe.
    ComesAfter(PathBuf),
    /// Says nothing until it is cancelled.
    Hangs,
    /// Has nothing.
    Empty,
}

#[derive(Debug, Default)]
struct Seen {
    asked: usize,
    chosen: Vec<Option<Digest>>,
    cancelled: bool,
    stored: Vec<(RecipeKey, Digest)>,
}

/// Brings what another machine's store has.
struct Fake {
    there: Arc<MemoryStore>,
    here: Arc<MemoryStore>,
    behaviour: Behaviour,
    seen: Arc<Mutex<Seen>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Supply for Fake {
    fn bring(&self, key: &RecipeKey) -> Option<Box<dyn Coming>> {
        self.seen.lock().unwrap().asked += 1;
        let record = block_on(self.there.get_record(key)).unwrap().map(|stored| stored.bytes);
        Some(Box::new(FakeComing {
            there: self.there.clone(),
            here: self.here.clone(),
            key: *key,
            offer: record.clone(),
            record,
            behaviour: self.behaviour.clone(),
            chosen: None,
            seen: self.seen.clone(),
            cancelled: Arc::default(),
        }))
    }

    fn stored(&self, key: &RecipeKey, outcome: &Digest) {
        self.seen.lock().unwrap().stored.push((*key, *outcome));
    }

    fn bring_build(&self, _: &RecipeKey, _: &[RecipeKey]) -> bool {
        false
    }

    fn build_known(&self, _: &RecipeKey, _: &[RecipeKey]) {}
}

struct FakeComing {
    there: Arc<MemoryStore>,
    here: Arc<MemoryStore>,
    key: RecipeKey,
    record: Option<bytes::Bytes>,
    offer: Option<bytes::Bytes>,
    behaviour: Behaviour,
    chosen: Option<Digest>,
    seen: Arc<Mutex<Seen>>,
    cancelled: Arc<(Mutex<bool>, Condvar)>,
}

impl FakeComing {
    fn copy(&self) {
        let record = self.record.clone().unwrap();
        for (blob, size) in cache_core::wire::refs(&record).unwrap() {
            let bytes = block_on(self.there.read_blob(&blob)).unwrap();
            block_on(self.here.write_blob(&blob, size, bytes)).unwrap();
        }
        block_on(self.here.put_record(&self.key, record, Expected::Absent)).unwrap();
    }

    fn is_cancelled_within(&self, limit: Duration) -> bool {
        let (cancelled, changed) = &*self.cancelled;
        let guard = cancelled.lock().unwrap();
        *changed.wait_timeout_while(guard, limit, |cancelled| !*cancelled).unwrap().0
    }
}

impl Coming for FakeComing {
    fn patience(&self) -> Duration {
        match self.behaviour {
            Behaviour::Prompt | Behaviour::Empty => LONG,
            Behaviour::ComesAfter(_) | Behaviour::Hangs => Duration::ZERO,
        }
    }

    fn wait(&mut self, limit: Duration) -> News {
        match &self.behaviour {
            Behaviour::Empty => return News::Nothing,
            Behaviour::Hangs | Behaviour::ComesAfter(_) if limit.is_zero() => return News::NotYet,
            Behaviour::Hangs if self.is_cancelled_within(limit) => return News::Nothing,
            Behaviour::Hangs => return News::NotYet,
            Behaviour::ComesAfter(pipe) if self.offer.is_some() => {
                fs::read(pipe).unwrap();
            }
            Behaviour::Prompt | Behaviour::ComesAfter(_) => {}
        }
        match (self.offer.take(), self.chosen) {
            (Some(record), _) => News::Offer(record),
            (None, Some(_)) => {
                self.copy();
                News::Here
            }
            (None, None) => News::Nothing,
        }
    }

    fn choose(&mut self, outcome: Option<&Digest>) {
        self.chosen = outcome.copied();
        self.seen.lock().unwrap().chosen.push(self.chosen);
    }

    fn canceller(&self) -> Box<dyn Fn() + Send + Sync> {
        let (cancelled, seen) = (self.cancelled.clone(), self.seen.clone());
        Box::new(move || {
            seen.lock().unwrap().cancelled = true;
            *cancelled.0.lock().unwrap() = true;
            cancelled.1.notify_all();
        })
    }
}

/// Links with `cc`, but when it is told to, only after it has said its number into one pipe and heard
/// something from another.
const LINKER: &str = r#"#!/bin/sh
if [ -n "$LARDER_TEST_BLOCK" ]; then
    echo $$ > "$LARDER_TEST_BLOCK/started"
    read line < "$LARDER_TEST_BLOCK/go"
fi
exec cc "$@"
"#;

/// A program, built on a machine that stores it and on another one.
struct Lab {
    dir: tempfile::TempDir,
    there: Arc<MemoryStore>,
    here: Arc<MemoryStore>,
    seen: Arc<Mutex<Seen>>,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let linker = dir.path().join("linker");
        // Written by another process: none that this one starts can have it open for writing.
        let write = format!("cat > '{}'", linker.display());
        let mut shell = Command::new("sh")
            .args(["-c", &write])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), LINKER.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        fs::set_permissions(&linker, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["a", "b"] {
            let root = dir.path().join(name);
            fs::create_dir_all(root.join("src")).unwrap();
            fs::create_dir_all(root.join("target/debug/deps")).unwrap();
            fs::write(root.join("target/CACHEDIR.TAG"), "").unwrap();
            fs::write(root.join("src/main.rs"), "fn main() { println!(\"made\"); }\n").unwrap();
        }
        Self { dir, there: Arc::default(), here: Arc::default(), seen: Arc::default() }
    }

    fn root(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.root(name).join("target/debug/deps/app-0123456789abcdef")
    }

    fn request(&self, name: &str, env: &[(&str, &Path)]) -> Request {
        let words = "rustc --crate-name app --edition=2021 src/main.rs --error-format=json \
                     --json=diagnostic-rendered-ansi,artifacts --crate-type bin --emit=dep-info,link \
                     -C metadata=0123456789abcdef -C extra-filename=-0123456789abcdef";
        let mut argv: Vec<_> = words.split_whitespace().map(Into::into).collect();
        argv.push("--out-dir".into());
        argv.push(self.root(name).join("target/debug/deps").into());
        argv.push(format!("-Clinker={}", self.dir.path().join("linker").display()).into());
        let mut vars: std::collections::HashMap<_, _> =
            std::env::vars_os().filter(|(name, _)| name != "RUSTC_LOG").collect();
        vars.extend(env.iter().map(|(name, value)| ((*name).into(), value.as_os_str().into())));
        Request { argv, cwd: self.root(name), env: vars }
    }

    fn run(&self, engine: &Engine, request: &Request) -> (Report, String) {
        let streams = CollectedStreams::default();
        let done = engine.run(request, &streams).unwrap();
        assert!(done.status.success(), "{streams:?}");
        let said = streams.err.into_inner().unwrap();
        (done.report, String::from_utf8_lossy(&said).into_owned())
    }

    /// Builds on the machine that has everything then.
    fn build_there(&self) -> Report {
        let engine =
            Engine::new(self.there.clone(), Options::new(self.dir.path().join("state-there")));
        let (report, _) = self.run(&engine, &self.request("a", &[]));
        assert!(matches!(report.served, Served::Miss { not_stored: None, .. }), "{report:?}");
        report
    }

    fn engine_here(&self, behaviour: Behaviour, mode: Mode) -> Engine {
        let options = Options { mode, ..Options::new(self.dir.path().join("state-here")) };
        let supply = Fake {
            there: self.there.clone(),
            here: self.here.clone(),
            behaviour,
            seen: self.seen.clone(),
        };
        Engine::new(self.here.clone(), options).with_supply(Arc::new(supply))
    }

    fn build_here(&self, behaviour: Behaviour) -> (Report, String) {
        self.run(&self.engine_here(behaviour, Mode::ReadWrite), &self.request("b", &[]))
    }

    /// Both machines' programs are the same, and this one's runs.
    fn assert_same(&self) {
        assert_eq!(fs::read(self.program("a")).unwrap(), fs::read(self.program("b")).unwrap());
        let output = Command::new(self.program("b")).output().unwrap();
        assert_eq!(output.stdout, b"made\n");
    }
}

fn links_announced(said: &str) -> usize {
    said.matches(r#""emit":"link""#).count()
}

#[test]
fn what_is_offered_and_holds_is_waited_for_and_restored() {
    let lab = Lab::new();
    let there = lab.build_there();
    let (report, said) = lab.build_here(Behaviour::Prompt);
    assert!(matches!(report.served, Served::Hit { .. }), "{report:?}");
    assert_eq!(report.supplied, Supplied::Brought);
    assert_eq!(links_announced(&said), 1);
    lab.assert_same();
    let seen = lab.seen.lock().unwrap();
    assert_eq!(seen.chosen, [there.outcome]);
    assert_eq!(seen.stored, [], "what came from there need not go there");
}

#[test]
fn what_is_in_the_store_is_not_asked_for() {
    let lab = Lab::new();
    lab.build_there();
    lab.build_here(Behaviour::Prompt);
    let (report, _) = lab.build_here(Behaviour::Prompt);
    assert_eq!(report.supplied, Supplied::NotAsked);
    assert_eq!(lab.seen.lock().unwrap().asked, 1);
}

#[test]
fn an_offer_that_does_not_hold_is_declined_and_what_is_made_is_reported() {
    let lab = Lab::new();
    lab.build_there();
    fs::write(lab.root("b").join("src/main.rs"), "fn main() { println!(\"other\"); }\n").unwrap();
    let (report, said) = lab.build_here(Behaviour::Prompt);
    assert!(matches!(report.served, Served::Miss { not_stored: None, .. }), "{report:?}");
    assert_eq!((report.supplied, links_announced(&said)), (Supplied::Nothing, 1));
    let seen = lab.seen.lock().unwrap();
    assert_eq!(seen.chosen, [None]);
    assert_eq!(seen.stored, [(report.key.unwrap(), report.outcome.unwrap())]);
}

#[test]
fn a_supply_with_nothing_or_one_that_hangs_changes_nothing() {
    for behaviour in [Behaviour::Empty, Behaviour::Hangs] {
        let lab = Lab::new();
        lab.build_there();
        let hangs = matches!(behaviour, Behaviour::Hangs);
        let (report, said) = lab.build_here(behaviour);
        assert!(matches!(report.served, Served::Miss { not_stored: None, .. }), "{report:?}");
        assert_eq!(links_announced(&said), 1);
        assert_eq!(said.matches(r#""emit":"dep-info""#).count(), 1, "what was held back came out");
        let supplied = if hangs { Supplied::TooLate } else { Supplied::Nothing };
        assert_eq!((report.supplied, lab.seen.lock().unwrap().cancelled), (supplied, hangs));
        lab.assert_same();
    }
}

#[test]
fn an_outcome_that_comes_before_the_compiler_has_shown_one_stops_it_with_all_that_it_started() {
    let lab = Lab::new();
    lab.build_there();
    let pipes = lab.dir.path().join("pipes");
    fs::create_dir(&pipes).unwrap();
    for name in ["started", "go", "copy"] {
        assert!(Command::new("mkfifo").arg(pipes.join(name)).status().unwrap().success());
    }
    // Hears the linker's number, then lets the supply go on.
    let linker = std::thread::spawn({
        let pipes = pipes.clone();
        move || {
            let number = fs::read_to_string(pipes.join("started")).unwrap();
            fs::write(pipes.join("copy"), "x").unwrap();
            number.trim().to_owned()
        }
    });
    let engine = lab.engine_here(Behaviour::ComesAfter(pipes.join("copy")), Mode::ReadWrite);
    let request = lab.request("b", &[("LARDER_TEST_BLOCK", &pipes)]);
    let (report, said) = lab.run(&engine, &request);
    assert!(matches!(report.served, Served::Hit { .. }), "{report:?}");
    assert_eq!(report.supplied, Supplied::Overtook);
    assert_eq!(links_announced(&said), 1);
    lab.assert_same();
    let linker = linker.join().unwrap();
    let stat = fs::read_to_string(format!("/proc/{linker}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("gone", |(_, rest)| &rest[..1]);
    assert!(["gone", "Z", "X"].contains(&state), "the linker goes on: {stat}");
    let objects = fs::read_dir(lab.root("b").join("target/debug/deps")).unwrap().flatten();
    let objects = objects.filter(|entry| entry.file_name().to_string_lossy().contains(".rcgu."));
    assert_eq!(objects.count(), 0);
}

#[test]
fn a_read_only_engine_asks_nobody() {
    let lab = Lab::new();
    lab.build_there();
    let engine = lab.engine_here(Behaviour::Prompt, Mode::ReadOnly);
    let (report, _) = lab.run(&engine, &lab.request("b", &[]));
    assert_eq!(report.supplied, Supplied::NotAsked);
    assert_eq!(lab.seen.lock().unwrap().asked, 0);
    assert!(block_on(lab.here.get_record(&report.key.unwrap())).unwrap().is_none());
}
