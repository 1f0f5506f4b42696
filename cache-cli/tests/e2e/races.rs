//! Things that happen while a compiler runs: edits, other builds, and sudden death.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Checkout, Files, Lab, app, macros};

/// Starts a build and does not wait for it.
fn start(checkout: &Checkout<'_>) -> Child {
    let mut command = checkout.command(&["build"]);
    // A group of its own, so that it can be killed with all that it started.
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("cargo starts")
}

/// Waits until a compiler of this crate runs in this place.
fn wait_for_compiler(place: &Path, name: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        let here = |pid: &Path| {
            std::fs::read_link(pid.join("cwd")).is_ok_and(|cwd| cwd == place)
                && std::fs::read(pid.join("cmdline")).is_ok_and(|line| {
                    let line = String::from_utf8_lossy(&line);
                    let mut args = line.split('\0');
                    args.next().is_some_and(|program| program.ends_with("rustc"))
                        && line.contains(&format!("--crate-name\0{name}\0"))
                })
        };
        if processes.map(|entry| entry.path()).any(|pid| here(&pid)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no compiler of {name} came up");
}

fn slow(text: &str) -> Files {
    macros(&format!("reader::slow!(\"1200\");\nmod part;\npub use part::text;\n// {text}\n"))
        .with("one/src/part.rs", &part(text))
}

fn part(text: &str) -> String {
    format!("pub fn text() -> &'static str {{ \"{text}\" }}\n")
}

/// Edits a source while its compiler sleeps, having read it, and gives the checkout.
fn edited<'l>(lab: &'l Lab, edit: impl Fn(&Checkout<'_>)) -> Checkout<'l> {
    let a = lab.checkout("a", &slow("old"));
    let build = start(&a);
    wait_for_compiler(&a.root, "one");
    std::thread::sleep(Duration::from_millis(500));
    edit(&a);
    assert!(build.wait_with_output().unwrap().status.success());
    a
}

/// Both contents are right in other checkouts, and in the one where it happened.
fn not_poisoned(lab: &Lab, a: &Checkout<'_>) {
    let new = lab.checkout("new", &slow("old").with("one/src/part.rs", &part("new")));
    assert_eq!(new.build_and_run(), "new\n");
    let old = lab.checkout("old", &slow("old"));
    assert_eq!(old.build_and_run(), "old\n");
    old.last().expect(&[], &["one"]);
    a.remove("target");
    assert_eq!(a.build_and_run(), "new\n");
    a.last().expect(&["one"], &[]);
}

#[test]
fn a_source_edited_while_it_is_compiled() {
    let lab = Lab::new();
    let a = edited(&lab, |a| a.write("one/src/part.rs", part("new")));
    assert_eq!(a.build_and_run(), "new\n", "cargo notices as well");
    not_poisoned(&lab, &a);
}

#[test]
fn a_source_replaced_while_it_is_compiled_by_one_with_an_old_mtime() {
    let lab = Lab::new();
    let a = edited(&lab, |a| {
        a.write("other.rs", part("new"));
        let touched =
            Command::new("touch").args(["-d", "2001-01-01"]).arg(a.path("other.rs")).status();
        assert!(touched.unwrap().success());
        a.rename("other.rs", "one/src/part.rs");
    });
    not_poisoned(&lab, &a);
}

#[test]
fn a_source_edited_and_put_back_while_it_is_compiled() {
    let lab = Lab::new();
    let a = edited(&lab, |a| {
        a.write("one/src/part.rs", part("new"));
        a.write("one/src/part.rs", part("old"));
    });
    assert_eq!(a.build_and_run(), "old\n");
    assert_eq!(lab.checkout("b", &slow("old")).build_and_run(), "old\n");
}

#[test]
fn eight_identical_builds_at_once_on_a_cold_store() {
    let lab = Lab::new();
    let counter = lab.count_compilers();
    let files = (0..6).fold(app(), |files, at| {
        let name = format!("l{at}");
        files.package(&name, &name, "").with(&format!("{name}/src/lib.rs"), "pub fn f() {}\n")
    });
    let table = "[dependencies]\nmid = { path = \"mid\" }\n[workspace]\nmembers = [\"*\"]\nexclude = [\"src\", \"target\"]\n";
    let files = files.package("", "app", table);
    let checkouts: Vec<_> = (0..8).map(|at| lab.checkout(&format!("c{at}/ws"), &files)).collect();
    let builds: Vec<_> = checkouts
        .iter()
        .map(|checkout| {
            let mut command = checkout.command(&["build", "--workspace"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for build in builds {
        let out = build.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let compiled = counter.compiled();
    let libs = compiled.iter().filter(|name| *name != "app").count();
    let apps = compiled.len() - libs;
    assert!(apps == 1 || apps == 8, "the program too, or it links and is not cached");
    assert_eq!(libs, 8, "each library once: {compiled:?}");
    for checkout in &checkouts {
        assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, leaf 1\n");
        assert!(checkout.cargo(&["build", "--workspace"]).good().rebuilt().is_empty());
    }
}

#[test]
fn identical_builds_that_fail_do_not_wait_for_each_other() {
    let lab = Lab::new();
    let files = app().with("leaf/src/lib.rs", "pub fn text() -> u8 { \"\" }\n");
    let checkouts: Vec<_> = (0..4).map(|at| lab.checkout(&format!("c{at}"), &files)).collect();
    let builds: Vec<_> = checkouts.iter().map(start).collect();
    for build in builds {
        let out = build.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(101));
        assert!(String::from_utf8_lossy(&out.stderr).contains("mismatched types"));
    }
}

fn kill_group(build: &mut Child) {
    let killed = Command::new("kill").args(["-9", "--", &format!("-{}", build.id())]).output();
    assert!(killed.unwrap().status.success());
    build.wait().unwrap();
}

#[test]
fn killed_at_random_moments() {
    let lab = Lab::new();
    let files = app().with("leaf/src/big.bin", &"x".repeat(3 << 20)).with(
        "leaf/src/lib.rs",
        "static BIG: &[u8] = include_bytes!(\"big.bin\");\npub fn text() -> usize { BIG.len() }\n",
    );
    let checkout = lab.checkout("a", &files);
    // How long a whole build takes here; the store goes away again.
    let began = Instant::now();
    checkout.build_and_run();
    let whole = began.elapsed();
    std::fs::remove_dir_all(lab.store()).unwrap();
    let mut seed = 0x9e37_79b9_u32;
    for round in 0..14 {
        if round % 3 != 2 {
            checkout.remove_if_there("target");
        }
        if round == 7 {
            // From here on restores are killed, too.
            checkout.build_and_run();
            checkout.remove("target");
        }
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut build = start(&checkout);
        std::thread::sleep(whole.mul_f64(f64::from(seed >> 16) / 65536.0));
        kill_group(&mut build);
    }
    assert_eq!(checkout.build_and_run(), "app 1, mid 1, 3145728\n");
    assert!(checkout.cargo(&["build"]).good().rebuilt().is_empty());
    lab.larder(&["verify"]).good();
    let b = lab.checkout("b", &files);
    assert_eq!(b.build_and_run(), "app 1, mid 1, 3145728\n");
    b.last().expect(&["leaf", "mid"], &[]);
}

#[test]
fn a_killed_build_does_not_hold_up_another() {
    let lab = Lab::new();
    let (a, b) = (lab.checkout("a", &slow("x")), lab.checkout("b", &slow("x")));
    let mut first = start(&a);
    wait_for_compiler(&a.root, "one");
    let second = start(&b);
    std::thread::sleep(Duration::from_millis(200));
    kill_group(&mut first);
    assert!(second.wait_with_output().unwrap().status.success());
    assert_eq!(b.program("target/debug/app"), "x\n");
}
