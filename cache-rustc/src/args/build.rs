//! From options, one after the other, to [`CompileArgs`].

use std::path::PathBuf;

use super::checks::{check_outputs, extra_debug_files, llvm_args_are_opaque};
use super::emit::Emits;
use super::key::{key_of_fields, linker_files, linker_pieces, linker_writes_files};
use super::table::{self, Arity, Meaning, Opt, Repeat};
use super::{
    CompileArgs, CrateType, Extern, KeyArg, NamedInput, NativeLib, Piece, Reason, SearchPath,
    Target, diagnostics,
};

/// What has been seen so far.
#[derive(Default)]
pub(super) struct Builder {
    /// An option that makes the invocation a query.
    pub(super) query: bool,
    /// The first reason not to cache.
    refused: Option<Reason>,
    inputs: Vec<String>,
    /// The options that may be given only once.
    seen: Vec<&'static str>,
    crate_name: Option<String>,
    crate_types: Vec<CrateType>,
    test: bool,
    emits: Emits,
    out_dir: Option<PathBuf>,
    output: Option<PathBuf>,
    extra_filename: Option<String>,
    metadata: Vec<String>,
    incremental: Option<PathBuf>,
    target: Option<Target>,
    sysroot: Option<PathBuf>,
    externs: Vec<Extern>,
    search_paths: Vec<SearchPath>,
    native_libs: Vec<NativeLib>,
    diagnostics: diagnostics::Builder,
    keyed: Vec<KeyArg>,
    /// As `keyed`, for what only the linker reads.
    keyed_link: Vec<KeyArg>,
    named_inputs: Vec<NamedInput>,
    native_cpu: bool,
    codegen_units: Option<String>,
    debuginfo: bool,
    split_debuginfo: Option<String>,
    save_temps: bool,
    linker_writes: bool,
}

impl Builder {
    pub(super) fn refuse(&mut self, reason: Reason) {
        self.refused.get_or_insert(reason);
    }

    pub(super) fn free(&mut self, arg: &str) {
        self.inputs.push(arg.to_owned());
    }

    /// Takes one option with its value.
    pub(super) fn option(&mut self, opt: &'static Opt, value: Option<&str>) {
        if opt.repeat == Repeat::Never {
            if self.seen.contains(&opt.key) {
                self.refuse(Reason::DuplicateOption(opt.key));
            }
            self.seen.push(opt.key);
        }
        if opt.meaning.has(Meaning::QUERY) {
            self.query = true;
            return;
        }
        if opt.meaning.has(Meaning::LINTS) && value == Some("help") {
            // `-W help` lists the lints. Other options of this sort never have that value.
            self.query = true;
            return;
        }
        if !opt.meaning.has(Meaning::FIELD) {
            self.key(opt, value);
        } else if let Err(reason) = self.field(opt, value.unwrap_or_default()) {
            self.refuse(reason);
        }
    }

    /// Keys an option as it stands.
    fn key(&mut self, opt: &'static Opt, value: Option<&str>) {
        let arg = match value {
            Some(value) => KeyArg::text(opt.key, value),
            None => KeyArg::flag(opt.key),
        };
        self.push(opt, arg);
    }

    fn push(&mut self, opt: &'static Opt, arg: KeyArg) {
        if opt.meaning.has(Meaning::LINK) {
            self.keyed_link.push(arg);
        } else {
            self.keyed.push(arg);
        }
    }

    /// The options with a field of their own, other than `-C`.
    fn field(&mut self, opt: &'static Opt, value: &str) -> Result<(), Reason> {
        match opt.key {
            "--codegen" => return self.codegen(value),
            "--color" => self.diagnostics.color(value)?,
            "--diagnostic-width" => self.diagnostics.width(value)?,
            "--error-format" => self.diagnostics.error_format(value)?,
            "--json" => self.diagnostics.json(value)?,
            "--crate-name" => self.crate_name = Some(value.to_owned()),
            "--crate-type" => {
                for name in value.split(',') {
                    let crate_type = CrateType::from_name(name);
                    self.crate_types.push(crate_type.ok_or(Reason::InvalidValue(opt.key))?);
                }
            }
            "--emit" => self.emits.add(value)?,
            "--extern" => self.externs.push(Extern::parse(value)?),
            "--out-dir" => self.out_dir = Some(PathBuf::from(value)),
            "--remap-path-prefix" => self.remap(opt, value)?,
            "--sysroot" => {
                self.sysroot = Some(PathBuf::from(value));
                self.push(opt, KeyArg::path(opt.key, value));
            }
            "--target" => self.target(opt, value),
            "--test" => self.test = true,
            "-L" => {
                let (search, prefix, path) = SearchPath::parse(value)?;
                self.search_paths.push(search);
                self.push(opt, KeyArg::prefixed(opt.key, prefix, path));
            }
            "-l" => {
                self.native_libs.push(NativeLib::parse(value)?);
                self.key(opt, Some(value));
            }
            "-g" => {
                self.debuginfo = true;
                self.key(opt, None);
            }
            "-o" => match value {
                "-" => return Err(Reason::EmitToStdout),
                _ => self.output = Some(PathBuf::from(value)),
            },
            "-Z" => return self.unstable(opt, value),
            other => return Err(Reason::UnknownOption(other.to_owned())),
        }
        Ok(())
    }

    /// One `-C`: `name` or `name=value`.
    fn codegen(&mut self, given: &str) -> Result<(), Reason> {
        let (name, value) = match given.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (given, None),
        };
        let opt =
            table::codegen(name).ok_or_else(|| Reason::UnknownOption(format!("-C {name}")))?;
        if opt.meaning.has(Meaning::QUERY) {
            self.query = true;
            return Ok(());
        }
        if value.is_none() && opt.arity == Arity::Value {
            return Err(Reason::MissingValue(opt.key));
        }
        if !opt.meaning.has(Meaning::FIELD) {
            self.key(opt, value);
            return Ok(());
        }
        self.codegen_field(opt, value)
    }

    /// The codegen options with a field of their own.
    fn codegen_field(&mut self, opt: &'static Opt, value: Option<&str>) -> Result<(), Reason> {
        let text = value.unwrap_or_default();
        match opt.key {
            "-C codegen-units" => self.codegen_units = Some(text.to_owned()),
            "-C debuginfo" => self.debuginfo |= !matches!(text, "0" | "none"),
            "-C extra-filename" => {
                // Keyed once, when all is known: the last one wins.
                self.extra_filename = Some(text.to_owned());
                return Ok(());
            }
            "-C incremental" => {
                self.incremental = Some(PathBuf::from(text));
                return Ok(());
            }
            "-C link-arg" | "-C link-args" => {
                self.linker_argument(opt, text);
                return Ok(());
            }
            "-C dlltool" | "-C linker" | "-C linker-plugin-lto" | "-C profile-use" => {
                self.file(opt, value);
                return Ok(());
            }
            "-C llvm-args" if llvm_args_are_opaque(text) => return Err(Reason::LlvmArgs),
            "-C llvm-args" => {}
            "-C metadata" => self.metadata.push(text.to_owned()),
            "-C passes" => self.query |= text == "list",
            "-C save-temps" => {
                self.save_temps = !matches!(value, Some("n" | "no" | "off" | "false"));
            }
            "-C split-debuginfo" => self.split_debuginfo = Some(text.to_owned()),
            "-C target-cpu" => {
                self.query |= text == "help";
                self.native_cpu = text == "native";
            }
            "-C target-feature" => self.query |= text == "help",
            other => return Err(Reason::UnknownOption(other.to_owned())),
        }
        self.key(opt, value);
        Ok(())
    }

    /// An option whose value is a file when it has a slash, and else a name that is looked up
    /// (`-C linker=clang`) or a switch (`-C linker-plugin-lto=yes`). A profile is always a file.
    fn file(&mut self, opt: &'static Opt, value: Option<&str>) {
        match value {
            Some(path) if path.contains('/') || opt.key == "-C profile-use" => {
                self.push(opt, KeyArg::path(opt.key, path));
                self.named_input(opt, path);
            }
            _ => self.key(opt, value),
        }
    }

    fn named_input(&mut self, opt: &'static Opt, path: &str) {
        self.named_inputs.push(NamedInput {
            option: opt.key,
            path: PathBuf::from(path),
            link_only: opt.meaning.has(Meaning::LINK),
        });
    }

    fn linker_argument(&mut self, opt: &'static Opt, value: &str) {
        linker_files(value).for_each(|file| self.named_input(opt, file));
        self.linker_writes |= linker_writes_files(value);
        self.push(opt, KeyArg { name: opt.key, value: linker_pieces(value) });
    }

    /// `FROM=TO`, split at the last `=`. What is replaced depends on the place; what replaces it
    /// stands in the outputs.
    fn remap(&mut self, opt: &'static Opt, value: &str) -> Result<(), Reason> {
        let (from, _) = value.rsplit_once('=').ok_or(Reason::InvalidValue(opt.key))?;
        let value = vec![Piece::Path(from.to_owned()), Piece::Text(value[from.len()..].to_owned())];
        self.push(opt, KeyArg { name: opt.key, value });
        Ok(())
    }

    fn target(&mut self, opt: &'static Opt, value: &str) {
        if value.ends_with(".json") {
            self.target = Some(Target::Spec(PathBuf::from(value)));
            self.push(opt, KeyArg::path(opt.key, value));
            self.named_input(opt, value);
        } else {
            self.target = Some(Target::Triple(value.to_owned()));
            self.key(opt, Some(value));
        }
    }

    fn unstable(&mut self, opt: &'static Opt, value: &str) -> Result<(), Reason> {
        let name = value.split('=').next().unwrap_or_default().replace('_', "-");
        if name == "help" {
            self.query = true;
        } else if table::UNSTABLE.contains(&name.as_str()) {
            self.key(opt, Some(value));
        } else {
            return Err(Reason::UnstableOption(name));
        }
        Ok(())
    }

    /// All options have been seen.
    pub(super) fn finish(mut self) -> Result<CompileArgs, Reason> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        if self.save_temps {
            return Err(Reason::SaveTemps);
        }
        let input = match self.inputs.as_slice() {
            [] => return Err(Reason::NoInput),
            [one] if one == "-" => return Err(Reason::StdinInput),
            [one] => PathBuf::from(one),
            _ => return Err(Reason::SeveralInputs),
        };
        if self.test {
            self.crate_types = vec![CrateType::Bin];
        }
        self.crate_types.sort_unstable();
        self.crate_types.dedup();
        if self.crate_types.is_empty() {
            return Err(Reason::NoCrateType);
        }
        if self.output.as_ref().is_some_and(|path| path.file_name().is_none()) {
            return Err(Reason::InvalidValue("-o"));
        }
        let mut args = CompileArgs {
            toolchain: None,
            crate_name: self.crate_name.ok_or(Reason::NoCrateName)?,
            crate_types: self.crate_types,
            test: self.test,
            input,
            emits: self.emits.finish(),
            out_dir: self.out_dir,
            output: self.output,
            extra_filename: self.extra_filename,
            metadata: self.metadata,
            incremental: self.incremental,
            target: self.target,
            sysroot: self.sysroot,
            externs: self.externs,
            search_paths: self.search_paths,
            native_libs: self.native_libs,
            diagnostics: self.diagnostics.finish()?,
            keyed: Vec::new(),
            named_inputs: self.named_inputs,
            argfiles: Vec::new(),
            native_cpu: self.native_cpu,
        };
        check_outputs(&args, self.codegen_units.as_deref())?;
        if extra_debug_files(&args, self.debuginfo, self.split_debuginfo.as_deref()) {
            return Err(Reason::SplitDebuginfo);
        }
        if self.linker_writes && args.links() {
            return Err(Reason::LinkArgs);
        }
        args.keyed = key_of_fields(&args);
        args.keyed.append(&mut self.keyed);
        if args.links() {
            args.keyed.append(&mut self.keyed_link);
        }
        Ok(args)
    }
}
