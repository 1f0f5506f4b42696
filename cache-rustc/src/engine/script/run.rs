//! What is known of a build script's run before it happens.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_core::{Digest, Recipe, RecipeKey, RootName};

use super::super::action::{Action, Env};
use super::super::facts::Digests;
use super::super::place::Place;
use super::super::recipe::{self, ENVIRON};
use super::super::remap::Remap;
use super::super::report::Report;
use super::super::{Options, PathMode};
use super::environ::{self, SESSIONLESS};
use super::programs;
use crate::env_class::{self, Class};
use crate::toolchain::{self, Compiler};

/// The root of what a run leaves.
pub(super) const OUT_DIR: &str = "out_dir";

/// A build script as cargo starts it.
#[derive(Debug, Clone)]
pub struct ScriptRequest {
    /// The compiled script.
    pub script: PathBuf,
    /// The name it is started by: the launcher's path.
    pub name: OsString,
    /// Its arguments; cargo gives none.
    pub args: Vec<OsString>,
    /// Working directory, absolute: the package's.
    pub cwd: PathBuf,
    /// The whole environment.
    pub env: Env,
}

/// A build script's run that may be looked up, executed and stored.
#[derive(Debug)]
pub struct ScriptRun {
    /// What to start.
    pub request: ScriptRequest,
    /// Where it happens.
    pub place: Place,
    /// `OUT_DIR` (the cargo book, "Environment variables Cargo sets for build scripts").
    pub out_dir: PathBuf,
    /// Where the standard library is, and the compiler's own toolchain.
    pub toolchain: [PathBuf; 2],
    /// What C compilers are to write instead of the paths of this place.
    pub remap: Remap,
    /// Everything known before executing.
    pub recipe: Recipe,
    /// Its key.
    pub key: RecipeKey,
}

impl Action for ScriptRun {
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
        &self.request.env
    }

    fn variant(&self, name: &str) -> Option<Digest> {
        match name {
            ENVIRON => Some(environ::whole(&self.place, &self.request.env)),
            SESSIONLESS => Some(environ::sessionless(&self.place, &self.request.env)),
            _ => programs::variant(name, &self.place, &self.request.env),
        }
    }
}

impl ScriptRun {
    /// Fills in what a report says of every run.
    pub(in super::super) fn describe(&self, report: &mut Report) {
        let var = |name: &str| self.request.env.get(OsStr::new(name));
        let text = |value: &OsStr| value.to_string_lossy().into_owned();
        report.crate_name = var("CARGO_PKG_NAME").map(|name| text(name)).unwrap_or_default();
        // cargo gives each run a directory of its own, `<package>-<hash>`.
        let unit = self.out_dir.parent().and_then(Path::file_name);
        report.unit = unit.map(text).unwrap_or_default();
        report.kind = super::KIND.into();
        report.key = Some(self.key);
    }
}

/// Understands the start of a build script.
///
/// # Errors
/// The reason why its run cannot be cached.
pub(super) fn prepare(
    request: &ScriptRequest,
    options: &Options,
    digests: &dyn Digests,
) -> Result<ScriptRun, String> {
    if !options.trace {
        return Err("no-tracer".into());
    }
    let var = |name: &str| request.env.get(OsStr::new(name)).cloned();
    for name in request.env.keys() {
        if let Class::Uncacheable(reason) = env_class::classify(name) {
            return Err(format!("env: {}: {reason}", name.to_string_lossy()));
        }
    }
    let out_dir = var("OUT_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let out_dir = out_dir.ok_or("no-out-dir")?;
    let failed = |error: toolchain::Error| format!("toolchain: {error}");
    let memo = options.state_dir.join("toolchains-v1");
    let program = var("RUSTC").ok_or("no-compiler")?;
    let compiler = toolchain::resolve(&toolchain::Request {
        program: &program,
        wrapper: None,
        first_arg: None,
        sysroot: None,
        cwd: &request.cwd,
        env: &|name| var(name),
        vars: &|| request.env.clone().into_iter().collect(),
        memo_dir: &memo,
    })
    .map_err(failed)?;
    let identity = toolchain::identity(&compiler, None, &memo).map_err(failed)?;
    let Compiler { sysroot, home, .. } = compiler;
    let place = place(request, &out_dir, &sysroot, &|name| var(name))?;
    let script = digests
        .digest_file(&request.script)
        .map_err(|error| format!("script-unreadable: {error}"))?;

    let remap = match options.paths {
        PathMode::Portable => Remap::portable(&place),
        PathMode::Exact => Remap::default(),
    };
    let mut recipe = Recipe::new();
    recipe.push("toolchain", identity.digest.as_bytes().to_vec());
    recipe.push("build-script", script.as_bytes().to_vec());
    for arg in &request.args {
        recipe.push("arg", arg.as_bytes());
    }
    recipe.push("cwd", place.template(&request.cwd).to_bytes());
    recipe.push("remap", remap.canonical(&place));
    recipe::identity_env(&mut recipe, &request.env);
    let key = recipe.key();
    let request = request.clone();
    Ok(ScriptRun { request, place, out_dir, toolchain: [sysroot, home], remap, recipe, key })
}

fn place(
    request: &ScriptRequest,
    out_dir: &Path,
    sysroot: &Path,
    var: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Place, String> {
    let triple = var("TARGET");
    let triple = triple.as_deref().and_then(OsStr::to_str);
    // A package is found by its own directory, not by a relative source path.
    let input = Path::new("/");
    let mut place = Place::find(&request.cwd, out_dir, input, triple, sysroot, var);
    let name = RootName::new(OUT_DIR).map_err(|error| error.to_string())?;
    let odd = |_| format!("odd-out-dir: {}", out_dir.display());
    place.roots.add(name, out_dir.as_os_str().as_bytes()).map_err(odd)?;
    Ok(place)
}
