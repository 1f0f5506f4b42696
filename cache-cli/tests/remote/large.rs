//! An outcome that is much larger than what the agent may have in memory.

use crate::bucket::Bucket;
use crate::harness::Files;
use crate::machine::Machine;

/// Mebibytes of the outcome, unless `LARDER_TEST_LARGE_MIB` says otherwise.
const LARGE: u64 = 256;
/// What the agent may ever have had in memory, in kB.
const MOST: u64 = 150_000;

/// A program beside two build scripts that leave noise: little, and much.
fn project(mebibytes: u64) -> Files {
    let script = |name: &str, mebibytes: u64| {
        format!(
            "use std::io::Write;
fn main() {{
    println!(\"cargo:rerun-if-changed=build.rs\");
    let out = std::path::PathBuf::from(std::env::var_os(\"OUT_DIR\").unwrap());
    let mut file = std::fs::File::create(out.join(\"{name}\")).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 + {mebibytes};
    let mut piece = vec![0; 1 << 20];
    for _ in 0..{mebibytes} {{
        for word in piece.chunks_exact_mut(8) {{
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }}
        file.write_all(&piece).unwrap();
    }}
}}
"
        )
    };
    let library = |files: Files, name: &str, build: String| {
        files
            .package(name, name, "build = \"build.rs\"\n")
            .with(&format!("{name}/build.rs"), &build)
            .with(&format!("{name}/src/lib.rs"), "pub fn value() -> u32 { 1 }\n")
    };
    let manifest = "[dependencies]\nlittle = { path = \"little\" }\nmuch = { path = \"much\" }\n[workspace]\nmembers = [\"little\", \"much\"]\n";
    let files = Files::default()
        .package("", "app", manifest)
        .with("src/main.rs", "fn main() { println!(\"{}\", little::value() + much::value()); }\n");
    let files = library(files, "little", script("little", 8));
    library(files, "much", script("much", mebibytes))
}

/// `VmHWM` of the agent (`proc_pid_status(5)`), in kB.
fn high_water(machine: &Machine) -> u64 {
    let agents = machine.agents();
    let [agent] = agents.as_slice() else { panic!("one agent, not {agents:?}") };
    let status = std::fs::read_to_string(format!("/proc/{agent}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

#[test]
fn the_agent_stays_small() {
    let mebibytes = std::env::var("LARDER_TEST_LARGE_MIB").ok();
    let mebibytes = mebibytes.map_or(LARGE, |text| text.parse().expect("a number"));
    let bucket = Bucket::s3().unwrap_or_else(Bucket::directory);
    let first = Machine::new(&bucket.vars);
    first.set_env("LARDER_SIZE", "unlimited");
    let files = project(mebibytes);
    let checkout = first.checkout("ws", &files);
    assert_eq!(checkout.build_and_run(), "2\n");
    checkout.remove("");
    first.push();
    let up = high_water(&first);
    drop(checkout);
    let second = Machine::new(&bucket.vars).with("LARDER_SIZE", "unlimited");
    second.status();
    let checkout = second.checkout("ws", &files);
    assert_eq!(checkout.build_and_run(), "2\n");
    let down = high_water(&second);
    let came = second.figure("bytes_down");
    println!("{mebibytes} MiB: at most {up} kB while they went up, {down} kB while they came");
    assert!(up < MOST && down < MOST, "{up} and {down} kB");
    checkout.remove("");
    assert!(came > mebibytes << 20, "{:#}", second.status());
}
