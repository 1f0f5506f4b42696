//! The agent's life: when there is one, whom it serves, and what it costs when it is of no use.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bucket::Bucket;
use crate::harness::{Lab, Run, until, write_program};
use crate::machine::Machine;
use crate::project::project;

#[test]
fn a_build_without_a_remote_has_no_agent() {
    let machine = Machine::new(&[]);
    machine.build("ws").cargo(&["clean"]).good();
    machine.written_down();
    machine.build("another/ws");
    assert_eq!(machine.agent_dirs(), Vec::<std::path::PathBuf>::new());
    assert!(!machine.state().join("remotes-v1").exists());
}

#[test]
fn it_leaves_when_it_is_idle_and_nothing_is_lost_that_waits_for_it() {
    let bucket = Bucket::directory();
    let machine = Machine::new(&bucket.vars).with("LARDER_AGENT_IDLE_MS", "2000");
    machine.build("ws");
    machine.written_down();
    until("the agent has left", || machine.agents().is_empty());
    // It may have left before or after it was quiet enough for uploading; what is in the spool stays.
    let spooled = machine.spooled();
    let pushed = machine.push();
    assert!(spooled == 0 || !pushed.stdout.starts_with("uploaded 0"), "{}", pushed.stdout);
    assert_eq!(machine.spooled(), 0);
}

#[test]
fn one_that_hangs_is_waited_for_once() {
    let bucket = Bucket::directory();
    let lab = Lab::new();
    let oracle = lab.plain("plain/ws", &project());
    oracle.build_and_run();
    let machine = Machine::new(&bucket.vars).fetching_when_faster();
    machine.status();
    machine.signal("-STOP");
    let checkout = machine.build("ws");
    oracle.assert_same(&checkout);
    let dirs = machine.agent_dirs();
    let avoided = || dirs[0].join("avoid").metadata().and_then(|meta| meta.modified());
    let since = avoided().expect("it is avoided");
    checkout.cargo(&["clean"]).good();
    machine.build("another/ws");
    assert_eq!(avoided().expect("it still is"), since, "nobody has asked it again");
    // Who asks by hand waits longer, and ends it then.
    machine.push();
    assert_eq!(machine.spooled(), 0);
}

#[test]
fn one_that_speaks_otherwise_is_of_no_use_and_no_harm() {
    let bucket = Bucket::directory();
    let machine = Machine::new(&bucket.vars).fetching_when_faster();
    machine.status();
    let dir = machine.agent_dirs().remove(0);
    machine.larder(&["agent", "--stop"]).good();
    let asked = Arc::new(AtomicUsize::new(0));
    for answer in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"\x09\0\0\0\0{\"new\":1}", b"\0\0\0\0\0", b""]
    {
        let _ = std::fs::remove_file(dir.join("socket"));
        let _ = std::fs::remove_file(dir.join("avoid"));
        let listener = UnixListener::bind(dir.join("socket")).expect("its place");
        let counter = asked.clone();
        // Holds the lock like an agent that lives.
        let lock = std::fs::File::options().create(true).append(true).open(dir.join("lock"));
        let lock = lock.expect("the lock");
        lock.lock().expect("locked");
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 4096];
                if stream.read(&mut request).unwrap_or(0) == 1 {
                    return;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer);
            }
        });
        let lab = Lab::new();
        let oracle = lab.plain("plain/ws", &project());
        oracle.build_and_run();
        let checkout = machine.checkout("ws", &project());
        checkout.build_and_run();
        oracle.assert_same(&checkout);
        let mut last = std::os::unix::net::UnixStream::connect(dir.join("socket")).expect("there");
        last.write_all(b"x").expect("its end");
        serving.join().expect("it ends");
        drop(lock);
        checkout.remove("");
        machine.written_down();
        std::fs::remove_dir_all(machine.store().join("records-v1")).expect("nothing is known");
    }
    assert!(asked.load(Ordering::SeqCst) > 0, "somebody has asked");
}

#[test]
fn another_version_has_an_agent_of_its_own() {
    let bucket = Bucket::directory();
    let machine = Machine::new(&bucket.vars);
    machine.build("ws");
    machine.status();
    let other = machine.root.join("other-larder");
    write_program(&other, std::fs::read(crate::harness::LARDER).expect("the program"));
    let mut status = machine.command(&other);
    let run = Run::of(status.args(["remote", "status"]), None).good();
    assert!(run.stdout.starts_with("Remote file://"), "{}", run.stdout);
    assert_eq!(machine.agents().len(), 2);
    machine.larder(&["agent", "--stop"]).good();
    assert_eq!(machine.agents(), Vec::<u32>::new(), "either ends both");
}

#[test]
fn each_is_served_with_its_own_settings() {
    let (Some(bucket), Some(other)) = (Bucket::s3(), Bucket::s3()) else { return };
    for bucket in [&bucket, &other] {
        let first = Machine::new(&bucket.vars);
        first.build("ws");
        first.push();
    }
    // One agent, two projects that are built at once: one with credentials that are right, the other
    // with another remote and wrong ones.
    let machine = Machine::new(&bucket.vars);
    machine.status();
    let wrong_vars = other.with("AWS_SECRET_ACCESS_KEY", "guessed");
    let [good, bad] = ["good/ws", "bad/ws"].map(|name| machine.checkout(name, &project()));
    let (mut right, mut wrong) = (good.command(&["build"]), bad.command(&["build"]));
    wrong.envs(wrong_vars.iter().map(|(name, value)| (name, value)));
    // Not the same store, where one would find what the other was brought.
    let store = machine.root.join("other-store");
    std::fs::create_dir(&store).expect("made");
    let agents = machine.state().join("agent-v1");
    std::fs::create_dir(store.join("state-v1")).expect("made");
    std::os::unix::fs::symlink(agents, store.join("state-v1/agent-v1")).expect("linked");
    wrong.env("LARDER_DIR", &store);
    std::thread::scope(|scope| {
        let wrong = scope.spawn(|| Run::of(&mut wrong, None).good());
        Run::of(&mut right, None).good();
        wrong.join().expect("it ends");
    });
    assert_eq!(machine.agents().len(), 1);
    let of_right = machine.status();
    machine.set_vars(&wrong_vars);
    *machine.store.borrow_mut() = store;
    let of_wrong = machine.status();
    assert_eq!(of_right["trouble"], serde_json::Value::Null, "{of_right:#}");
    assert_eq!(of_wrong["brought"], 0, "{of_wrong:#}");
    let denied = of_wrong["trouble"].as_str().is_some_and(|trouble| trouble.contains("denied"));
    assert!(denied, "{of_wrong:#}");
    assert_ne!(of_right["brought"], 0, "{of_right:#}");
}
