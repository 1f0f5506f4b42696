//! A home of its own for the program under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::program::write_program;

/// A temporary home directory with a store in it.
pub(crate) struct Home {
    dir: TempDir,
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("temp dir") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Writes a file below the home.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
        fs::write(&path, text).expect("write");
        path
    }

    /// Writes a file below the home that is going to be run.
    pub(crate) fn write_program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        write_program(&path, text);
        path
    }

    /// A program in a clean environment: this home, this store, no other wrapper.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let keep = |name: &str| {
            ["PATH", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "TMPDIR", "LARDER_TRACER"].contains(&name)
        };
        command.env_clear();
        command.envs(std::env::vars().filter(|(name, _)| keep(name)));
        let real = std::env::home_dir().unwrap_or_default();
        if std::env::var_os("RUSTUP_HOME").is_none() {
            command.env("RUSTUP_HOME", real.join(".rustup"));
        }
        command.env("HOME", self.dir.path()).env("CARGO_HOME", self.path("cargo-home"));
        command.env("LARDER_DIR", self.store()).current_dir(self.dir.path());
        command
    }

    pub(crate) fn larder(&self) -> Command {
        self.program(env!("CARGO_BIN_EXE_larder"))
    }

    /// Runs larder with these arguments.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.larder().args(args).output().expect("larder runs"))
    }

    /// A build with larder in front of rustc.
    pub(crate) fn cargo(&self, project: &Path, args: &[&str]) -> Ran {
        let mut command = self.program("cargo");
        command.env("RUSTC_WRAPPER", env!("CARGO_BIN_EXE_larder")).current_dir(project);
        Ran::of(&command.args(args).arg("--offline").output().expect("cargo runs"))
    }

    /// `larder stats --json`.
    pub(crate) fn stats(&self) -> serde_json::Value {
        let ran = self.run(&["stats", "--json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        serde_json::from_str(&ran.out).expect("JSON")
    }

    /// Writes a log of events, one JSON object each, without version and time.
    pub(crate) fn events(&self, events: &[&str]) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let at = now.expect("after 1970").as_micros();
        let lines: String = events
            .iter()
            .enumerate()
            .map(|(n, event)| format!("{{\"v\":1,\"at\":{},{event}}}\n", at + n as u128))
            .collect();
        self.write("store/events-v1/log.jsonl", &lines);
    }

    /// A workspace of a library `leaf`, a library `mid` on it, and a program `app` on that.
    pub(crate) fn project(&self, name: &str) -> PathBuf {
        let member = |member: &str, needs: &str| {
            let needs = if needs.is_empty() {
                String::new()
            } else {
                format!("[dependencies]\n{needs} = {{ path = \"../{needs}\" }}\n")
            };
            self.write(
                &format!("{name}/{member}/Cargo.toml"),
                &format!(
                    "[package]\nname = \"{member}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{needs}"
                ),
            );
        };
        self.write(
            &format!("{name}/Cargo.toml"),
            "[workspace]\nresolver = \"2\"\nmembers = [\"leaf\", \"mid\", \"app\"]\n",
        );
        member("leaf", "");
        member("mid", "leaf");
        member("app", "mid");
        self.write(&format!("{name}/leaf/src/lib.rs"), "pub fn leaf() -> u32 { 41 }\n");
        self.write(&format!("{name}/mid/src/lib.rs"), "pub fn mid() -> u32 { leaf::leaf() + 1 }\n");
        self.write(
            &format!("{name}/app/src/main.rs"),
            "fn main() { println!(\"{}\", mid::mid()) }\n",
        );
        self.path(name)
    }
}
