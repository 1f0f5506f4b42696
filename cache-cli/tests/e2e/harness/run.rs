//! What a command did: exit status, streams, and what the wrapper logged.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// One line of the wrapper's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Crate name.
    pub(crate) name: String,
    /// Kind of unit.
    pub(crate) kind: String,
    /// `hit`, `miss` or `through`.
    pub(crate) result: String,
    /// Why it was a miss or passed through.
    pub(crate) reason: String,
    /// Why a miss was not stored.
    pub(crate) not_stored: String,
    /// What other machines had to do with it.
    pub(crate) sent: String,
    /// How many files they were sent.
    pub(crate) sent_files: usize,
    /// What they lacked at first.
    pub(crate) lacked: Vec<String>,
    /// The whole line.
    pub(crate) line: String,
}

/// A finished command.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What the wrapper logged, probes left out.
    pub(crate) events: Vec<Event>,
}

/// How long anything may take before it counts as stuck.
const LIMIT: Duration = Duration::from_secs(150);

/// Runs a command, and kills it with all that it started when it is stuck.
fn within(limit: Duration, command: &mut Command) -> Output {
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let group = format!("-{}", child.id());
    let (done, waiting) = channel::<()>();
    let watch = std::thread::spawn(move || {
        let stuck = waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if stuck {
            let _ = Command::new("kill").args(["-9", "--", &group]).output();
        }
        stuck
    });
    let out = child.wait_with_output().expect("a child to wait for");
    drop(done);
    assert!(!watch.join().expect("watch"), "stuck: {command:?}");
    out
}

impl Run {
    /// Runs a command to its end; `log` is where the wrapper writes its log.
    pub(crate) fn of(command: &mut Command, log: Option<&Path>) -> Self {
        let out = within(LIMIT, command);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let events = log.map(read_log).unwrap_or_default();
        Self { status: out.status, stdout: text(out.stdout), stderr: text(out.stderr), events }
    }

    /// Whether it ended well.
    pub(crate) fn ok(&self) -> bool {
        self.status.success()
    }

    /// Everything about it, for a failed assertion.
    pub(crate) fn describe(&self) -> String {
        let events: Vec<_> = self.events.iter().map(|event| event.line.as_str()).collect();
        format!(
            "{}\n--- stdout\n{}\n--- stderr\n{}\n--- log\n{}\n",
            self.status,
            self.stdout,
            self.stderr,
            events.join("\n")
        )
    }

    fn with_result(&self, result: &str) -> Vec<&str> {
        let mut names: Vec<_> = self
            .events
            .iter()
            .filter(|event| event.result == result && !event.links() && !event.runs_a_script())
            .map(|event| event.name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// How each unit that links was served: `hit`, `miss` or `through`, by crate name.
    pub(crate) fn linked(&self) -> BTreeSet<(&str, &str)> {
        let links = self.events.iter().filter(|event| event.links());
        links.map(|event| (event.name.as_str(), event.result.as_str())).collect()
    }

    /// How the run of each package's build script was served, by package.
    #[allow(dead_code, reason = "not every test crate asks")]
    pub(crate) fn scripts(&self) -> Vec<(&str, &str)> {
        let runs = self.events.iter().filter(|event| event.runs_a_script());
        let mut runs: Vec<_> =
            runs.map(|event| (event.name.as_str(), event.result.as_str())).collect();
        runs.sort_unstable();
        runs
    }

    /// Names of the crates that were restored, sorted. These three are about libraries and checks.
    pub(crate) fn hits(&self) -> Vec<&str> {
        self.with_result("hit")
    }

    /// Names of the crates that were looked up and compiled, sorted.
    pub(crate) fn misses(&self) -> Vec<&str> {
        self.with_result("miss")
    }

    /// Names of the crates that were compiled without a look-up, sorted.
    pub(crate) fn through(&self) -> Vec<&str> {
        self.with_result("through")
    }

    /// Asserts which crates hit and which missed.
    #[track_caller]
    pub(crate) fn expect(&self, hits: &[&str], misses: &[&str]) {
        assert_eq!(
            (self.hits().as_slice(), self.misses().as_slice()),
            (hits, misses),
            "hits, misses of\n{}",
            self.describe()
        );
    }

    /// Asserts that it ended well.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert!(self.ok(), "{}", self.describe());
        self
    }

    /// Names of the packages that cargo says it compiled or checked.
    pub(crate) fn rebuilt(&self) -> BTreeSet<String> {
        let verbs = ["Compiling ", "Checking "];
        self.stderr
            .lines()
            .filter_map(|line| verbs.iter().find_map(|verb| line.trim_start().strip_prefix(verb)))
            .filter_map(|rest| rest.split(' ').next().map(str::to_owned))
            .collect()
    }

    /// Of `--message-format=json`: names of targets with whether cargo took them as fresh.
    pub(crate) fn freshness(&self) -> BTreeSet<(String, bool)> {
        self.stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| message["reason"] == "compiler-artifact")
            .map(|message| {
                let name = message["target"]["name"].as_str().unwrap_or_default().to_owned();
                (name, message["fresh"] == true)
            })
            .collect()
    }
}

fn read_log(path: &Path) -> Vec<Event> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(Event::parse).filter(|event| !event.name.is_empty()).collect()
}

impl Event {
    /// Whether a linker makes it.
    fn links(&self) -> bool {
        ["bin", "test", "proc-macro", "build-script", "cdylib", "dylib", "example", "bench"]
            .contains(&self.kind.as_str())
    }

    /// Whether it is the run of a build script.
    pub(crate) fn runs_a_script(&self) -> bool {
        self.kind == "build-script-run"
    }

    fn parse(line: &str) -> Self {
        let mut event = Self { line: line.to_owned(), ..Self::default() };
        let mut rest = line;
        while let Some((name, value, after)) = pair(rest) {
            match name {
                "crate" => event.name = value,
                "kind" => event.kind = value,
                "result" => event.result = value,
                "reason" => event.reason = value,
                "not_stored" => event.not_stored = value,
                "sent" => event.sent = value,
                "sent_files" => event.sent_files = value.parse().expect("a number"),
                "lacked" => event.lacked.push(value),
                _ => {}
            }
            rest = after;
        }
        if event.name == "___" {
            event.name.clear();
        }
        event
    }
}

/// The next `name=value` or `name="quoted value"`.
fn pair(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let name = name.rsplit(' ').next().unwrap_or(name);
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, after) = rest.split_once(' ').unwrap_or((rest, ""));
        return Some((name, value.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    Some((name, value, ""))
}

/// The text with what differs between any two runs taken out: the place, times, and the order in
/// which units that do not depend on each other were shown.
pub(crate) fn normalise(text: &str, root: &Path) -> String {
    let root = root.to_str().expect("UTF-8 paths in tests");
    let parent = Path::new(root).parent().and_then(Path::to_str).expect("a parent");
    let escaped = serde_json::to_string(root).expect("a string");
    let text = text
        .replace(&format!("{} ", super::LARDER), "")
        .replace(escaped.trim_matches('"'), "[ROOT]")
        .replace(root, "[ROOT]")
        // cargo writes package ids as URLs.
        .replace(&url_path(root), "[ROOT]")
        .replace(parent, "[PARENT]");
    let mut blocks: Vec<String> = vec![String::new()];
    // Whether cargo says that it waits depends on which job it hears of first.
    for line in text.lines().filter(|line| !line.contains("waiting for other jobs to finish")) {
        let line = without_time(line);
        let status = is_status(&plain(&line));
        let fresh = blocks.last().is_none_or(String::is_empty);
        if (line.is_empty() || status) && !fresh {
            blocks.push(String::new());
        }
        let Some(block) = blocks.last_mut() else { continue };
        if !line.is_empty() {
            block.push_str(&line);
            block.push('\n');
        }
        if status {
            blocks.push(String::new());
        }
    }
    blocks.sort();
    blocks.concat()
}

/// The line without colours.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    for (at, part) in line.split("\u{1b}[").enumerate() {
        plain.push_str(if at == 0 {
            part
        } else {
            part.split_once('m').map_or(part, |(_, text)| text)
        });
    }
    plain
}

fn url_path(path: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/-_.~!$&'()*+,;=:@".contains(b);
    path.bytes()
        .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// cargo's own lines: a right-aligned verb of twelve columns; JSON messages, one a line.
fn is_status(line: &str) -> bool {
    let verb = line.trim_start().split(' ').next().unwrap_or_default();
    let aligned = line.find(verb).is_some_and(|at| at + verb.len() == 12);
    aligned && verb.starts_with(|c: char| c.is_ascii_uppercase()) || line.starts_with('{')
}

fn without_time(line: &str) -> String {
    if plain(line).trim_start().starts_with("Finished ") || line.starts_with("error: test failed") {
        return line.split(" in ").next().unwrap_or(line).to_owned();
    }
    // A panic names its thread by the kernel's number; cargo says how old a file is.
    if line.trim_start().starts_with("thread '")
        && let (Some((before, _)), Some((_, after))) = (line.split_once(" ("), line.split_once(')'))
    {
        return format!("{before}{after}");
    }
    if let Some((before, _)) = line.split_once(" has changed (") {
        return before.to_owned();
    }
    if let Some((before, _)) = line.split_once("; finished in ") {
        return before.to_owned();
    }
    if let Some((before, _)) = line.split_once("cargo-timing-") {
        return before.to_owned();
    }
    line.to_owned()
}
