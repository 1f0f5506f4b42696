//! What a project is built with: plain cargo, larder, or another cache.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::build_env::clean_command;
use crate::larder;

/// A way to build, with the version to name beside its figures.
#[derive(Clone)]
pub(crate) struct Tool {
    /// Short name, also that of its scratch directory.
    pub(crate) name: &'static str,
    /// What the program says of its version.
    pub(crate) version: String,
    kind: Kind,
    /// Variables for everything that is run.
    env: Vec<(String, String)>,
}

#[derive(Clone)]
enum Kind {
    Plain,
    Larder(PathBuf),
    Sccache(PathBuf),
    Kache(PathBuf),
    Mbx(PathBuf),
}

/// A kind, given the path of its program.
type MakeKind = fn(PathBuf) -> Kind;

impl Tool {
    /// Cargo without any cache.
    ///
    /// # Errors
    /// When cargo cannot be run.
    pub(crate) fn plain() -> Result<Self> {
        Self::new("cargo", "cargo".into(), |_| Kind::Plain)
    }

    /// The larder at `path`.
    ///
    /// # Errors
    /// When it cannot be run.
    pub(crate) fn larder(path: PathBuf) -> Result<Self> {
        Self::new("larder", path, Kind::Larder)
    }

    /// Every other cache that is found in `LARDER_BENCH_PEERS` or on `PATH`.
    ///
    /// # Errors
    /// When one is found and does not tell its version.
    pub(crate) fn peers() -> Result<Vec<Self>> {
        let known: [(&'static str, MakeKind); 3] =
            [("sccache", Kind::Sccache), ("kache", Kind::Kache), ("mbx", Kind::Mbx)];
        let found = known.into_iter().filter_map(|(name, kind)| Some((name, find(name)?, kind)));
        found.map(|(name, path, kind)| Self::new(name, path, kind)).collect()
    }

    fn new(name: &'static str, path: PathBuf, kind: MakeKind) -> Result<Self> {
        let output = clean_command(path.as_os_str(), Path::new("/"))
            .arg("--version")
            .output()
            .with_context(|| format!("cannot run {}", path.display()))?;
        ensure!(output.status.success(), "{} --version: {}", path.display(), output.status);
        let said = String::from_utf8_lossy(&output.stdout);
        let words = said.lines().next().unwrap_or_default().split_whitespace();
        let version = words.filter(|word| *word != name).take(1).collect::<Vec<_>>().join(" ");
        Ok(Self { name, version, kind: kind(path), env: vec![] })
    }

    /// The larder binary, if that is what this is.
    pub(crate) fn larder_binary(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Larder(path) => Some(path),
            Kind::Plain | Kind::Sccache(_) | Kind::Kache(_) | Kind::Mbx(_) => None,
        }
    }

    /// The same with a variable in the environment of builds and servers.
    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
        self
    }

    /// The same without what [`Self::with_env`] was given.
    pub(crate) fn without_env(&self) -> Self {
        Self { env: vec![], ..self.clone() }
    }

    /// What [`Self::with_env`] was given.
    pub(crate) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Whether a second checkout can profit from the first.
    pub(crate) fn is_cache(&self) -> bool {
        !matches!(self.kind, Kind::Plain)
    }

    /// `cargo build`, offline, in `checkout`, with the tool's state in `store`.
    pub(crate) fn build(&self, checkout: &Path, store: &Path) -> Command {
        let program =
            if let Kind::Mbx(path) = &self.kind { path.as_os_str() } else { "cargo".as_ref() };
        let mut command = clean_command(program, checkout);
        command.args(["build", "--offline"]);
        if checkout.join("Cargo.lock").is_file() {
            command.arg("--locked");
        }
        if let Kind::Larder(path) | Kind::Sccache(path) | Kind::Kache(path) = &self.kind {
            command.env("RUSTC_WRAPPER", path);
        }
        self.configure(&mut command, store);
        command
    }

    /// Starts the server that the tool needs, if any.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(&self, store: &Path) -> Result<()> {
        fs::create_dir_all(store)?;
        match &self.kind {
            Kind::Larder(_) => fs::write(store.with_extension("toml"), "").map_err(Into::into),
            Kind::Sccache(path) => self.control(path, &["--start-server"], store).map(drop),
            Kind::Plain | Kind::Kache(_) | Kind::Mbx(_) => Ok(()),
        }
    }

    /// Stops what [`Self::start`], or the tool by itself, has put in the background.
    ///
    /// # Errors
    /// When a server that must be running does not answer.
    pub(crate) fn stop(&self, store: &Path) -> Result<()> {
        match &self.kind {
            Kind::Sccache(path) => self.control(path, &["--stop-server"], store).map(drop),
            // It starts a service only when it sees fit: none to stop is no failure.
            Kind::Kache(path) => {
                let _ = self.control(path, &["daemon", "stop"], store);
                Ok(())
            }
            Kind::Larder(path) if !self.env.is_empty() => {
                larder::stop_agent(path, store, &self.env)
            }
            Kind::Plain | Kind::Larder(_) | Kind::Mbx(_) => Ok(()),
        }
    }

    fn control(&self, program: &Path, arguments: &[&str], store: &Path) -> Result<Output> {
        let mut command = clean_command(program.as_os_str(), store);
        self.configure(&mut command, store);
        // Files, not pipes: a server that keeps its end open would make us wait for it.
        let log = fs::File::create(store.with_extension("log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        let output = command.args(arguments).output()?;
        ensure!(output.status.success(), "{command:?}: {}", output.status);
        Ok(output)
    }

    /// Puts the tool's state under `store` and leaves everything else at its defaults.
    fn configure(&self, command: &mut Command, store: &Path) {
        match &self.kind {
            Kind::Plain => {}
            Kind::Larder(path) => larder::wrap(command, path, store),
            Kind::Sccache(_) => {
                // A socket of its own, so that a server of the user's is neither used nor stopped.
                command.env("SCCACHE_DIR", store).env("SCCACHE_CACHE_SIZE", "50G");
                command.env("SCCACHE_SERVER_UDS", store.with_extension("sock"));
            }
            Kind::Kache(_) => {
                command.env("KACHE_CACHE_DIR", store).env("KACHE_LOCAL_ONLY", "1");
                command.env("KACHE_RUNTIME_DIR", store.with_extension("run"));
                // Its log stays in the default place whatever the store is.
                command.env("XDG_CACHE_HOME", store.with_extension("cache"));
            }
            Kind::Mbx(_) => {
                command.env("MBX_CACHE_DIR", store);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
    }
}

/// The program's path, from `LARDER_BENCH_PEERS` or else `PATH`.
fn find(name: &str) -> Option<PathBuf> {
    let own = env::var_os("LARDER_BENCH_PEERS").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let candidates = own.into_iter().chain(env::split_paths(&path));
    candidates.map(|directory| directory.join(name)).find(|file| file.is_file())
}
