//! What runs on the engine: a few lines of shell around the compiler.

use cache_rustc::engine::Job;
use cache_rustc::trace;

use super::{OWN, place};
use crate::{RemoteError, Result};

/// Where the script's own tools are.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The exit code of a compile that was not tried.
pub(super) const REFUSED: i32 = 97;
/// What the script leaves: the tracer's log, the names where outputs go, the system's files that are
/// the same, where the tree was, and what the compiler took of a processor.
pub(super) const OUTPUTS: [&str; 5] = ["trace", "left", "same", "root", "times"];
/// The sums of the system's files here.
pub(super) const SUMS: &str = "system";
/// What stands for the tree's place in arguments and variables, before each path that is in the tree.
pub(super) const TREE: &str = "@larder-tree@";

/// The compiler sees the given variables and no other, so what it does not find is known. A place
/// that needs quoting somewhere is refused.
const SCRIPT: &str = r#"
cwd=$1 out=$2 probe=$3 magic=$4; shift 4
R=$(pwd); [ "$R" != / ] || R=
case $R in *[!A-Za-z0-9/._-]*) exit 97 ;; esac
[ -e "$R$probe" ] && cd "$R$cwd" || exit 97
printf %s "$R" > "$R/larder-run/root" && printf "$magic" > "$R/larder-run/trace" || exit 97
for arg do
  shift; new=
  while :; do
    case $arg in
      *@larder-tree@*) new=$new${arg%%@larder-tree@*}$R; arg=${arg#*@larder-tree@} ;;
      *) break ;;
    esac
  done
  set -- "$@" "$new$arg"
done
env -i "$@"
code=$?
times > "$R/larder-run/times"
ls -A "$R$out" > "$R/larder-run/left"
[ ! -s "$R/larder-run/system" ] ||
  sha256sum -c "$R/larder-run/system" > "$R/larder-run/same" 2> /dev/null
exit $code
"#;

/// Program and arguments of a job's action.
///
/// # Errors
/// [`RemoteError::Local`] for a path that cannot be said.
pub(super) fn arguments(job: &Job) -> Result<Vec<String>> {
    let text = |path: &std::path::Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| RemoteError::Local(format!("{} is not UTF-8", path.display())))
    };
    let probe = job.files.first().unwrap_or(&job.toolchain.rustc);
    let magic: String = trace::log::MAGIC.iter().map(|byte| format!("\\{byte:03o}")).collect();
    let mut all =
        vec!["/bin/sh".to_owned(), "-c".to_owned(), SCRIPT.to_owned(), "larder".to_owned()];
    all.extend([text(&job.cwd)?, text(&job.out_dir)?, text(probe)?, magic]);
    let [log, preload] = trace::VARIABLES;
    all.push(format!("{log}={TREE}/{OWN}/trace"));
    all.push(format!("{preload}={TREE}{}", text(&job.tracer)?));
    let env = job.env.iter().map(|(name, value)| format!("{name}={}", place::mark(value, job)));
    all.extend(env);
    all.extend(job.argv.iter().map(|arg| place::mark(arg, job)));
    Ok(all)
}
