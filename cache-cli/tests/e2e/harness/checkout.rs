//! One checkout of a project, and the transcript of what was done in it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::run::{Run, normalise};
use super::{Files, LARDER, Lab, shim};

/// A directory with a project, built with or without the wrapper.
pub(crate) struct Checkout<'l> {
    lab: &'l Lab,
    /// The workspace root.
    pub(crate) root: PathBuf,
    wrapped: bool,
    steps: RefCell<Vec<(String, String)>>,
    runs: RefCell<Vec<Run>>,
}

impl<'l> Checkout<'l> {
    pub(crate) fn new(lab: &'l Lab, name: &str, files: &Files, wrapped: bool) -> Self {
        let root = lab.root.join(name);
        std::fs::create_dir_all(&root).expect("checkout");
        let checkout =
            Self { lab, root, wrapped, steps: RefCell::default(), runs: RefCell::default() };
        for (path, content) in &files.0 {
            checkout.write(path, content);
        }
        checkout
    }

    /// A path in it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Writes a file, directories included.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }

    /// Removes a file or a directory with all in it.
    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        let done = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        done.unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }

    /// The same when it is there.
    pub(crate) fn remove_if_there(&self, path: &str) {
        if self.path(path).exists() {
            self.remove(path);
        }
    }

    /// Renames a file.
    pub(crate) fn rename(&self, from: &str, to: &str) {
        std::fs::create_dir_all(self.path(to).parent().expect("a parent")).expect("directories");
        std::fs::rename(self.path(from), self.path(to)).expect("rename");
    }

    /// The cargo command line, with the wrapper if this checkout has it. Without incremental
    /// compilation, as the wrapper does not cache that.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = match &*self.lab.starts.borrow() {
            None => self.lab.command("cargo"),
            Some(log) => {
                let mut command = self.lab.command("sh");
                command.args(shim::cargo(log));
                command
            }
        };
        command.current_dir(&self.root).args(args).env("CARGO_INCREMENTAL", "0");
        if self.wrapped {
            command.env("RUSTC_WRAPPER", LARDER);
        }
        // Set last, so that the lab's own variables win.
        command.envs(self.lab.env.borrow().iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs cargo and writes down what it said.
    #[track_caller]
    pub(crate) fn cargo(&self, args: &[&str]) -> Run {
        self.cargo_with(args, |cargo| cargo)
    }

    /// The same with a changed command (environment, working directory).
    #[track_caller]
    pub(crate) fn cargo_with(
        &self,
        args: &[&str],
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Run {
        let log = self.lab.next_log();
        let mut command = self.command(args);
        command.env("LARDER_LOG", &log);
        change(&mut command);
        let run = Run::of(&mut command, Some(&log));
        self.note(&format!("cargo {}", args.join(" ")), &run);
        run
    }

    /// Runs a built program in the workspace root and writes down what it said.
    #[track_caller]
    pub(crate) fn program(&self, path: &str) -> String {
        let run = Run::of(self.lab.command(self.path(path)).current_dir(&self.root), None);
        self.note(path, &run);
        run.stdout
    }

    /// Builds, which must go well, and gives what the program `app` prints.
    #[track_caller]
    pub(crate) fn build_and_run(&self) -> String {
        self.cargo(&["build"]).good();
        self.program("target/debug/app")
    }

    /// The cargo commands so far.
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.runs.borrow().clone()
    }

    /// The last cargo command.
    #[track_caller]
    pub(crate) fn last(&self) -> Run {
        self.runs.borrow().last().expect("a run").clone()
    }

    #[track_caller]
    fn note(&self, what: &str, run: &Run) {
        let (out, err) = (normalise(&run.stdout, &self.root), normalise(&run.stderr, &self.root));
        // The wrapper never says anything of its own: cargo would store and replay it.
        for text in [&out, &err] {
            assert!(!text.contains("larder"), "{what}: the wrapper spoke\n{}", run.describe());
        }
        let text = format!("{}\n--- stdout\n{out}--- stderr\n{err}", run.status);
        self.steps.borrow_mut().push((normalise(what, &self.root), text));
        if what.starts_with("cargo ") {
            self.runs.borrow_mut().push(run.clone());
        }
    }

    /// Asserts that the same was done here as there, and the same came out.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Checkout<'_>) {
        let (ours, theirs) = (self.steps.borrow(), other.steps.borrow());
        assert_eq!(ours.len(), theirs.len(), "as many steps");
        for (at, (left, right)) in ours.iter().zip(theirs.iter()).enumerate() {
            assert!(
                left == right,
                "step {at} differs between {} and {}\n=== {}\n{}\n=== {}\n{}\nlog:\n{}",
                self.root.display(),
                other.root.display(),
                left.0,
                left.1,
                right.0,
                right.1,
                other.log()
            );
        }
    }

    fn log(&self) -> String {
        let lines = self.runs.borrow();
        let lines = lines.iter().flat_map(|run| &run.events).map(|event| event.line.clone());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Files under a directory of the checkout whose names match, as relative paths, sorted.
    pub(crate) fn find(&self, dir: &str, matches: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.path(dir), &mut found);
        found.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&matches));
        found.sort();
        found.iter().map(|path| path.strip_prefix(&self.root).expect("inside").into()).collect()
    }
}

/// All regular files under a directory.
pub(crate) fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}
