//! Runs every fuzz target's checks for a bounded time, with any compiler.
//!
//! `smoke [SECONDS [SEED [TARGET]]]`: SECONDS in all (10), shared by the targets; SEED makes the
//! order of inputs (1). All seeds run first, whatever the time. An input that fails is written to
//! `artifacts/TARGET/` and the exit code is 1.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fastrand::Rng;
use larder_fuzz::mutate::mutate;
use larder_fuzz::{TARGETS, Target};

/// How many inputs are kept to start from: enough to wander, few enough to stay near the seeds.
const POOL: usize = 256;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| args.get(at).map_or(Ok(default), |arg| arg.parse());
    let (Ok(seconds), Ok(seed)) = (number(0, 10), number(1, 1)) else {
        eprintln!("usage: smoke [SECONDS [SEED [TARGET]]]");
        return ExitCode::from(2);
    };
    let chosen: Vec<Target> = TARGETS
        .into_iter()
        .filter(|target| args.get(2).is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        eprintln!("no such target; there are: {}", TARGETS.map(|target| target.name).join(", "));
        return ExitCode::from(2);
    }
    let share = Duration::from_secs(seconds) / u32::try_from(chosen.len()).unwrap_or(1);
    let mut good = true;
    for target in chosen {
        match run(&target, share, seed) {
            Ok(count) => println!("{:<14} {count:>9} inputs, all right", target.name),
            Err(input) => {
                println!("{:<14} FAILED: {}", target.name, input.display());
                good = false;
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many inputs were right, or where the one is that was not.
fn run(target: &Target, time: Duration, seed: u64) -> Result<u64, PathBuf> {
    let mut rng = Rng::with_seed(seed);
    let mut pool = seeds(target.name);
    for input in &pool {
        try_one(target, input)?;
    }
    pool.push(Vec::new());
    let seeded = pool.len();
    let mut count = seeded as u64;
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..64 {
            let mut input = pool[rng.usize(..pool.len())].clone();
            let other = rng.usize(..pool.len());
            mutate(&mut rng, &mut input, &pool[other], target.words);
            try_one(target, &input)?;
            count += 1;
            // Some changes are kept, so that they add up; the seeds always stay.
            if pool.len() < seeded + POOL {
                pool.push(input);
            } else if rng.u8(..16) == 0 {
                let at = rng.usize(seeded..pool.len());
                pool[at] = input;
            }
        }
    }
    Ok(count)
}

fn try_one(target: &Target, input: &[u8]) -> Result<(), PathBuf> {
    if std::panic::catch_unwind(|| (target.check)(input)).is_ok() {
        return Ok(());
    }
    let dir = folder("artifacts").join(target.name);
    let name = cache_core::Digest::of(input).to_hex();
    let path = dir.join(format!("smoke-{}", &name[..16]));
    if let Err(error) = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, input)) {
        eprintln!("cannot keep the input: {error}; it is {input:?}");
    }
    Err(path)
}

/// The committed inputs of a target, sorted by name so that a run can be repeated.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let Ok(dir) = std::fs::read_dir(folder("seeds").join(name)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = dir.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_unstable();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
