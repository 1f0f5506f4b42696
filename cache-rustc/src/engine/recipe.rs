//! The recipe of a unit: its named fields, places taken out.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cache_core::{Digest, Hasher, Recipe};

use super::facts::environ_digest;
use super::place::Place;
use super::remap::Remap;
use super::{Options, PathMode};
use crate::args::{CompileArgs, Diagnostics, ErrorFormat, Extern, KeyArg, Piece};
use crate::env_class::{self, Class};
use crate::toolchain::{self, Identity};

type Env = HashMap<OsString, OsString>;

/// The variant that an outcome with diagnostics depends on.
pub(super) const DIAGNOSTICS: &str = "diagnostics";
/// The variant that an outcome depends on whose making read the environment as a whole.
pub(super) const ENVIRON: &str = "environ";

/// Makes the recipe.
///
/// # Errors
/// The reason why the invocation cannot be keyed.
pub(super) fn recipe(
    args: &CompileArgs,
    place: &Place,
    remap: &Remap,
    identity: &Identity,
    externs: &[(PathBuf, Digest)],
    env: &Env,
    options: &Options,
) -> Result<Recipe, String> {
    let mut recipe = Recipe::new();
    recipe.push("toolchain", identity.digest.as_bytes().to_vec());
    if args.links() {
        recipe.push("linkers", identity.linkers.as_bytes().to_vec());
    }
    recipe.push("crate", args.crate_name.as_str());
    recipe.push(
        "paths",
        match options.paths {
            PathMode::Portable => "portable",
            PathMode::Exact => "exact",
        },
    );
    recipe.push("remap", remap.canonical(place));
    recipe.push("cwd", place.template(&place.cwd).to_bytes());
    recipe.push("input", input(args, place));
    for arg in &args.keyed {
        recipe.push(arg_name(arg), arg_value(arg, place));
    }
    for (dependency, (_, digest)) in
        args.externs.iter().filter(|dependency| dependency.path.is_some()).zip(externs)
    {
        recipe.push(format!("extern:{}", dependency.name), digest.as_bytes().to_vec());
    }
    for dependency in &args.externs {
        recipe.push("extern", extern_value(dependency, place));
    }
    recipe.push("out-dir", place.template(&args.out_dir.clone().unwrap_or_default()).to_bytes());
    recipe.push("messages", protocol(&args.diagnostics));
    if args.native_cpu {
        recipe.push("native-cpu", toolchain::native_cpu().ok_or("native-cpu-unknown")?);
    }
    identity_env(&mut recipe, env);
    Ok(recipe)
}

/// A relative source path stands as it is (it is what `file!()` gives); an absolute one as a
/// template.
fn input(args: &CompileArgs, place: &Place) -> Vec<u8> {
    place.roots.template(args.input.as_os_str().as_bytes()).to_bytes()
}

fn arg_name(arg: &KeyArg) -> String {
    format!("arg:{}", arg.name)
}

/// Pieces with their lengths, each marked as text or as a path.
fn arg_value(arg: &KeyArg, place: &Place) -> Vec<u8> {
    let [piece] = arg.value.as_slice() else {
        let mut out = Vec::new();
        for piece in &arg.value {
            let bytes = piece_bytes(piece, place);
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(&bytes);
        }
        return out;
    };
    piece_bytes(piece, place)
}

fn piece_bytes(piece: &Piece, place: &Place) -> Vec<u8> {
    match piece {
        Piece::Text(text) => [b"t", text.as_bytes()].concat(),
        Piece::Path(path) => place.roots.template(path.as_bytes()).to_bytes(),
    }
}

/// Name, modifiers and file: which digest it has stands in a field of its own.
fn extern_value(dependency: &Extern, place: &Place) -> Vec<u8> {
    let modifiers = &dependency.modifiers;
    let flags = [modifiers.private, modifiers.noprelude, modifiers.nounused, modifiers.force];
    let mut out: Vec<u8> = flags.iter().map(|flag| if *flag { b'1' } else { b'0' }).collect();
    out.extend_from_slice(dependency.name.as_bytes());
    out.push(0);
    out.extend(dependency.path.iter().flat_map(|path| place.template(path).to_bytes()));
    out
}

/// What messages a reader of the streams relies on, diagnostics or not.
fn protocol(diagnostics: &Diagnostics) -> String {
    format!("{:?} artifacts={}", diagnostics.error_format, diagnostics.json.artifacts)
}

/// Everything about how diagnostics are shown.
fn display(diagnostics: &Diagnostics) -> String {
    format!("{diagnostics:?}")
}

/// Whether messages are JSON, one a line, as cargo asks.
pub(super) fn is_json(args: &CompileArgs) -> bool {
    args.diagnostics.error_format == ErrorFormat::Json
}

/// Adds the variables that are part of every recipe.
pub(super) fn identity_env(recipe: &mut Recipe, env: &Env) {
    let keyed = |name: &&OsString| env_class::classify(name) == Class::Identity;
    let mut set: Vec<_> = env.keys().filter(keyed).collect();
    set.sort_unstable();
    for name in set {
        recipe.push(format!("env:{}", name.to_string_lossy()), env[name].as_bytes().to_vec());
    }
}

/// The value of an option outside the recipe that an outcome may depend on: how diagnostics are
/// shown, or the whole environment. Only outcomes that need one name it.
#[must_use]
pub(super) fn variant(name: &str, args: &CompileArgs, place: &Place, env: &Env) -> Option<Digest> {
    match name {
        DIAGNOSTICS => {
            let shown = display(&args.diagnostics);
            Some(Hasher::keyed("larder 2026-11 diagnostics v1").field(shown.as_bytes()).finish())
        }
        ENVIRON => {
            let all = env.iter().map(|(name, value)| (name.clone(), value.clone()));
            Some(environ_digest(place, &env_class::conservative(all)))
        }
        _ => None,
    }
}
