//! The configured linker: whether it is here, and whether links really go to it.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use cache_rustc::linker::{self, Chosen, Linker, Tools};
use cache_rustc::toolchain::{Compiler, Identity};
use cache_rustc::trace::Tracer;

use super::Finding;
use super::compiler::{find, run};
use crate::config::Config;
use crate::places::Places;
use crate::words;

const PROGRAM: &str = "fn main() { println!(\"linked\"); }\n";

pub(super) fn look(config: &Config, places: Option<&Places>) -> Vec<Finding> {
    let Some(linker) = config.linker.value else {
        return vec![Finding::fine("linker", "the compiler's own choice (link.linker = default)")];
    };
    // Without a compiler there is more to say than this, and it is said.
    let Some((places, Ok(found))) = places.map(|places| (places, find(&places.state))) else {
        return Vec::new();
    };
    Check { config, linker, places, compiler: &found.0, identity: &found.1 }.look()
}

struct Check<'a> {
    config: &'a Config,
    linker: Linker,
    places: &'a Places,
    compiler: &'a Compiler,
    identity: &'a Identity,
}

impl Check<'_> {
    fn look(&self) -> Vec<Finding> {
        let host = &self.identity.host;
        let install = format!("{}, or ", words::install(self.linker));
        if !self.linker.links_for(host) {
            let why = format!("larder uses {} for other targets than {host}", self.linker.name());
            return vec![self.broken(&why, "")];
        }
        let path = std::env::var_os("PATH");
        let chosen = linker::choose(
            self.linker,
            &Tools {
                path: path.as_deref(),
                cwd: Path::new("/"),
                home: &self.compiler.home,
                host,
                state_dir: &self.places.state,
            },
        );
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(missing) => return vec![self.broken(&missing.to_string(), &install)],
        };
        let version = match version(&chosen.program) {
            Ok(version) => version,
            Err(why) => {
                let why = format!("{} does not run: {why}", chosen.program.display());
                return vec![self.broken(&why, &install)];
            }
        };
        let tried = match self.try_link(&chosen) {
            Ok(()) => {
                let said = format!(
                    "{}: {version}, {} ({}); a test program links with it and runs",
                    self.linker.name(),
                    chosen.program.display(),
                    self.config.linker.origin
                );
                Finding::fine("linker", said)
            }
            Err(why) => self.broken(&why, "see whether `cc` takes -fuse-ld and -B, "),
        };
        [Some(tried), self.traced(&chosen)].into_iter().flatten().collect()
    }

    /// What was asked for is not done.
    fn broken(&self, why: &str, first: &str) -> Finding {
        let said = format!(
            "link.linker = {} ({}): {why}; links go on as without this setting",
            self.linker.name(),
            self.config.linker.origin
        );
        let fix = format!("{first}set link.linker, or LARDER_LINKER, to default");
        Finding::broken("linker", said, fix)
    }

    /// Links a program as a build would, runs it, and looks who linked it.
    fn try_link(&self, chosen: &Chosen) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("a test link cannot be made: {error}");
        let dir = tempfile::tempdir().map_err(failed)?;
        let (source, program) = (dir.path().join("probe.rs"), dir.path().join("probe"));
        std::fs::write(&source, PROGRAM).map_err(failed)?;
        let said = File::create(dir.path().join("said")).map_err(failed)?;
        let mut rustc = Command::new(&self.compiler.program);
        rustc.args(["--edition=2021", "-o"]).arg(&program).args(&chosen.args).arg(&source);
        rustc.stderr(said);
        run(&mut rustc).map_err(|why| {
            let said = std::fs::read_to_string(dir.path().join("said")).unwrap_or_default();
            format!("linking a test program {why}: {}", last_words(&said))
        })?;
        run(Command::new(&program).stderr(Stdio::null()))
            .map_err(|why| format!("a test program that it linked {why}"))?;
        let comments = linker::comments(&program).map_err(failed)?;
        if self.linker.signed(&comments) {
            return Ok(());
        }
        let by = comments.join(", ");
        Err(format!("the driver took another linker for a test program, which says: {by}"))
    }

    /// What links that the tracer cannot follow are not stored.
    fn traced(&self, chosen: &Chosen) -> Option<Finding> {
        if !self.config.trace.value {
            return None;
        }
        let tracer = Tracer::available(&self.places.state).ok()?;
        let why = tracer.can_trace(&chosen.program).err()?;
        let said = format!("what {} links is not cached: {why}", self.linker.name());
        Some(Finding::note("linker", said, "install one that is linked with glibc dynamically"))
    }
}

/// The last thing that rustc quotes of a failed link.
fn last_words(said: &str) -> &str {
    let quoted = said.lines().map(|line| line.trim().trim_start_matches("= note: "));
    let mut quoted = quoted.filter(|line| !line.is_empty() && !line.starts_with("error: aborting"));
    quoted.next_back().unwrap_or_default()
}

/// The first line of what a linker says of its version.
///
/// # Errors
/// Why it does not say any.
fn version(program: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_default().trim();
    if output.status.success() && !first.is_empty() {
        return Ok(first.to_owned());
    }
    Err(format!("--version: {}", output.status))
}
