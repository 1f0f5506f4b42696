//! Values that have a grammar of their own.

use super::*;

fn emits(options: &str) -> Vec<(&'static str, Option<String>)> {
    let text = |emit: Emit| (emit.kind.name(), emit.path.map(|p| p.display().to_string()));
    lib(options).emits.into_iter().map(text).collect()
}

#[test]
fn emit_lists_are_sets_in_which_the_last_path_counts() {
    assert_eq!(emits(""), [("link", None)]);
    assert_eq!(
        emits("--emit=metadata,link --emit dep-info=a.d"),
        [("dep-info", Some("a.d".into())), ("link", None), ("metadata", None)]
    );
    assert_eq!(emits("--emit=link=x --emit=link"), [("link", None)]);
    assert_eq!(lib_refused("--emit=dep-info=-"), "emit-to-stdout");
    assert_eq!(lib_refused("-o -"), "emit-to-stdout");
    assert_eq!(lib_refused("--emit=nonsense"), "invalid-value: --emit");
    assert_eq!(lib_refused("--emit="), "invalid-value: --emit");
    for kind in EmitKind::ALL {
        assert_eq!(emits(&format!("--emit={}", kind.name())), [(kind.name(), None)]);
    }
}

#[test]
fn crate_types_are_a_set_and_tests_are_programs() {
    let types = |line: &str| compile(&format!("--crate-name a lib.rs {line}")).crate_types;
    assert_eq!(
        types("--crate-type staticlib,lib --crate-type rlib"),
        [CrateType::Rlib, CrateType::Staticlib]
    );
    assert_eq!(types("--test"), [CrateType::Bin]);
    assert_eq!(types("--test --crate-type=proc-macro"), [CrateType::Bin]);
    assert_eq!(refused("--crate-name a lib.rs --crate-type sdylib"), "invalid-value: --crate-type");
}

#[test]
fn linking() {
    let links = |line: &str| compile(&format!("--crate-name a lib.rs {line}")).links();
    for kind in ["bin", "cdylib", "dylib", "proc-macro", "staticlib", "lib,cdylib"] {
        assert!(links(&format!("--crate-type={kind}")), "{kind}");
        assert!(!links(&format!("--crate-type={kind} --emit=metadata,dep-info")), "{kind}");
    }
    assert!(links("--test"));
    assert!(!links("--crate-type=lib --emit=metadata,link"));
    assert!(lib("-lstatic=x").bundles_native_libs());
    assert!(!lib("-lx").bundles_native_libs());
}

#[test]
fn externs() {
    let args =
        lib("--extern b=/t/libb-1.rlib --extern priv,noprelude:c=libc.rmeta --extern proc_macro");
    let none = ExternModifiers::default();
    let c = ExternModifiers { private: true, noprelude: true, ..none };
    let expected = [
        ("b", Some("/t/libb-1.rlib"), none),
        ("c", Some("libc.rmeta"), c),
        ("proc_macro", None, none),
    ];
    assert_eq!(args.externs.len(), 3);
    for (found, (name, path, modifiers)) in args.externs.iter().zip(expected) {
        assert_eq!((found.name.as_str(), found.modifiers), (name, modifiers));
        assert_eq!(found.path.as_deref(), path.map(Path::new));
    }
    // A blank, a colon or a `=` in the path changes nothing.
    let args = parse(
        &[words("--crate-name a --crate-type lib lib.rs --extern"), vec!["x=/a b:c=d".into()]]
            .concat(),
        Path::new("/"),
    );
    let Invocation::Compile(args) = args else { panic!() };
    assert_eq!(args.externs[0].path.as_deref(), Some(Path::new("/a b:c=d")));
    assert_eq!(lib_refused("--extern foo"), "extern-without-path: foo");
    assert_eq!(lib_refused("--extern odd:foo=x"), "invalid-value: --extern");
    assert_eq!(lib_refused("--extern a-b=x"), "invalid-value: --extern");
    assert_eq!(lib_refused("--extern =x"), "invalid-value: --extern");
    assert_eq!(lib_refused("--extern a="), "invalid-value: --extern");
}

#[test]
fn search_paths_and_native_libraries() {
    let args = lib(
        "-L dependency=/t/deps -Lnative=/o -L=x -L odd=y -l static:+whole-archive,-bundle=foo:bar -lm",
    );
    let paths: Vec<_> =
        args.search_paths.iter().map(|s| (s.kind, s.path.to_str().unwrap())).collect();
    assert_eq!(
        paths,
        [
            (SearchKind::Dependency, "/t/deps"),
            (SearchKind::Native, "/o"),
            (SearchKind::All, "=x"),
            (SearchKind::All, "odd=y"),
        ]
    );
    assert_eq!(
        args.native_libs,
        [
            NativeLib {
                kind: NativeLibKind::Static,
                modifiers: vec!["+whole-archive".into(), "-bundle".into()],
                name: "foo".into(),
                rename: Some("bar".into()),
            },
            NativeLib {
                kind: NativeLibKind::Unspecified,
                modifiers: vec![],
                name: "m".into(),
                rename: None,
            },
        ]
    );
    assert_eq!(lib_refused("-l odd=foo"), "invalid-value: -l");
    assert_eq!(lib_refused("-l static:bundle=foo"), "invalid-value: -l");
    assert_eq!(lib_refused("-L@RUSTC_BUILTIN"), "invalid-value: -L");
    assert_eq!(lib_refused("-L native="), "invalid-value: -L");
}

#[test]
fn diagnostics_are_read_and_not_keyed() {
    let options = "--error-format=json --json=diagnostic-rendered-ansi,artifacts --json=future-incompat --diagnostic-width=80";
    let shown = lib(options).diagnostics;
    assert_eq!(shown.error_format, ErrorFormat::Json);
    let json = Json { ansi: true, artifacts: true, future_incompat: true, ..Json::default() };
    assert_eq!((shown.json, shown.width), (json, Some(80)));
    assert_eq!(lib("--color=always").diagnostics.color, Color::Always);
    assert_eq!(keyed_options(options), [""; 0]);
    assert_eq!(keyed_options("--color=always --error-format short"), [""; 0]);
    assert_eq!(lib_refused("--json=artifacts"), "conflicting-options: --json");
    assert_eq!(
        lib_refused("--error-format=json --json=artifacts --color=never"),
        "conflicting-options: --json"
    );
    assert_eq!(lib_refused("--error-format=json --json=timings"), "invalid-value: --json");
    assert_eq!(lib_refused("--error-format=odd"), "invalid-value: --error-format");
    assert_eq!(lib_refused("--diagnostic-width=wide"), "invalid-value: --diagnostic-width");
}

#[test]
fn codegen_options_of_which_the_last_counts() {
    let args = lib("-C extra-filename=-1 -C metadata=x -C metadata=y -Cextra_filename=-2");
    assert_eq!(args.extra_filename.as_deref(), Some("-2"));
    assert_eq!(args.metadata, ["x", "y"]);
    assert!(lib("-C target-cpu=x -C target-cpu=native").native_cpu);
    assert!(!lib("-C target-cpu=native -C target-cpu=x").native_cpu);
    let args = lib("-Cincremental=/t/incremental");
    assert_eq!(args.incremental.as_deref(), Some(Path::new("/t/incremental")));
}

#[test]
fn files_that_rustc_leaves_behind_under_names_of_its_own() {
    assert_eq!(lib_refused("-C save-temps"), "save-temps");
    assert_eq!(lib_refused("-C save-temps=yes"), "save-temps");
    lib("-C save-temps=no");
    assert_eq!(lib_refused("-g -C split-debuginfo=unpacked"), "split-debuginfo");
    lib("-C split-debuginfo=unpacked");
    lib("-C debuginfo=0 -C split-debuginfo=unpacked");
    lib("-g -C split-debuginfo=packed");
    assert_eq!(
        refused("--crate-name a --test a.rs -g -Csplit-debuginfo=packed"),
        "split-debuginfo"
    );
    assert_eq!(lib_refused("--emit=asm,link -C codegen-units=4"), "emit-per-codegen-unit");
    lib("--emit=asm,link -C codegen-units=1");
    lib("--emit=asm,link -C codegen-units=4 -o x");
    lib("--emit=metadata,link -C codegen-units=4");
}

#[test]
fn options_handed_to_other_programs() {
    for opaque in ["-version", "-help", "-info-output-file=x", "-load=x.so", "-a=/x"] {
        assert_eq!(lib_refused(&format!("-C llvm-args={opaque}")), "llvm-args", "{opaque}");
    }
    assert_eq!(
        keyed_options("-Cllvm-args=-inline-threshold=9"),
        ["-C llvm-args -inline-threshold=9"]
    );
    for writes in ["-Wl,-Map=x.map", "-Wl,-Map,x", "--out-implib=x", "-save-temps", "-Wl,--Map=x"] {
        let bin = format!("--crate-name a --crate-type bin a.rs -C link-arg={writes}");
        assert_eq!(refused(&bin), "link-args", "{writes}");
        lib(&format!("-C link-arg={writes}"));
    }
}

#[test]
fn files_that_options_name() {
    let line = "--crate-name a --crate-type bin a.rs -C linker=/usr/bin/cc -C link-arg=-Tmem.x \
                -C link-arg=-Wl,-rpath,/a:$ORIGIN/b -C link-arg=-s -C profile-use=p.profdata";
    let named: Vec<_> = compile(line)
        .named_inputs
        .into_iter()
        .map(|n| (n.option, n.path.display().to_string(), n.link_only))
        .collect();
    let expected = [
        ("-C linker", "/usr/bin/cc", true),
        ("-C link-arg", "mem.x", true),
        ("-C link-arg", "/a", true),
        ("-C link-arg", "$ORIGIN/b", true),
        ("-C profile-use", "p.profdata", false),
    ];
    assert_eq!(named, expected.map(|(option, path, link)| (option, path.to_owned(), link)));
    let spec = lib("--target specs/x.json");
    assert_eq!(spec.target, Some(Target::Spec("specs/x.json".into())));
    assert_eq!(spec.named_inputs[0].path, Path::new("specs/x.json"));
}

#[test]
fn targets_whose_linked_outputs_have_unknown_names() {
    let bin = |target: &str| format!("--crate-name a --crate-type bin a.rs --target {target}");
    for unknown in ["x.json", "wasm32-unknown-emscripten", "x86_64-pc-windows-msvc", "avr-none"] {
        assert_eq!(refused(&bin(unknown)), format!("output-names: {unknown}"));
        lib(&format!("--target {unknown}"));
    }
    let name = |target: &str, kind: &str| {
        let line = format!("--crate-name a --crate-type {kind} a.rs --target {target}");
        let outputs = compile(&line).predicted_outputs(Path::new(""));
        outputs[0].path.display().to_string()
    };
    assert_eq!(name("wasm32-unknown-unknown", "bin"), "a.wasm");
    assert_eq!(name("wasm32-wasip1", "cdylib"), "a.wasm");
    assert_eq!(name("aarch64-apple-darwin", "dylib"), "liba.dylib");
    assert_eq!(name("armv7-linux-androideabi", "cdylib"), "liba.so");
    assert_eq!(name("x86_64-unknown-freebsd", "bin"), "a");
}
