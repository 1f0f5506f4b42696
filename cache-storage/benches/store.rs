//! Which of two layouts is faster at what a compile cache does: files, or one redb file.
//!
//! `cargo xtask bench store`. Each job of the first table runs in a process of its own, as it does
//! in a compiler wrapper: from the opening of the store to its closing. Of several at once, all
//! begin together. The second table is of a process that keeps its store open.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_core::{Digest, RecipeKey};
use cache_storage::{Budget, DiskOptions, DiskStore, Expected, RedbOptions, RedbStore, Store};
use futures::TryStreamExt;
use futures::executor::block_on;

/// Records in the store; a workspace of some hundred crates in several profiles has as many.
const RECORDS: u32 = 2000;
/// Bytes of a record: the median of a larder store is about this.
const RECORD: usize = 8000;
/// Source files of a crate on the large side.
const FILES: usize = 300;
/// Processes of the second column.
const MANY: usize = 8;

const ALONE: [&str; 5] = [LOOK_UP, MEMO, LEARN, TOUCH, STORE];
const LOOK_UP: &str = "open, look up 1 record";
const MEMO: &str = "open, look up 300 files in the memo";
const LEARN: &str = "open, note the digests of 300 files";
const TOUCH: &str = "open, note a record's last use";
const STORE: &str = "open, store 1 record";
const KEPT_OPEN: [&str; 5] = [WARM_LOOK_UP, WARM_MEMO, WARM_TOUCH, WARM_STORE, WARM_LIST];
const WARM_LOOK_UP: &str = "look up 1 record";
const WARM_MEMO: &str = "look up 300 files in the memo";
const WARM_TOUCH: &str = "note the last use of 100 records";
const WARM_STORE: &str = "store 1 record";
const WARM_LIST: &str = "list 2000 records";

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["job", layout, job, dir, turn] => child(layout, job, Path::new(dir), turn),
        _ => {
            let value = |name: &str| {
                let at = words.iter().position(|word| *word == name)?;
                words.get(at + 1).copied()
            };
            let runs =
                value("--runs").map_or(30, |runs| runs.parse().expect("--runs takes a number"));
            let dir = value("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
            parent(&dir, runs);
        }
    }
}

/// A store of either layout, behind what the jobs have in common.
enum Layout {
    Files(DiskStore),
    Redb(RedbStore),
}

impl Layout {
    fn open(name: &str, dir: &Path) -> Self {
        if name == "redb" {
            let options =
                RedbOptions { patience: Duration::from_secs(600), ..RedbOptions::default() };
            Self::Redb(RedbStore::open(dir.join("store.redb"), options).expect("open"))
        } else {
            let options = DiskOptions { budget: Budget::Unlimited, ..DiskOptions::default() };
            Self::Files(DiskStore::open(dir.join("store"), options).expect("open"))
        }
    }

    fn store(&self) -> &dyn Store {
        match self {
            Self::Files(store) => store,
            Self::Redb(store) => store,
        }
    }

    fn look_up(&self, key: &RecipeKey) {
        let found = block_on(self.store().get_record(key)).expect("look up").expect("there");
        assert_eq!(found.bytes.len(), RECORD);
    }

    fn memo(&self, paths: &[PathBuf]) {
        match self {
            Self::Files(store) => {
                for path in paths {
                    store.memo().digest_file(path).expect("digest");
                }
            }
            Self::Redb(store) => {
                let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
                for digest in store.digest_files(&paths) {
                    digest.expect("digest");
                }
            }
        }
    }

    fn learn(&self, paths: &[PathBuf], digest: &Digest) {
        match self {
            Self::Files(store) => paths.iter().for_each(|path| store.memo().remember(path, digest)),
            Self::Redb(store) => {
                paths.iter().for_each(|path| store.remember(path, digest));
                store.flush().expect("flush");
            }
        }
    }

    fn touch(&self, keys: &[RecipeKey]) {
        match self {
            Self::Files(store) => {
                for key in keys {
                    drop(store.files().expect("files").pin(key).expect("pin").expect("there"));
                }
            }
            Self::Redb(store) => {
                keys.iter().for_each(|key| store.touch(key));
                store.flush().expect("flush");
            }
        }
    }

    fn put(&self, key: &RecipeKey, bytes: Bytes) {
        block_on(self.store().put_record(key, bytes, Expected::Absent)).expect("store");
    }
}

fn key(n: u32) -> RecipeKey {
    RecipeKey(Digest::of(&n.to_le_bytes()))
}

fn record(n: u32) -> Bytes {
    let mut block = Digest::of(&n.to_be_bytes());
    let mut bytes = Vec::with_capacity(RECORD + 32);
    while bytes.len() < RECORD {
        bytes.extend_from_slice(block.as_bytes());
        block = Digest::of(block.as_bytes());
    }
    bytes.truncate(RECORD);
    bytes.into()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    (0..FILES).map(|n| dir.join("src").join(format!("{n}.rs"))).collect()
}

/// Fills a store of each layout alike.
fn fill(dir: &Path) {
    std::fs::create_dir_all(dir.join("src")).expect("make a directory");
    for path in sources(dir) {
        std::fs::write(path, record(1)).expect("write a source");
    }
    // Older than the memo asks for before it remembers what was read.
    std::thread::sleep(Duration::from_millis(100));
    for name in ["files", "redb"] {
        let layout = Layout::open(name, dir);
        (0..RECORDS).for_each(|n| layout.put(&key(n), record(n)));
        layout.memo(&sources(dir));
    }
}

/// One process: does its job when told to, and says how many nanoseconds it took.
fn child(layout: &str, job: &str, dir: &Path, turn: &str) {
    let turn: u32 = turn.parse().expect("a number");
    let (paths, new, bytes) = (sources(dir), key(1_000_000 + turn), record(turn));
    let _ = std::io::stdin().read(&mut [0]);
    let began = Instant::now();
    let layout = Layout::open(layout, dir);
    match job {
        LOOK_UP => layout.look_up(&key(turn % RECORDS)),
        MEMO => layout.memo(&paths),
        LEARN => layout.learn(&paths, &new.0),
        TOUCH => layout.touch(&[key(turn % RECORDS)]),
        STORE => layout.put(&new, bytes),
        other => panic!("no job is named {other}"),
    }
    drop(layout);
    println!("{}", began.elapsed().as_nanos());
}

fn parent(dir: &Path, runs: u32) {
    let dir = tempfile::tempdir_in(dir).expect("a scratch directory");
    fill(dir.path());
    println!("\n### Stores in {}\n", dir.path().parent().unwrap_or(Path::new("/")).display());
    println!("{runs} runs; fastest / median in milliseconds.\n");
    println!(
        "| a process of its own | files | redb | files, {MANY} at once | redb, {MANY} at once |"
    );
    println!("|---|--:|--:|--:|--:|");
    let mut turn = 0;
    for job in ALONE {
        let mut times = [vec![], vec![], vec![], vec![]];
        for _ in 0..runs {
            for (column, (layout, count)) in
                [("files", 1), ("redb", 1), ("files", MANY), ("redb", MANY)].into_iter().enumerate()
            {
                times[column].extend(at_once(layout, job, dir.path(), count, &mut turn));
            }
        }
        println!("| {job} | {} |", times.map(shown).join(" | "));
    }
    println!("\n| a store kept open | files | redb |\n|---|--:|--:|");
    let stores = ["files", "redb"].map(|name| Layout::open(name, dir.path()));
    for job in KEPT_OPEN {
        let mut times = [vec![], vec![]];
        for _ in 0..runs {
            turn += 1;
            for (store, times) in stores.iter().zip(&mut times) {
                times.push(kept_open(store, job, dir.path(), turn));
            }
        }
        println!("| {job} | {} |", times.map(shown).join(" | "));
    }
}

/// What each of `count` processes says.
fn at_once(layout: &str, job: &str, dir: &Path, count: usize, turn: &mut u32) -> Vec<f64> {
    let mut start = || -> Child {
        *turn += 1;
        Command::new(std::env::current_exe().expect("this program"))
            .args(["job", layout, job])
            .arg(dir)
            .arg(turn.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a process")
    };
    let mut children: Vec<Child> = (0..count).map(|_| start()).collect();
    std::thread::sleep(Duration::from_millis(10)); // all are waiting
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    let ended = children.into_iter().map(|child| child.wait_with_output().expect("wait"));
    ended
        .map(|output| {
            assert!(output.status.success());
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.trim().parse::<f64>().expect("nanoseconds") / 1e6
        })
        .collect()
}

fn kept_open(layout: &Layout, job: &str, dir: &Path, turn: u32) -> f64 {
    let (paths, new, bytes) = (sources(dir), key(1_000_000 + turn), record(turn));
    let hundred: Vec<_> = (0..100).map(|n| key((turn + n) % RECORDS)).collect();
    let began = Instant::now();
    match job {
        WARM_LOOK_UP => layout.look_up(&key(turn % RECORDS)),
        WARM_MEMO => layout.memo(&paths),
        WARM_TOUCH => layout.touch(&hundred),
        WARM_STORE => layout.put(&new, bytes),
        _ => {
            let keys = block_on(layout.store().list_records()).expect("list");
            let keys: Vec<_> = block_on(keys.try_collect()).expect("list");
            assert!(keys.len() >= hundred.len());
        }
    }
    began.elapsed().as_secs_f64() * 1e3
}

/// Fastest and median.
fn shown(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let fastest = times.first().copied().unwrap_or_default();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    format!("{fastest:.2} / {median:.2}")
}
