//! An engine whose workers are unlike each other: known by their speeds, and what one holds up is done
//! elsewhere.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::harness::{Checkout, Files, Lab, one_lib, until};
use crate::support::{all_sent, bot, fleets, how, lab_on, status, varied};

/// An instance of the engine that is one test's own.
struct Fleet {
    script: String,
    address: String,
    instance: String,
}

impl Fleet {
    fn number(number: usize) -> Option<Self> {
        let (script, address) = (bot()?, fleets()?);
        Some(Self { script, address, instance: format!("fleet-{number}") })
    }

    /// A lab that compiles there whatever it can.
    fn lab(&self) -> Lab {
        lab_on(&format!("{}/{}", self.address, self.instance))
    }

    /// A worker with these seats that is ready for work.
    fn worker(&self, seats: &[&str]) -> Worker {
        let mut command = Command::new(&self.script);
        command.arg(&self.instance).args(seats).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a worker");
        let said = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut said = said.lines().map(|line| line.expect("a line"));
        let ready = said.by_ref().filter(|line| line.ends_with(": ready"));
        assert_eq!(ready.take(seats.len()).count(), seats.len(), "the worker has ended");
        std::thread::spawn(move || said.for_each(|line| println!("{line}")));
        Worker(process)
    }
}

/// A worker; it leaves the engine when dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// A seat that begins no action, and what became of those that it has.
struct Held(PathBuf);

impl Held {
    fn new(lab: &Lab) -> Self {
        let directory = lab.root.join("held");
        fs::create_dir(&directory).expect("a directory");
        Self(directory)
    }

    fn seat(&self) -> String {
        format!("held=hold:{}", self.0.display())
    }

    /// How many actions were given to it (`got`), or taken away from it (`lost`).
    fn count(&self, what: &str) -> usize {
        let names =
            fs::read_dir(&self.0).expect("a directory").map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(what)).count()
    }

    fn wait_for(&self, what: &str, count: usize) {
        until(&format!("{count} {what}"), || self.count(what) >= count);
    }
}

fn files(with: &str) -> Files {
    varied(one_lib("pub fn text() -> &'static str { \"made\" }\n"), with)
}

fn build(checkout: &Checkout<'_>) {
    assert_eq!(checkout.build_and_run(), "made\n");
}

/// The same, but for a macro that waits for an action at the seat that `E2E_HELD` names: so no compile here
/// ends before the engine has begun with it.
fn waiting(with: &str) -> Files {
    files(with)
        .package("one", "one", "[dependencies]\nwaiter = { path = \"../waiter\" }\n")
        .with(
            "one/src/lib.rs",
            &format!("pub fn text() -> &'static str {{ waiter::made!() }} // {with}\n"),
        )
        .package("waiter", "waiter", "[lib]\nproc-macro = true\n")
        .with("waiter/src/lib.rs", WAITER)
}

const WAITER: &str = r#"
    #[proc_macro]
    pub fn made(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
        if let Ok(held) = std::env::var("E2E_HELD") {
            while std::fs::read_dir(&held).unwrap().next().is_none() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        "\"made\"".parse().unwrap()
    }
"#;

/// Builds without the wrapper and through it, with the same result.
fn same<'l>(lab: &'l Lab, name: &str) -> Checkout<'l> {
    let plain = lab.plain(&format!("plain-{name}/ws"), &files(name));
    let checkout = lab.checkout(&format!("{name}/ws"), &files(name));
    build(&plain);
    build(&checkout);
    plain.assert_same(&checkout);
    checkout
}

/// How many actions a worker had, and how fast it was.
fn worker(lab: &Lab, name: &str) -> (u64, f64) {
    let status = status(lab);
    let workers = status["agent"]["workers"].as_array().expect("a list");
    let found = workers.iter().find(|worker| worker["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {status}"));
    (found["actions"].as_u64().expect("a number"), found["speed"].as_f64().expect("a number"))
}

#[test]
fn workers_are_told_apart_by_their_speeds() {
    let Some(fleet) = Fleet::number(1) else { return };
    let lab = fleet.lab();
    for (name, seat) in [("slow", "slow=5"), ("fast", "fast=1")] {
        let _worker = fleet.worker(&[seat]);
        let checkout = same(&lab, name);
        all_sent(&checkout.last());
    }
    let (slow, fast) = (worker(&lab, "slow"), worker(&lab, "fast"));
    // A unit that turned out to lack something had two.
    assert!(slow.0 >= 2 && fast.0 >= 2, "{slow:?} {fast:?}");
    assert!(slow.1 < fast.1, "{slow:?} {fast:?}");
    let text = lab.larder(&["execute", "status"]).stdout;
    assert!(text.contains(&format!("slow: {} actions, ", slow.0)), "{text}");

    lab.set_env("LARDER_EXECUTE_LOCAL", "race");
    let _worker = fleet.worker(&["slow=5", "fast=1"]);
    same(&lab, "both");
}

#[test]
fn an_action_that_does_not_end_is_overtaken_and_cancelled() {
    let Some(fleet) = Fleet::number(2) else { return };
    let lab = fleet.lab();
    // Brings the toolchain, without which nothing is sent in a race.
    {
        let _worker = fleet.worker(&["any=1"]);
        build(&lab.checkout("first/ws", &waiting("first")));
    }
    let (plain, checkout) =
        (lab.plain("plain/ws", &waiting("second")), lab.checkout("second/ws", &waiting("second")));
    build(&plain);
    let held = Held::new(&lab);
    let _worker = fleet.worker(&[&held.seat()]);
    lab.set_env("E2E_HELD", &held.0);
    lab.set_env("LARDER_EXECUTE_LOCAL", "race");
    build(&checkout);
    plain.assert_same(&checkout);
    assert_eq!(how(&checkout.last(), "one"), "too-late");
    held.wait_for("lost", held.count("got"));
    assert!(status(&lab)["agent"]["given_up"].as_u64() > Some(0));
}

#[test]
fn an_action_that_does_not_end_is_sent_once_more_and_cancelled() {
    let Some(fleet) = Fleet::number(3) else { return };
    let lab = fleet.lab();
    let (plain, checkout) =
        (lab.plain("plain/ws", &files("other")), lab.checkout("ws", &files("other")));
    build(&plain);
    let held = Held::new(&lab);
    let _held = fleet.worker(&[&held.seat()]);
    let _other = std::thread::scope(|scope| {
        // Nothing but the held seat is there for the first unit; nothing is compiled here.
        let other = scope.spawn(|| {
            held.wait_for("got", 1);
            fleet.worker(&["other=1"])
        });
        build(&checkout);
        other.join().expect("a worker")
    });
    plain.assert_same(&checkout);
    all_sent(&checkout.last());
    held.wait_for("lost", held.count("got"));
    assert!(status(&lab)["agent"]["sent_again"].as_u64() > Some(0));
    assert!(worker(&lab, "other").0 >= 2);
}
