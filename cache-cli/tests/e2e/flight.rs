//! Several builds at once: each thing is compiled once, who waits keeps no job token, and nobody is
//! stuck when somebody dies.
//!
//! A compiler that stops at a gate until the test opens it decides who is first; no test depends on
//! how long anything takes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::harness::{Checkout, Files, LARDER, Lab, app, sysroot, until, write_program};

/// Compilers that write down their starts, and of which some stop at a gate.
///
/// Log and gates are open files that the compilers inherit, so that these open nothing that would
/// be an input of the compile.
struct Gates {
    log: PathBuf,
    gates: Vec<(PathBuf, File)>,
}

/// The number of the log's descriptor; those of the gates follow.
const LOG: usize = 7;

impl Gates {
    /// Makes all compilers of this lab stop that compile one of these crates.
    fn new(lab: &Lab, crates: &[&str]) -> Self {
        let cases: String = crates
            .iter()
            .enumerate()
            .map(|(at, name)| {
                format!("*\" --crate-name {name} \"*) read -r go <&{};;\n", LOG + 1 + at)
            })
            .collect();
        let script = lab.root.join("gated-rustc");
        let rustc = sysroot().join("bin/rustc");
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$PWD|$*\" >&{LOG}\ncase \" $* \" in\n{cases}esac\nexec '{}' \"$@\"\n",
            rustc.display()
        );
        write_program(&script, text);
        lab.set_env("RUSTC", &script);
        let gates = crates.iter().map(|name| {
            let path = lab.root.join(format!("gate-{name}"));
            let file = fifo(&path);
            (path, file)
        });
        Self { log: lab.root.join("starts"), gates: gates.collect() }
    }

    /// Lets one compiler of the crate through.
    fn open(&self, at: usize) {
        (&self.gates[at].1).write_all(b"go\n").expect("a gate");
    }

    /// Starts this command with the log and the gates.
    fn start(&self, command: &Command) -> Build {
        let redirections: String =
            (0..self.gates.len()).map(|at| format!(" {}<>\"${}\"", LOG + 1 + at, at + 1)).collect();
        // Whoever started the tests in the background may ignore SIGINT, and so would all below.
        let run = "exec env --default-signal=INT \"$@\"";
        let script = format!("exec {LOG}>>\"$0\"{redirections}; shift {}; {run}", self.gates.len());
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(script).arg(&self.log);
        shell.args(self.gates.iter().map(|(path, _)| path));
        shell.arg(command.get_program()).args(command.get_args());
        shell.env_clear();
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(command.get_current_dir().expect("a directory"));
        Build::start(shell)
    }

    /// Starts cargo in a checkout.
    fn cargo(&self, checkout: &Checkout<'_>, args: &[&str]) -> Build {
        let mut command = checkout.command(args);
        command.env("LARDER_LOG", checkout.root.join("log"));
        self.start(&command)
    }

    /// The crates whose compilers were started below this directory, in order.
    fn compiled(&self, dir: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let named = text.lines().filter_map(|line| {
            let (place, args) = line.split_once('|')?;
            let (_, named) = args.split_once("--crate-name ")?;
            Path::new(place).starts_with(dir).then(|| named.split(' ').next())?
        });
        named.filter(|name| *name != "___").map(str::to_owned).collect()
    }
}

fn fifo(path: &Path) -> File {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
    // Reading and writing, so that nobody waits for a peer (fifo(7)).
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a flag");
    File::options().read(true).write(true).custom_flags(nonblocking).open(path).expect("a fifo")
}

/// A process with all that it started; none of them outlives it.
struct Build(Child);

impl Build {
    fn start(mut command: Command) -> Self {
        command.process_group(0).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }

    fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_none()
    }

    #[track_caller]
    fn ends(&mut self) -> ExitStatus {
        until("a build", || !self.is_running());
        self.0.wait().expect("a child")
    }

    #[track_caller]
    fn succeeds(mut self) {
        let status = self.ends();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).output();
        let _ = self.0.wait();
    }
}

/// The wrapper that serves this crate in this directory, once there is one.
#[track_caller]
fn wrapper(dir: &Path, name: &str) -> String {
    let mut found = None;
    until("a wrapper", || {
        found = std::fs::read_dir("/proc").expect("/proc").flatten().find_map(|process| {
            let line = std::fs::read(process.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line);
            let here = std::fs::read_link(process.path().join("cwd")).ok()? == dir;
            let serves = line.starts_with(LARDER) && line.contains(&format!("\0{name}\0"));
            (here && serves).then(|| process.file_name().into_string().ok())?
        });
        found.is_some()
    });
    found.expect("found")
}

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-9", pid]).status().expect("kill").success());
}

/// Crates with how they were served in a checkout's build, in order of their ends.
fn served(checkout: &Checkout<'_>) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(checkout.root.join("log")).unwrap_or_default();
    let value = |line: &str, key: &str| {
        line.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default().to_owned()
    };
    let all = text.lines().map(|line| (value(line, "crate="), value(line, "result=")));
    all.filter(|(name, _)| !name.is_empty() && name != "___" && !name.starts_with('"')).collect()
}

/// [`app`], and libraries that nothing depends on.
fn with_others() -> Files {
    let table = "[dependencies]\nmid = { path = \"mid\" }\n[workspace]\nmembers = [\"mid\", \"leaf\", \"other1\", \"other2\"]\n";
    ["other1", "other2"].iter().fold(app().package("", "app", table), |files, name| {
        files.package(name, name, "").with(&format!("{name}/src/lib.rs"), "pub fn f() {}\n")
    })
}

const ONE_JOB: [&str; 3] = ["build", "--workspace", "-j1"];

#[test]
fn one_job_goes_on_with_other_units_while_one_waits() {
    let lab = Lab::new();
    let gates = Gates::new(&lab, &["leaf"]);
    let (a, b) = (lab.checkout("a", &with_others()), lab.checkout("b", &with_others()));
    let first = gates.cargo(&a, &["build", "-p", "leaf", "-j1"]);
    until("the first compiler", || gates.compiled(&a.root) == ["leaf"]);
    let second = gates.cargo(&b, &ONE_JOB);
    wrapper(&b.root, "leaf");
    until("the others", || gates.compiled(&b.root).len() == 2);
    assert!(gates.compiled(&b.root).iter().all(|name| name.starts_with("other")));
    gates.open(0);
    first.succeeds();
    second.succeeds();
    assert!(served(&b).contains(&("leaf".into(), "hit".into())), "{:?}", served(&b));
    assert_eq!(b.program("target/debug/app"), "app 1, mid 1, leaf 1\n");
}

#[test]
fn a_waiter_gives_one_token_and_takes_one_before_it_ends() {
    let lab = Lab::new();
    let gates = Gates::new(&lab, &["leaf"]);
    let tokens = fifo(&lab.root.join("tokens"));
    let rustc = |place: &str| {
        let dir = lab.root.join(place);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("leaf.rs"), "pub fn f() {}\n").unwrap();
        let mut command = lab.command(LARDER);
        command.arg(lab.root.join("gated-rustc")).args(["leaf.rs", "--crate-name", "leaf"]);
        // As cargo does: otherwise no paths are mapped, and the outcome holds in one place only.
        command.arg("--error-format=json");
        command.args(["--crate-type=lib", "--emit=metadata,link"]).current_dir(dir);
        command
    };
    let first = gates.start(&rustc("a"));
    until("the first compiler", || gates.compiled(&lab.root) == ["leaf"]);
    let mut second = rustc("b");
    let mut flags = OsString::from("-j1 --jobserver-auth=fifo:");
    flags.push(lab.root.join("tokens"));
    second.env("CARGO_MAKEFLAGS", flags);
    let mut second = gates.start(&second);
    let take = || matches!((&tokens).read(&mut [0]), Ok(1));
    until("a token", take);
    assert!(!take(), "one token, not two");
    gates.open(0);
    first.succeeds();
    let restored = lab.root.join("b/libleaf.rmeta");
    until("a restored library", || restored.exists());
    assert!(second.is_running(), "it must not end without a token");
    (&tokens).write_all(b"+").unwrap();
    second.succeeds();
    let left = (&tokens).read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(left, Err(ErrorKind::WouldBlock), "it took the token");
    assert_eq!(gates.compiled(&lab.root), ["leaf"]);
}

#[test]
fn six_checkouts_at_once_compile_and_link_each_thing_once() {
    for jobs in ["-j1", "-j2"] {
        let lab = Lab::new();
        let gates = Gates::new(&lab, &[]);
        let files = with_others()
            .package(
                "leaf",
                "leaf",
                "build = \"build.rs\"\n[dependencies]\nderive = { path = \"../derive\" }\n",
            )
            .with(
                "leaf/build.rs",
                "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); }\n",
            )
            .package("derive", "derive", "[lib]\nproc-macro = true\n")
            .with("derive/src/lib.rs", "");
        let checkouts: Vec<_> =
            (0..6).map(|at| lab.checkout(&format!("c{at}/ws"), &files)).collect();
        let builds: Vec<_> = checkouts
            .iter()
            .map(|checkout| gates.cargo(checkout, &["build", "--workspace", jobs]))
            .collect();
        builds.into_iter().for_each(Build::succeeds);
        let mut compiled = gates.compiled(&lab.root);
        compiled.sort();
        let once = ["app", "build_script_build", "derive", "leaf", "mid", "other1", "other2"];
        assert_eq!(compiled, once, "{jobs}");
        for checkout in &checkouts {
            assert_eq!(checkout.program("target/debug/app"), "app 1, mid 1, leaf 1\n");
        }
    }
}

#[test]
fn a_killed_waiter_harms_only_its_own_build() {
    let lab = Lab::new();
    let gates = Gates::new(&lab, &["leaf"]);
    let (a, b) = (lab.checkout("a", &with_others()), lab.checkout("b", &with_others()));
    let first = gates.cargo(&a, &ONE_JOB);
    until("the first compiler", || gates.compiled(&a.root).contains(&"leaf".into()));
    let mut second = gates.cargo(&b, &ONE_JOB);
    let waiter = wrapper(&b.root, "leaf");
    // It waits when others go on without it.
    until("the others", || served(&b).len() == 2);
    kill(&waiter);
    assert_eq!(second.ends().code(), Some(101), "as if its compiler had been killed");
    gates.open(0);
    first.succeeds();
    gates.cargo(&b, &ONE_JOB).succeeds();
    let leaves = gates.compiled(&lab.root).iter().filter(|name| *name == "leaf").count();
    assert_eq!(leaves, 1);
}

#[test]
fn a_cancelled_build_does_not_wait_on() {
    let lab = Lab::new();
    let gates = Gates::new(&lab, &["leaf"]);
    let (a, b) = (lab.checkout("a", &with_others()), lab.checkout("b", &with_others()));
    let first = gates.cargo(&a, &ONE_JOB);
    until("the first compiler", || gates.compiled(&a.root).contains(&"leaf".into()));
    let mut second = gates.cargo(&b, &ONE_JOB);
    let waiter = wrapper(&b.root, "leaf");
    until("the others", || served(&b).len() == 2);
    // As a terminal does for Ctrl-C.
    let group = format!("-{}", second.0.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    assert!(!second.ends().success());
    until("the waiter's end", || {
        let stat = std::fs::read_to_string(format!("/proc/{waiter}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
    });
    gates.open(0);
    first.succeeds();
}

#[test]
fn who_waits_for_a_token_holds_up_nobody() {
    let lab = Lab::new();
    let gates = Gates::new(&lab, &["leaf", "other1"]);
    let checkouts = ["a", "b", "c"].map(|name| lab.checkout(name, &with_others()));
    let [a, b, c] = &checkouts;
    let first = gates.cargo(a, &["build", "-p", "leaf", "-j1"]);
    until("the first compiler", || gates.compiled(&a.root) == ["leaf"]);
    // Of one job, `leaf` waits for the first build, and `other1` at its gate with the token.
    let second = gates.cargo(b, &["build", "-p", "leaf", "-p", "mid", "-p", "other1", "-j1"]);
    wrapper(&b.root, "leaf");
    until("the other", || gates.compiled(&b.root) == ["other1"]);
    kill(&wrapper(&a.root, "leaf"));
    drop(first);
    // The second build's turn, but it has no token: the third compiles.
    let third = gates.cargo(c, &["build", "-p", "leaf", "-j1"]);
    until("the third compiler", || gates.compiled(&c.root) == ["leaf"]);
    assert_eq!(gates.compiled(&b.root), ["other1"]);
    gates.open(0);
    third.succeeds();
    gates.open(1);
    second.succeeds();
    assert!(served(b).contains(&("leaf".into(), "hit".into())), "{:?}", served(b));
}
