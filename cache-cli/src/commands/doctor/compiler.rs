//! The compiler that builds here would use: which it is, and whether it can be traced.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cache_rustc::toolchain::{self, Compiler, Identity, Request};
use cache_rustc::trace::Tracer;

use super::Finding;
use crate::config::Config;
use crate::places::Places;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn look(config: &Config, places: Option<&Places>) -> Vec<Finding> {
    let Some(places) = places else { return Vec::new() };
    let (compiler, identity) = match find(&places.state) {
        Ok(found) => found,
        Err(finding) => return vec![finding],
    };
    let digest = identity.digest.to_hex();
    let proxy = if compiler.rustup_proxy { " (through rustup)" } else { "" };
    let said = format!(
        "{} for {}, {}{proxy}, identity {}",
        identity.release,
        identity.host,
        compiler.binary.display(),
        digest.get(..12).unwrap_or_default()
    );
    vec![Finding::fine("compiler", said), tracer(config, &places.state, &compiler)]
}

/// The compiler that builds here would use.
///
/// # Errors
/// What is wrong.
pub(super) fn find(state: &Path) -> Result<(Compiler, Identity), Finding> {
    let Ok(cwd) = std::env::current_dir() else {
        let fix = "go to a directory that exists";
        return Err(Finding::broken("compiler", "the working directory is gone", fix));
    };
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let memo = state.join("toolchains-v1");
    let found = resolve(&rustc, &cwd, &memo).and_then(|compiler| {
        let identity = toolchain::identity(&compiler, None, &memo)?;
        Ok((compiler, identity))
    });
    found.map_err(|error| {
        let fix = "install Rust, or let RUSTC name the compiler";
        Finding::broken("compiler", error.to_string(), fix)
    })
}

fn resolve(
    rustc: &std::ffi::OsStr,
    cwd: &Path,
    memo_dir: &Path,
) -> Result<Compiler, toolchain::Error> {
    toolchain::resolve(&Request {
        program: rustc,
        wrapper: None,
        first_arg: None,
        sysroot: None,
        cwd,
        env: &|name| std::env::var_os(name),
        vars: &|| std::env::vars_os().collect::<Vec<(OsString, OsString)>>(),
        memo_dir,
    })
}

fn tracer(config: &Config, state: &Path, compiler: &Compiler) -> Finding {
    const RULES: &str = "proc macros count as reading all of cargo's environment, and less is \
                         cached; results stay right";
    if !config.trace.value {
        let said = format!("off ({}): {RULES}", config.trace.origin);
        return Finding::note("tracer", said, "set trace = true, or LARDER_TRACER=on");
    }
    match try_tracing(state, compiler) {
        Ok(()) => Finding::fine("tracer", "in force: what compilers read is observed"),
        Err(why) => Finding::note("tracer", format!("not in force: {why}"), RULES),
    }
}

/// Traces a short run of the compiler.
fn try_tracing(state: &Path, compiler: &Compiler) -> Result<(), String> {
    std::fs::create_dir_all(state).map_err(|error| format!("{}: {error}", state.display()))?;
    let tracer = Tracer::available(state).map_err(|error| error.to_string())?;
    tracer.can_trace(&compiler.binary).map_err(|error| error.to_string())?;
    let log = state.join(format!("doctor-{}.trace", std::process::id()));
    let session = tracer.session(&log).map_err(|error| error.to_string())?;
    let mut command = Command::new(&compiler.binary);
    command.arg("-vV").stderr(Stdio::null());
    session.apply(&mut command);
    let ran = run(&mut command);
    let trace = session.finish();
    ran.map_err(|why| format!("the traced compiler {why}"))?;
    trace.map(drop).map_err(|error| error.to_string())
}

/// Runs a command whose output nobody wants, for so long.
///
/// # Errors
/// What became of it instead of going well, as the end of a sentence.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let began = Instant::now();
    loop {
        match child.try_wait().map_err(|error| format!("is lost: {error}"))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("failed ({status})")),
            None if began.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("did not end".into());
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
