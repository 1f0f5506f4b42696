use std::fs;

use crate::support::{Home, Ran};

#[test]
fn a_trial_shows_times_hits_and_disk_and_leaves_no_trace() {
    let home = Home::new();
    let project = home.project("p");
    home.write("p/leaf/src/lib.rs", "pub fn leaf() -> u32 { 41 }\n");
    let temp = home.path("temp");
    fs::create_dir(&temp).expect("mkdir");
    let mut command = home.larder();
    command.arg("try").arg(&project).env("TMPDIR", &temp);
    // None of these may have a say in it.
    command.env("CARGO_TARGET_DIR", home.path("elsewhere")).env("RUSTC_WRAPPER", "/bin/false");
    command.env("CARGO_BUILD_RUSTC_WRAPPER", "/bin/false").env("LARDER", "off");
    let ran = Ran::of(&command.output().expect("runs"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for row in ["plain cargo, cold", "larder, empty store", "larder, second checkout"] {
        assert!(ran.out.contains(row), "{}", ran.out);
    }
    assert!(ran.out.contains(" of 3 units from the store"), "{}", ran.out);
    assert!(!ran.out.contains("Second checkout: 0 of 3"), "{}", ran.out);
    assert!(ran.out.contains("Two checkouts, plain cargo"), "{}", ran.out);
    assert!(ran.out.contains("fresh: yes"), "{}", ran.out);
    assert!(ran.err.contains("warm, larder, second checkout"), "{}", ran.err);

    assert_eq!(fs::read_dir(&temp).expect("listed").count(), 0, "the temporary directory is empty");
    assert!(!home.store().exists(), "the user's store is untouched");
    assert!(!home.path("elsewhere").exists());
    let left: Vec<_> = fs::read_dir(&project).expect("listed").flatten().collect();
    assert_eq!(left.len(), 4, "nothing new in the project: {left:?}");
}

#[test]
fn cargo_arguments_are_passed_on_and_a_member_is_built_alone() {
    let home = Home::new();
    let project = home.project("p");
    let mut command = home.larder();
    command.arg("try").arg(project.join("mid")).args(["--", "check"]);
    let ran = Ran::of(&command.output().expect("runs"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("Second checkout: 2 of 2 units from the store"), "{}", ran.out);
    assert!(ran.out.contains("  check: 2 of 2"), "{}", ran.out);
}

#[test]
fn a_project_that_does_not_build_is_an_error_with_cargos_words() {
    let home = Home::new();
    let project = home.project("p");
    home.write("p/leaf/src/lib.rs", "pub fn leaf() -> u32 { \"no\" }\n");
    let temp = home.path("temp");
    fs::create_dir(&temp).expect("mkdir");
    let mut command = home.larder();
    let ran =
        Ran::of(&command.arg("try").arg(&project).env("TMPDIR", &temp).output().expect("runs"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("cold, plain cargo: cargo failed"), "{}", ran.err);
    assert!(ran.err.contains("mismatched types"), "{}", ran.err);
    assert_eq!(fs::read_dir(&temp).expect("listed").count(), 0);
}

#[test]
fn what_is_no_project_or_not_whole_is_refused() {
    let home = Home::new();
    let ran = home.run(&["try", "nowhere"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("no directory nowhere"), "{}", ran.err);
    let project = home.project("p");
    home.write("p/leaf/Cargo.toml", "[package]\nname = \"leaf\"\nversion = \"0.1.0\"\n[dependencies]\nout = { path = \"../../out\" }\n");
    home.write("out/Cargo.toml", "[package]\nname = \"out\"\nversion = \"0.1.0\"\n");
    home.write("out/src/lib.rs", "");
    let ran = home.run(&["try", &project.display().to_string()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("which is outside of it"), "{}", ran.err);
}

#[test]
fn an_interrupted_trial_removes_its_directory() {
    let home = Home::new();
    let project = home.project("p");
    // The compile waits in a proc-macro-free way: a build script that sleeps.
    home.write(
        "p/leaf/build.rs",
        "fn main() { std::thread::sleep(std::time::Duration::from_secs(60)) }\n",
    );
    let temp = home.path("temp");
    fs::create_dir(&temp).expect("mkdir");
    let mut command = home.larder();
    command.arg("try").arg(&project).env("TMPDIR", &temp).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("runs");
    let sleeping = || {
        let trials = fs::read_dir(&temp).into_iter().flatten().flatten();
        trials.map(|trial| trial.path().join("first/p/target/debug/build")).any(|dir| dir.exists())
    };
    while !sleeping() {
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(child.try_wait().expect("wait").is_none(), "it ended by itself");
    }
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("kill");
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
    assert_eq!(fs::read_dir(&temp).expect("listed").count(), 0);
}
