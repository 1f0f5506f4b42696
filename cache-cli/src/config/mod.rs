//! Settings: from the environment, a TOML file, or defaults, each with where it came from.
//!
//! The environment wins over the file. A value that cannot be used is reported as a [`Problem`]
//! and the next source is taken, so that a compile never fails over a typing mistake.

mod execute;
mod file;
mod named;
mod problem;
mod remote;
pub(crate) mod sccache;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use cache_rustc::engine::PathMode;
use cache_rustc::linker::Linker;
use cache_storage::Budget;

pub(crate) use execute::{ExecuteConfig, ExecuteSettings};
pub(crate) use problem::Problem;
pub(crate) use remote::{Access, Fetch, RemoteConfig, RemoteSettings, is_public, shown_option};
pub(crate) use values::{Use, other_linker, size};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Env(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment, {name}"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl<T> Setting<T> {
    fn default(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }
}

/// All settings.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file that was looked for, whether or not it is there; `None` without a home directory.
    pub(crate) file: Option<PathBuf>,
    /// Whether it is there.
    pub(crate) file_found: bool,
    /// The store; `None` without a home directory.
    pub(crate) dir: Setting<Option<PathBuf>>,
    /// What the cache may do.
    pub(crate) mode: Setting<Use>,
    /// How paths get into outputs.
    pub(crate) paths: Setting<PathMode>,
    /// How much disk the store may take.
    pub(crate) size: Setting<Budget>,
    /// Where to log one line per invocation.
    pub(crate) log: Setting<Option<PathBuf>>,
    /// Whether compilers are traced.
    pub(crate) trace: Setting<bool>,
    /// Whether runs of build scripts are cached.
    pub(crate) scripts: Setting<bool>,
    /// Packages whose build scripts always run.
    pub(crate) scripts_except: Setting<Vec<String>>,
    /// The linker that links go to; `None`: rustc's choice.
    pub(crate) linker: Setting<Option<Linker>>,
    /// Whether known builds are put in place before cargo looks.
    pub(crate) fill: Setting<bool>,
    /// Whether restored crates are made ready for their first edit.
    pub(crate) prime: Setting<bool>,
    /// Where outcomes are shared.
    pub(crate) remote: RemoteConfig,
    /// Where units are compiled beside this machine.
    pub(crate) execute: ExecuteConfig,
    /// The store's place when none is configured.
    pub(crate) default_dir: Option<PathBuf>,
    /// What could not be used.
    pub(crate) problems: Vec<Problem>,
}

/// Reads a variable; an empty one counts as unset.
type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Config {
    /// From this process' environment.
    pub(crate) fn load() -> Self {
        Self::load_from(&|name| std::env::var_os(name))
    }

    fn load_from(env: Env<'_>) -> Self {
        let env: Env<'_> = &|name| env(name).filter(|value| !value.is_empty());
        let home = env("HOME").map(PathBuf::from).or_else(std::env::home_dir);
        let default_dir = base(env, "XDG_CACHE_HOME", home.as_deref(), ".cache");
        let mut config = Self {
            file: None,
            file_found: false,
            dir: Setting::default(default_dir.clone()),
            mode: Setting::default(Use::On),
            paths: Setting::default(PathMode::Portable),
            size: Setting::default(Budget::Auto),
            log: Setting::default(None),
            trace: Setting::default(true),
            scripts: Setting::default(true),
            scripts_except: Setting::default(Vec::new()),
            fill: Setting::default(true),
            prime: Setting::default(false),
            linker: Setting::default(None),
            remote: RemoteConfig::default(),
            execute: ExecuteConfig::default(),
            default_dir,
            problems: Vec::new(),
        };
        let standard = base(env, "XDG_CONFIG_HOME", home.as_deref(), ".config")
            .map(|dir| dir.join("config.toml"));
        let mut named = Setting::default(standard);
        let parse = |value: &OsString| values::absolute(value).map(Some);
        take(env, "LARDER_CONFIG", &parse, &mut named, &mut config.problems);
        config.file = named.value;
        config.read_file(named.origin != Origin::Default, home.as_deref());
        config.read_env(env);
        config
    }

    fn read_file(&mut self, must_exist: bool, home: Option<&Path>) {
        let Some(path) = self.file.clone() else { return };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                self.file_found = true;
                file::apply(self, &path, &text, home);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {}
            Err(error) => {
                self.remote.withheld = true;
                self.execute.withheld = true;
                self.problems.push(Problem {
                    place: path.display().to_string(),
                    key: String::new(),
                    value: String::new(),
                    message: format!("cannot be read: {error}"),
                    fix: "make it readable, or let LARDER_CONFIG name another file".into(),
                });
            }
        }
    }

    /// Whether the build script of a package is to be served.
    pub(crate) fn serves_script_of(&self, package: &std::ffi::OsStr) -> bool {
        self.scripts.value && !self.scripts_except.value.iter().any(|name| package == name.as_str())
    }

    fn read_env(&mut self, env: Env<'_>) {
        use values::{absolute, mode, on_off, paths, size};
        let Self { dir, mode: use_, paths: path_mode, size: budget, log, trace, problems, .. } =
            self;
        take(env, "LARDER_DIR", &|v| absolute(v).map(Some), dir, problems);
        take(env, "LARDER", &|v| mode(&text(v)), use_, problems);
        take(env, "LARDER_PATHS", &|v| paths(&text(v)), path_mode, problems);
        take(env, "LARDER_SIZE", &|v| size(&text(v)), budget, problems);
        take(env, "LARDER_LOG", &|v| absolute(v).map(Some), log, problems);
        take(env, "LARDER_TRACER", &|v| on_off(&text(v)), trace, problems);
        let (scripts, except) = (&mut self.scripts, &mut self.scripts_except);
        take(env, "LARDER_BUILD_SCRIPTS", &|v| on_off(&text(v)), scripts, problems);
        let list = |v: &OsString| values::packages(text(v).split(','));
        take(env, "LARDER_BUILD_SCRIPTS_EXCEPT", &list, except, problems);
        take(env, "LARDER_FILL", &|v| on_off(&text(v)), &mut self.fill, problems);
        take(env, "LARDER_PRIME", &|v| on_off(&text(v)), &mut self.prime, problems);
        let linker = |v: &OsString| values::linker(&text(v));
        take(env, "LARDER_LINKER", &linker, &mut self.linker, problems);
        self.remote.read_env(env, &mut self.problems);
        self.execute.read_env(env, &mut self.problems);
    }
}

fn text(value: &OsString) -> String {
    value.to_string_lossy().into_owned()
}

/// Takes a setting from a variable, if it is set and can be used.
fn take<T>(
    env: Env<'_>,
    name: &'static str,
    parse: &dyn Fn(&OsString) -> Result<T, values::Unusable>,
    setting: &mut Setting<T>,
    problems: &mut Vec<Problem>,
) {
    let Some(value) = env(name) else { return };
    match parse(&value) {
        Ok(value) => *setting = Setting { value, origin: Origin::Env(name) },
        Err(unusable) => problems.push(Problem {
            place: "environment".into(),
            key: name.into(),
            value: format!("{:?}", value.to_string_lossy()),
            message: unusable.message,
            fix: unusable.fix,
        }),
    }
}

/// `larder` below a base directory of the XDG specification, which ignores relative values.
fn base(env: Env<'_>, name: &str, home: Option<&Path>, default: &str) -> Option<PathBuf> {
    let base = env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    Some(base.or_else(|| Some(home?.join(default)))?.join("larder"))
}

#[cfg(test)]
mod tests;
