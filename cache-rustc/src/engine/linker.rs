//! The configured linker, for the units that may have it.

use std::path::Path;

use super::Options;
use super::unit::Request;
use crate::args::{CompileArgs, NamedInput};
use crate::linker::{self, Chosen, Tools};

/// The linker for a unit. `None` leaves it to rustc, as is right also where the linker is missing.
pub(super) fn choose(
    request: &Request,
    options: &Options,
    args: &CompileArgs,
    home: &Path,
    host: &str,
) -> Option<Chosen> {
    let linker = options.linker.filter(|linker| linker.takes(args, host))?;
    let (path, state_dir) = (request.var("PATH"), &options.state_dir);
    let tools = Tools { path: path.as_deref(), cwd: &request.cwd, home, host, state_dir };
    linker::choose(linker, &tools).ok()
}

/// The program as an input, which it does not become by being run: the driver finds it in the
/// engine's own directory, where nothing counts. The toolchain's own is covered by its identity.
pub(super) fn input(chosen: &Chosen) -> Option<NamedInput> {
    let path = chosen.program.clone();
    (!chosen.is_toolchains).then_some(NamedInput { option: "-C link-arg", path, link_only: false })
}
