//! rustc's command line: every one is understood or refused with a reason.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use cache_rustc::args::{CompileArgs, Invocation, parse};

/// Options, whole and in part.
pub const WORDS: &[&[u8]] = &[
    b"\n",
    b"--emit=",
    b"dep-info,metadata,link",
    b"--crate-type",
    b"rlib",
    b"proc-macro",
    b"--extern",
    b"priv,noprelude:a=/a.rlib",
    b"-C",
    b"opt-level=3",
    b"-Copt-level",
    b"link-arg=-Wl,-rpath,/a",
    b"-L",
    b"dependency=/d",
    b"-l",
    b"static:+whole-archive=a",
    b"-o",
    b"--out-dir=/o",
    b"--error-format=json",
    b"--json=artifacts,diagnostic-rendered-ansi",
    b"--color",
    b"--cfg",
    b"feature=\"a\"",
    b"--check-cfg",
    b"-Zunstable-options",
    b"--cap-lints",
    b"-D",
    b"warnings",
    b"--test",
    b"-",
    b"--",
    b"-vV",
    b"--print",
    b"cfg",
    b"+nightly",
    b"--target",
    b"/t.json",
    b"--remap-path-prefix=/a=b",
    b"-gO",
    b"=",
    b",",
    b":",
];

/// One argument a line.
pub fn check(data: &[u8]) {
    let args: Vec<OsString> =
        data.split(|b| *b == b'\n').map(|arg| OsString::from_vec(arg.to_vec())).collect();
    // Files named by `@` would be read: none may be, whatever the input says.
    if args.iter().any(|arg| arg.as_encoded_bytes().starts_with(b"@")) {
        return;
    }
    let cwd = Path::new("/nonexistent/larder-fuzz");
    let first = parse(&args, cwd);
    assert_eq!(first, parse(&args, cwd), "the same answer each time");
    match first {
        Invocation::Query => {}
        Invocation::Uncacheable(reason) => {
            assert!(reason.to_string().starts_with(reason.code()));
        }
        Invocation::Compile(compile) => {
            let _ = (compile.predicted_outputs(cwd), compile.links());
            check_more(&args, &compile, cwd);
        }
    }
}

/// One more option is never overlooked.
fn check_more(args: &[OsString], compile: &CompileArgs, cwd: &Path) {
    let with = |option: &str| parse(&[args, &[option.into()]].concat(), cwd);
    assert!(!matches!(with("--no-such-option"), Invocation::Compile(_)));
    if let Invocation::Compile(more) = with("--cfg=one_more") {
        assert_ne!(more.keyed, compile.keyed);
    }
}
