//! The agent is killed at any moment: builds are right, and what was reported as stored is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::bucket::Bucket;
use crate::machine::Machine;
use crate::project::{PRINTS, project};

/// Unless `LARDER_TEST_KILLS` says otherwise.
const BUILDS: u64 = 2;

/// Kills whoever is the agent, again and again at moments that `seed` says, while `work` goes on; how often
/// there was one to kill.
fn while_killing<T>(machine: &Machine, seed: u64, work: impl FnOnce() -> T) -> (T, usize) {
    let done = AtomicBool::new(false);
    let state = machine.state();
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut random = seed | 1;
            let mut killed = 0;
            while !done.load(Ordering::SeqCst) {
                // xorshift
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                sleep(Duration::from_millis(random % 120));
                killed += crate::machine::kill_agents(&state);
            }
            killed
        });
        let result = work();
        done.store(true, Ordering::SeqCst);
        (result, killer.join().expect("the killer"))
    })
}

#[test]
fn killed_at_any_moment_it_loses_nothing_that_was_reported_as_stored() {
    let bucket = Bucket::directory();
    let machine = Machine::new(&bucket.vars);
    let builds = std::env::var("LARDER_TEST_KILLS").ok();
    let builds = builds.map_or(BUILDS, |text| text.parse().expect("a number"));
    let mut killed = 0;
    for seed in 1..=builds {
        // Each build has something new.
        let text = format!("\nfn _new() -> u32 {{ {seed} }}\n");
        let new = |path: &str| {
            let files = project();
            let (_, old) = files.0.iter().find(|(known, _)| known == path).expect("a file").clone();
            files.with(path, &(old + &text))
        };
        let files = new("lib5/src/lib.rs");
        let checkout = machine.checkout(&format!("build{seed}/ws"), &files);
        let ((), times) = while_killing(&machine, seed * 0x9e37_79b9, || {
            assert_eq!(checkout.build_and_run(), PRINTS);
            // It is told that it was cut off, or that all of it is there.
            let _ = machine.larder(&["push", "--wait"]);
        });
        killed += times;
        machine.written_down();
        let pushed = machine.push();
        assert_eq!(machine.spooled(), 0, "{}", pushed.describe());
        let second = Machine::new(&bucket.vars);
        second.status();
        second.build_of("ws", &files);
        second.compiled_nothing();
    }
    println!("{builds} builds, in which an agent was killed {killed} times");
    assert!(killed > 0);
}

#[test]
fn what_is_to_be_uploaded_survives_the_agent() {
    let bucket = Bucket::directory();
    let machine = Machine::new(&bucket.vars);
    machine.build("ws");
    machine.signal("-KILL");
    machine.written_down();
    machine.signal("-KILL");
    let spooled = machine.spooled();
    assert!(spooled > 0, "it was not quiet yet");
    machine.push();
    assert_eq!(machine.spooled(), 0);
}
