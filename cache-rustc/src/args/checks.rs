//! Whether the files a compile will write are known, all of them.

use super::{CompileArgs, EmitKind, Reason, Target, outputs};

/// Whether every file that will be written has a name that is known and its own.
pub(super) fn check_outputs(args: &CompileArgs, codegen_units: Option<&str>) -> Result<(), Reason> {
    if !outputs::predictable(args) {
        let target = match &args.target {
            Some(Target::Triple(triple)) => triple.clone(),
            Some(Target::Spec(path)) => path.to_string_lossy().into_owned(),
            None => std::env::consts::OS.to_owned(),
        };
        return Err(Reason::OutputNames(target));
    }
    // rustc falls back to one unit when none is given, and when there is a `-o`
    // (`rustc_session::config::should_override_cgus_and_disable_thinlto`).
    let several_units = args.output.is_none() && codegen_units.is_some_and(|units| units != "1");
    if several_units && args.emits.iter().any(|emit| emit.kind.is_per_codegen_unit()) {
        return Err(Reason::EmitPerCodegenUnit);
    }
    if args.emits.len() + args.crate_types.len() > 2 {
        let mut paths: Vec<_> =
            args.predicted_outputs(std::path::Path::new("")).into_iter().map(|o| o.path).collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        if paths.len() < all {
            return Err(Reason::OutputsCollide);
        }
    }
    Ok(())
}

/// Whether debug information goes into files beside the outputs: `.dwo` files for `unpacked`
/// outside of Apple's systems, a `.dwp` file or `.dSYM` directory for `packed` links, object files
/// kept for `unpacked` links on Apple's. There `packed` is also the default.
pub(super) fn extra_debug_files(args: &CompileArgs, debuginfo: bool, split: Option<&str>) -> bool {
    let apple = Target::is_apple(args.target.as_ref());
    let split = split.unwrap_or(if apple { "packed" } else { "off" });
    let generates_code = args
        .emits
        .iter()
        .any(|emit| !matches!(emit.kind, EmitKind::DepInfo | EmitKind::Metadata | EmitKind::Mir));
    debuginfo && split != "off" && generates_code && (args.links() || (split != "packed" && !apple))
}

/// LLVM has hundreds of options and some read or write files (`-info-output-file`,
/// `-time-trace-file`), or print and stop (`-version`, `-help`).
pub(super) fn llvm_args_are_opaque(value: &str) -> bool {
    value.contains('/')
        || value.split_whitespace().any(|arg| {
            let name = arg.trim_start_matches('-').split('=').next().unwrap_or_default();
            name.contains("file")
                || name.contains("help")
                || name.contains("path")
                || name.contains("dir")
                || name.starts_with("version")
                || name.starts_with("load")
        })
}
