use serde_json::json;

use crate::support::{Home, Ran};

#[test]
fn figures_are_the_sums_of_the_events() {
    let home = Home::new();
    home.events(&[
        r#""did":"through","why":"query","us":{"total":5}"#,
        r#""crate":"a","unit":"a-1","kind":"rlib","did":"miss","why":"new","stored":100,"us":{"total":900}"#,
        r#""crate":"b","unit":"b-1","kind":"rlib","did":"miss","why":"changed","not_stored":"store-full: x","us":{"total":1}"#,
        r#""crate":"a","unit":"a-1","kind":"rlib","did":"hit","saved_us":800,"linked":70,"copied":30,"us":{"total":50}"#,
        r#""crate":"c","unit":"c-1","kind":"check","did":"hit","saved_us":300,"copied":5,"us":{"total":10}"#,
        r#""crate":"d","unit":"d-1","kind":"bin","did":"through","why":"links: bin","faults":["restore: gone"],"us":{"total":9}"#,
        r#""crate":"e","unit":"e-1","did":"through","why":"unknown-option: --x","us":{"total":9}"#,
    ]);
    let stats = home.stats();
    assert_eq!(stats["hits"], json!({"check": 1, "rlib": 1}));
    assert_eq!(stats["misses"], json!({"changed": 1, "new": 1}));
    assert_eq!(stats["uncacheable"], json!({"links: bin": 1, "unknown-option": 1}));
    assert_eq!(stats["queries"], 1);
    assert_eq!(stats["not_stored"], json!({"store-full": 1}));
    assert_eq!(stats["faults"], json!({"restore": 1}));
    assert_eq!(stats["bytes"], json!({"linked": 70, "copied": 35, "stored": 100}));
    let time = json!({
        "compiling": 1100, "hits": 60, "saved": 1040,
        "elsewhere": 0, "elsewhere_waited": 0, "elsewhere_lost": 0,
    });
    assert_eq!(stats["time_us"], time);
    assert_eq!(stats["unreadable_events"], 0);
    assert_eq!(stats["store"], home.store().to_string_lossy().as_ref());

    let text = home.run(&["stats"]).out;
    for line in [
        "Hits        2",
        "  rlib                              1",
        "Misses      2",
        "Not cached  2",
        "Not stored  1",
        "Bytes       70 B linked, 35 B copied, 100 B stored",
        "Time saved  1.1 ms of compiling for 60 µs of restoring",
        "Faults      1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} in:\n{text}");
    }
}

#[test]
fn zero_starts_anew_and_why_still_knows() {
    let home = Home::new();
    home.events(&[r#""crate":"a","unit":"a-1","kind":"rlib","did":"hit","us":{"total":1}"#]);
    assert_eq!(home.stats()["hits"], json!({"rlib": 1}));
    // Zeroing works to the microsecond; the event must be before it.
    assert_eq!(home.run(&["stats", "--zero"]).code, Some(0));
    assert_eq!(home.stats()["hits"], json!({}));
    assert!(home.run(&["why", "a"]).out.contains("restored"));
}

/// Every figure of a real build, next to what the build itself shows.
#[test]
fn a_real_build_is_counted_right() {
    let home = Home::new();
    let (first, second) = (home.project("first"), home.project("second"));
    let log = home.path("log");
    let build = |project: &std::path::Path| {
        let mut command = home.program("cargo");
        command.env("RUSTC_WRAPPER", env!("CARGO_BIN_EXE_larder")).env("LARDER_LOG", &log);
        command.current_dir(project).args(["build", "--offline"]);
        let ran = Ran::of(&command.output().expect("cargo runs"));
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    };
    build(&first);
    let cold = home.stats();
    assert_eq!(cold["hits"], json!({}));
    assert_eq!(cold["not_stored"], json!({}));
    assert_eq!(cold["faults"], json!({}));
    let sum = |stats: &serde_json::Value, group: &str| -> u64 {
        let group = stats[group].as_object().expect("a group");
        group.values().filter_map(serde_json::Value::as_u64).sum()
    };
    // leaf and mid for certain; app is a program, which may or may not be cacheable.
    let cached = sum(&cold, "misses");
    assert!((2..=3).contains(&cached), "{cold}");
    assert_eq!(sum(&cold, "misses") + sum(&cold, "uncacheable"), 3, "{cold}");
    assert!(cold["bytes"]["stored"].as_u64() > Some(0));
    assert!(cold["disk"]["bytes"].as_u64() > Some(0));
    assert_eq!(cold["disk"]["records"], cached);

    assert_eq!(home.run(&["stats", "--zero"]).code, Some(0));
    build(&second);
    let warm = home.stats();
    assert_eq!(sum(&warm, "hits"), cached, "{warm}");
    assert_eq!(sum(&warm, "misses"), 0, "{warm}");
    assert_eq!(warm["uncacheable"], cold["uncacheable"]);
    assert_eq!(warm["bytes"]["stored"], 0);
    // Which bytes are linked and which copied is the store's choice; together they are all.
    let bytes = |kind: &str| warm["bytes"][kind].as_u64().unwrap_or(0);
    let placed: u64 = outputs(&second.join("target/debug/deps"), cached == 3);
    assert_eq!(bytes("linked") + bytes("copied"), placed, "{warm}");
    let compiling = warm["time_us"]["compiling"].as_i64().expect("a number");
    let hits = warm["time_us"]["hits"].as_i64().expect("a number");
    assert!(compiling > 0 && hits > 0);
    assert_eq!(warm["time_us"]["saved"].as_i64(), Some(compiling - hits));

    // The log has one line per invocation of either build, with all times.
    let lines = std::fs::read_to_string(&log).expect("a log");
    let results = |result: &str| lines.matches(&format!(" result={result} ")).count() as u64;
    assert_eq!((results("miss"), results("hit")), (cached, cached));
    let asked = |stats: &serde_json::Value| stats["queries"].as_u64().expect("a number");
    assert_eq!(lines.lines().count() as u64, asked(&cold) + asked(&warm) + 6);
    let times = ["start", "key", "check", "restore", "run", "store", "wait", "total"];
    for line in lines.lines() {
        assert!(times.iter().all(|time| line.contains(&format!(" {time}_us="))), "{line}");
    }
}

/// The sizes of the files that rustc wrote for the libraries, and for the program if it counts.
fn outputs(deps: &std::path::Path, with_program: bool) -> u64 {
    let entries = std::fs::read_dir(deps).expect("listed").flatten();
    let sizes = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_program = name.starts_with("app");
        (with_program || !is_program).then(|| entry.metadata().map_or(0, |meta| meta.len()))
    });
    sizes.sum()
}
