//! One invocation, understood: a unit that can be looked up, or the reason it cannot.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use cache_core::{Digest, Recipe, RecipeKey, Role};

use super::action::{Action, Env};
use super::facts::Digests;
use super::linker;
use super::place::Place;
use super::recipe;
use super::remap::Remap;
use super::report::Report;
use super::{Options, PathMode};
use crate::args::{self, CompileArgs, CrateType, EmitKind, Invocation, PredictedOutput, Target};
use crate::env_class::{self, Class};
use crate::linker::Chosen;
use crate::toolchain::{self, Compiler, Identity};

/// A compiler's command line with its working directory and environment.
#[derive(Debug, Clone)]
pub struct Request {
    /// Program and arguments, as cargo gave them to the wrapper: `rustc ARGS`, or another wrapper
    /// in front (`clippy-driver rustc ARGS`).
    pub argv: Vec<OsString>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// The whole environment.
    pub env: HashMap<OsString, OsString>,
}

impl Request {
    /// This process' own working directory and environment with these arguments.
    ///
    /// # Errors
    /// When the working directory is gone.
    pub fn from_process(argv: Vec<OsString>) -> std::io::Result<Self> {
        Ok(Self { argv, cwd: std::env::current_dir()?, env: std::env::vars_os().collect() })
    }

    pub(super) fn var(&self, name: &str) -> Option<OsString> {
        self.env.get(OsStr::new(name)).cloned()
    }
}

/// A unit that may be looked up, executed and stored.
#[derive(Debug)]
pub struct Unit {
    /// What to run before the arguments: the compiler, with an inner wrapper in front if any.
    pub program: Vec<OsString>,
    /// The files behind `program`: what is started first, then what that starts or loads, with
    /// rustup's proxies seen through. Their identity is part of the recipe.
    pub programs: Vec<PathBuf>,
    /// The arguments as given.
    pub raw_args: Vec<OsString>,
    /// The arguments, understood.
    pub args: CompileArgs,
    /// Where it happens.
    pub place: Place,
    /// The path mappings added to the arguments.
    pub remap: Remap,
    /// The arguments that make the driver take the chosen linker.
    pub linker: Vec<OsString>,
    /// The environment.
    pub env: HashMap<OsString, OsString>,
    /// The files rustc will write.
    pub outputs: Vec<Expected>,
    /// Where outputs go, absolute.
    pub out_dir: PathBuf,
    /// Where the standard library is.
    pub sysroot: PathBuf,
    /// The directory of the compiler's own toolchain; mostly the same.
    pub toolchain: PathBuf,
    /// The target that the compiler runs on.
    pub host: String,
    /// The external crates' files and their digests when the key was made.
    pub externs: Vec<(PathBuf, Digest)>,
    /// Everything known before compiling.
    pub recipe: Recipe,
    /// Its key.
    pub key: RecipeKey,
    /// The program that its launcher starts, for a build script whose runs are served.
    pub launcher: Option<PathBuf>,
}

/// A file that rustc will write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What it is.
    pub role: Role,
    /// Where, absolute.
    pub path: PathBuf,
}

impl Expected {
    fn new(output: PredictedOutput) -> Self {
        let role = match (output.kind, output.crate_type) {
            (EmitKind::Metadata, _) => Role::Metadata,
            (EmitKind::DepInfo, _) => Role::DepInfo,
            (EmitKind::Link, Some(CrateType::Rlib)) => Role::Rlib,
            (EmitKind::Link, Some(CrateType::Staticlib)) => Role::Other,
            (EmitKind::Link, _) => Role::Executable,
            _ => Role::Other,
        };
        Self { role, path: plain(output.path) }
    }
}

impl Unit {
    /// Whether an output may share the store's read-only inode. A library may where the unit's own fresh
    /// metadata is beside it for cargo to look at, and cargo will remove it before the next run.
    /// rustc by itself refuses to write over a file that it cannot write to.
    pub(super) fn may_link(&self, role: Role) -> bool {
        let has_metadata = self.outputs.iter().any(|output| output.role == Role::Metadata);
        let library = role == Role::Rlib && has_metadata;
        // A compiled script behind a launcher is nothing that cargo looks at.
        let script = role == Role::Executable && self.launcher.is_some();
        (library || script) && self.env.contains_key(OsStr::new("CARGO"))
    }

    /// Fills in what a report says of every unit.
    pub(super) fn describe(&self, report: &mut Report) {
        report.crate_name.clone_from(&self.args.crate_name);
        report.unit = self.name();
        report.kind = kind(&self.args);
        report.key = Some(self.key);
    }

    /// Crate name with cargo's extra file name.
    #[must_use]
    pub fn name(&self) -> String {
        unit_name(&self.args)
    }
}

impl Action for Unit {
    fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    fn key(&self) -> RecipeKey {
        self.key
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn env(&self) -> &Env {
        &self.env
    }

    fn variant(&self, name: &str) -> Option<Digest> {
        recipe::variant(name, &self.args, &self.place, &self.env)
    }
}

/// An invocation, understood.
#[derive(Debug)]
pub enum Prepared {
    /// To be looked up.
    Unit(Box<Unit>),
    /// To be run as it is.
    Through(Through),
}

/// An invocation that is run without a look-up.
#[derive(Debug, Clone, Default)]
pub struct Through {
    /// Why, as a stable word with a detail after a colon where there is one.
    pub reason: String,
    /// Program and arguments to run, path mappings included where outputs feed other units.
    pub argv: Vec<OsString>,
    /// Crate name, where one is given.
    pub crate_name: String,
    /// Crate name with cargo's extra file name.
    pub unit: String,
    /// What kind of unit.
    pub kind: String,
    /// The files it will write, as far as the arguments were understood.
    pub outputs: Vec<PathBuf>,
    /// The mappings among `argv`, to put paths in diagnostics back.
    pub remap: Remap,
}

impl Through {
    /// Whether diagnostics may carry mapped names: the streams must then be passed on by
    /// [`Engine::run`](super::Engine::run); otherwise [`exec`](super::exec) will do.
    #[must_use]
    pub fn rewrites(&self) -> bool {
        !self.remap.pairs.is_empty()
    }
}

/// Understands an invocation. Whatever cannot be understood is run as it is.
#[must_use]
pub(super) fn prepare(request: &Request, options: &Options, digests: &dyn Digests) -> Prepared {
    let through = |reason: String| {
        Prepared::Through(Through { reason, argv: request.argv.clone(), ..Through::default() })
    };
    let Some(command) = toolchain::split_command(&request.argv, request.var("RUSTC").as_deref())
    else {
        return through("not-a-compiler".into());
    };
    let args = match args::parse(command.args, &request.cwd) {
        Invocation::Query => return through("query".into()),
        Invocation::Uncacheable(reason) => return through(reason.to_string()),
        Invocation::Compile(args) => *args,
    };
    match Draft::new(request, options, command, args) {
        Ok(draft) => draft.finish(options, digests),
        Err(reason) => through(reason),
    }
}

/// A compile on its way to becoming a unit.
struct Draft<'r> {
    request: &'r Request,
    command: toolchain::Command<'r>,
    args: CompileArgs,
    identity: Identity,
    sysroot: PathBuf,
    home: PathBuf,
    programs: Vec<PathBuf>,
    out_dir: PathBuf,
    place: Place,
    remap: Remap,
    linker: Option<Chosen>,
}

impl<'r> Draft<'r> {
    fn new(
        request: &'r Request,
        options: &Options,
        command: toolchain::Command<'r>,
        mut args: CompileArgs,
    ) -> Result<Self, String> {
        let env = |name: &str| request.var(name);
        let memo = options.state_dir.join("toolchains-v1");
        let failed = |error: toolchain::Error| format!("toolchain: {error}");
        let compiler = toolchain::resolve(&toolchain::Request {
            program: command.compiler,
            wrapper: command.wrapper,
            first_arg: command.args.first().map(OsString::as_os_str),
            sysroot: args.sysroot.as_deref(),
            cwd: &request.cwd,
            env: &env,
            vars: &|| request.env.clone().into_iter().collect(),
            memo_dir: &memo,
        })
        .map_err(failed)?;
        let target = match &args.target {
            None => None,
            Some(Target::Triple(triple)) => Some(triple.as_str()),
            Some(Target::Spec(_)) => return Err("target-spec".into()),
        };
        let identity = toolchain::identity(&compiler, target, &memo).map_err(failed)?;
        let out_dir = out_dir(&args, &request.cwd);
        let linker = linker::choose(request, options, &args, &compiler.home, &identity.host);
        args.named_inputs.extend(linker.as_ref().and_then(linker::input));
        let Compiler { sysroot, home, wrapper, program, binary, .. } = compiler;
        let wrapper = wrapper.map(|wrapper| wrapper.program);
        let programs: Vec<PathBuf> = wrapper.into_iter().chain([program, binary]).collect();
        let place = Place::find(&request.cwd, &out_dir, &args.input, target, &sysroot, &env);
        let remap = match options.paths {
            PathMode::Portable if recipe::is_json(&args) => Remap::portable(&place),
            PathMode::Portable | PathMode::Exact => Remap::default(),
        };
        Ok(Self {
            request,
            command,
            args,
            identity,
            programs,
            sysroot,
            home,
            out_dir,
            place,
            remap,
            linker,
        })
    }

    fn finish(self, options: &Options, digests: &dyn Digests) -> Prepared {
        if let Some(reason) = self.obstacle(options) {
            return Prepared::Through(self.through(reason));
        }
        let mut externs = Vec::new();
        for path in self.args.externs.iter().filter_map(|dependency| dependency.path.as_deref()) {
            let path = self.place.absolute(path);
            match digests.digest_file(&path) {
                Ok(digest) => externs.push((path, digest)),
                Err(error) => {
                    return Prepared::Through(
                        self.through(format!("extern-unreadable: {}: {error}", path.display())),
                    );
                }
            }
        }
        let mut recipe = match recipe::recipe(
            &self.args,
            &self.place,
            &self.remap,
            &self.identity,
            &externs,
            &self.request.env,
            options,
        ) {
            Ok(recipe) => recipe,
            Err(reason) => return Prepared::Through(self.through(reason)),
        };
        if let Some(chosen) = &self.linker {
            recipe.push("linker", self.place.template(&chosen.program).to_bytes());
        }
        let package = self.request.env.get(OsStr::new("CARGO_PKG_NAME"));
        let excepted = |name: &String| package.is_some_and(|package| package == name.as_str());
        let served = kind(&self.args) == BUILD_SCRIPT && !options.no_launcher.iter().any(excepted);
        let launcher = options.launcher.clone().filter(|_| served);
        Prepared::Unit(Box::new(Unit {
            launcher,
            key: recipe.key(),
            recipe,
            outputs: self
                .args
                .predicted_outputs(&self.request.cwd)
                .into_iter()
                .map(Expected::new)
                .collect(),
            program: program(&self.command),
            programs: self.programs,
            raw_args: self.command.args.to_vec(),
            args: self.args,
            place: self.place,
            remap: self.remap,
            linker: self.linker.map(|chosen| chosen.args).unwrap_or_default(),
            env: self.request.env.clone(),
            out_dir: self.out_dir,
            sysroot: self.sysroot,
            toolchain: self.home,
            host: self.identity.host,
            externs,
        }))
    }

    fn obstacle(&self, options: &Options) -> Option<String> {
        if self.args.links() && !(options.links && options.trace) {
            return Some(format!("links: {}", kind(&self.args)));
        }
        for name in self.request.env.keys() {
            if let Class::Uncacheable(reason) = env_class::classify(name) {
                return Some(format!("env: {}: {reason}", name.to_string_lossy()));
            }
        }
        None
    }

    /// The same command with the path mappings: what links is not cached, but what depends on it
    /// should find the same bytes in every checkout.
    fn through(self, reason: String) -> Through {
        let linker = self.linker.map(|chosen| chosen.args).unwrap_or_default();
        let argv = argv(&program(&self.command), &self.remap, &linker, self.command.args);
        Through {
            reason,
            argv,
            crate_name: self.args.crate_name.clone(),
            unit: unit_name(&self.args),
            kind: kind(&self.args),
            outputs: self
                .args
                .predicted_outputs(&self.request.cwd)
                .into_iter()
                .map(|output| output.path)
                .collect(),
            remap: self.remap,
        }
    }
}

fn program(command: &toolchain::Command<'_>) -> Vec<OsString> {
    command.wrapper.into_iter().chain([command.compiler]).map(OsString::from).collect()
}

/// The whole command with the path mappings and the chosen linker: behind rustup's `+toolchain`,
/// which must come first, and before the user's own arguments, which must come last to win.
pub(super) fn argv(
    program: &[OsString],
    remap: &Remap,
    linker: &[OsString],
    args: &[OsString],
) -> Vec<OsString> {
    let toolchain = usize::from(args.first().is_some_and(|arg| arg.as_bytes().starts_with(b"+")));
    let (first, rest) = args.split_at(toolchain);
    [program, first, &remap.args(), linker, rest].concat()
}

fn unit_name(args: &CompileArgs) -> String {
    format!("{}{}", args.crate_name, args.extra_filename.as_deref().unwrap_or_default())
}

/// The kind of compiled build scripts.
const BUILD_SCRIPT: &str = "build-script";

/// A word for what is compiled: `lib`, `check`, `bin`, `proc-macro`, `test`, `build-script`, ….
#[must_use]
pub(super) fn kind(args: &CompileArgs) -> String {
    if args.crate_name.starts_with("build_script_") && args.links() {
        BUILD_SCRIPT.into()
    } else if args.test {
        "test".into()
    } else if !args.emits(EmitKind::Link) {
        "check".into()
    } else {
        args.crate_types.first().map_or_else(|| "bin".into(), |kind| kind.name().into())
    }
}

fn out_dir(args: &CompileArgs, cwd: &Path) -> PathBuf {
    let named = args
        .out_dir
        .clone()
        .or_else(|| args.output.as_ref().and_then(|path| path.parent().map(Path::to_path_buf)));
    named.map_or_else(|| cwd.to_path_buf(), |dir| plain(cwd.join(dir)))
}

/// A path without `..` where the system can tell: the tracer sees it so, and a root must be.
fn plain(path: PathBuf) -> PathBuf {
    if !path.components().any(|part| part == Component::ParentDir) {
        return path;
    }
    if let Ok(real) = std::fs::canonicalize(&path) {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) => {
            std::fs::canonicalize(dir).map_or(path.clone(), |dir| dir.join(name))
        }
        _ => path,
    }
}

/// A variable's bytes from a text name.
pub(crate) fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
