//! Tests of the dep-info format: by hand, by property, and on files of the real rustc.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> DepInfo {
    DepInfo::parse(text.as_bytes()).unwrap()
}

fn error(text: &str) -> DepInfoError {
    DepInfo::parse(text.as_bytes()).unwrap_err()
}

fn strs(list: &[Vec<u8>]) -> Vec<&str> {
    list.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect()
}

const TYPICAL: &str = "\
out/foo.d: src/lib.rs src/a\\ b.rs

out/libfoo.rlib: src/lib.rs src/a\\ b.rs

src/lib.rs:
src/a\\ b.rs:

# env-dep:A=one\\ntwo\\\\ =x
# env-dep:B=
# env-dep:C
# checksum:blake3=ab12 file_len:7 src/a\\ b.rs
";

#[test]
fn a_whole_file() {
    let info = parsed(TYPICAL);
    assert_eq!(strs(&info.targets), ["out/foo.d", "out/libfoo.rlib"]);
    assert_eq!(strs(&info.files), ["src/lib.rs", "src/a b.rs"]);
    let env = |name: &str, value: Option<&str>| EnvDep {
        name: name.into(),
        value: value.map(Into::into),
    };
    assert_eq!(info.env, [env("A", Some("one\ntwo\\ =x")), env("B", Some("")), env("C", None)]);
    assert_eq!(
        info.checksums,
        [Checksum { hash: b"blake3=ab12".to_vec(), file_len: 7, path: b"src/a b.rs".to_vec() }]
    );
    assert_eq!(info.render(), TYPICAL.as_bytes());
}

#[test]
fn carriage_returns_are_kept() {
    let dos = TYPICAL.replace('\n', "\r\n");
    let info = parsed(&dos);
    assert_eq!(DepInfo { crlf: false, ..info.clone() }, parsed(TYPICAL));
    assert_eq!(info.render(), dos.as_bytes());
}

#[test]
fn the_file_lines_settle_what_a_backslash_before_a_blank_means() {
    // One file `a\` and one `b`; then one file `a b`.
    assert_eq!(strs(&parsed("t: a\\ b\n\na\\:\nb:\n").files), ["a\\", "b"]);
    assert_eq!(strs(&parsed("t: a\\ b\n\na\\ b:\n").files), ["a b"]);
}

#[test]
fn colons_and_blanks_that_divide_nothing() {
    let info = parsed("a: b.d: x: y:\n\nx::\ny::\n");
    assert_eq!(strs(&info.targets), ["a: b.d"]);
    assert_eq!(strs(&info.files), ["x:", "y:"]);
    assert_eq!(error("a: b.d: x: y:\n\nx:\n"), DepInfoError::RuleDisagrees(1));
}

#[test]
fn what_is_not_whole_is_an_error() {
    assert_eq!(error(""), DepInfoError::NoFiles);
    assert_eq!(error("\n"), DepInfoError::NoFiles);
    assert_eq!(error("t: a\n"), DepInfoError::NoFiles);
    assert_eq!(error("t: a\n\n"), DepInfoError::NoFiles);
    assert_eq!(error("t: a b\n\na:\n"), DepInfoError::RuleDisagrees(1));
    assert_eq!(error("t: a\n\nu: a b\n\na:\n"), DepInfoError::RuleDisagrees(3));
    assert_eq!(error("t: a\n\na:"), DepInfoError::Unterminated);
    assert_eq!(error("t: a\nu: a\n\na:\n"), DepInfoError::Line(2));
    assert_eq!(error("t: a\n\na:\n\n"), DepInfoError::Line(4));
    assert_eq!(error("t: a\n\na:\n# env-dep:A\n"), DepInfoError::Line(4));
    assert_eq!(error("t: a\n\na:\n\n# env-dep:A=\\t\n"), DepInfoError::Line(5));
    assert_eq!(error("t: a\n\na:\n\n# env-dep:A=\\\n"), DepInfoError::Line(5));
    assert_eq!(error("t: a\n\na:\n# something\n"), DepInfoError::Line(4));
    assert_eq!(error("t: a\n\na:\n# checksum:x file_len:07 a\n"), DepInfoError::Line(4));
    assert_eq!(error("t: a\n\na:\n# checksum:x file_len:7\n"), DepInfoError::Line(4));
    // A line break in a file name, which rustc does not escape.
    assert_eq!(error("t: n\nl.rs\n\nn\nl.rs:\n"), DepInfoError::Line(2));
}

#[test]
fn every_way_of_cutting_a_file_short_is_noticed_or_leaves_the_files_whole() {
    let whole = parsed(TYPICAL);
    for end in 0..TYPICAL.len() {
        if let Ok(info) = DepInfo::parse(&TYPICAL.as_bytes()[..end]) {
            // Only whole lines of the last sections can be missing.
            assert_eq!(info.files, whole.files);
            assert_eq!(info.targets, whole.targets);
        }
    }
}

#[test]
fn paths_are_mapped_everywhere_and_values_are_not() {
    let info = parsed("/w/t: /w/a\n\n/w/a:\n\n# env-dep:W=/w/x\n# checksum:h file_len:1 /w/a\n");
    let moved = info.map_paths(|path| [b"/other dir", &path[2..]].concat());
    let expected = "/other dir/t: /other\\ dir/a\n\n/other\\ dir/a:\n\n# env-dep:W=/w/x\n\
                    # checksum:h file_len:1 /other\\ dir/a\n";
    assert_eq!(String::from_utf8(moved.render()).unwrap(), expected);
}

/// Compiles `args` in `dir` and gives the dep-info file `file`.
fn rustc(dir: &Path, args: &[&str], file: &str) -> Vec<u8> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(args)
        .current_dir(dir)
        .env("DEP_INFO_SET", "a\nb\\c=d\r é #x ")
        .env_remove("DEP_INFO_UNSET")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(dir.join(file)).unwrap()
}

#[test]
fn files_of_the_real_rustc_come_out_as_they_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let src = dir.path().join("sp ace é");
    fs::create_dir(&src).unwrap();
    fs::create_dir(dir.path().join("o u: t")).unwrap();
    let lib = "pub const T: &str = include_str!(\"te: xt #$\\\\.txt\"); mod m;
               pub const S: &str = env!(\"DEP_INFO_SET\");
               pub const U: Option<&str> = option_env!(\"DEP_INFO_UNSET\");";
    fs::write(src.join("lib.rs"), lib).unwrap();
    fs::write(src.join("m.rs"), "").unwrap();
    fs::write(src.join("te: xt #$\\.txt"), "text").unwrap();
    let emit = "--emit=dep-info,metadata,link";
    let args =
        ["sp ace é/lib.rs", "--crate-name=a", "--crate-type=lib", emit, "--out-dir", "o u: t"];
    let bytes = rustc(dir.path(), &args, "o u: t/a.d");
    let info = DepInfo::parse(&bytes).unwrap();
    assert_eq!(strs(&info.targets), ["o u: t/a.d", "o u: t/liba.rlib", "o u: t/liba.rmeta"]);
    let mut files = strs(&info.files);
    files.sort_unstable();
    assert_eq!(files, ["sp ace é/lib.rs", "sp ace é/m.rs", "sp ace é/te: xt #$\\.txt"]);
    let value = "a\nb\\c=d\r é #x ".as_bytes().to_vec();
    assert_eq!(
        info.env,
        [
            EnvDep { name: b"DEP_INFO_SET".to_vec(), value: Some(value) },
            EnvDep { name: b"DEP_INFO_UNSET".to_vec(), value: None },
        ]
    );
    assert_eq!(info.render(), bytes);
}

#[test]
fn a_real_file_with_a_line_break_in_a_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("l\nib.rs"), "").unwrap();
    let args = ["l\nib.rs", "--crate-name=a", "--crate-type=lib", "--emit=dep-info"];
    assert!(DepInfo::parse(&rustc(dir.path(), &args, "a.d")).is_err());
    fs::write(dir.path().join("lib.rs"), "").unwrap();
    let args = ["lib.rs", "--crate-name=a", "--crate-type=lib", "--emit=dep-info", "-o", "a\n.d"];
    assert!(DepInfo::parse(&rustc(dir.path(), &args, "a\n.d")).is_err());
}

#[test]
fn a_working_directory_that_is_not_unicode_is_no_matter() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join(OsStr::from_bytes(b"b\xff"));
    if fs::create_dir(&odd).is_err() {
        eprintln!("skipped: the file system takes Unicode names only");
        return;
    }
    fs::write(odd.join("lib.rs"), "").unwrap();
    let args = ["lib.rs", "--crate-name=a", "--crate-type=lib", "--emit=dep-info"];
    let bytes = rustc(&odd, &args, "a.d");
    assert_eq!(DepInfo::parse(&bytes).unwrap().render(), bytes);
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => Just(b'a'),
        2 => Just(b' '),
        2 => Just(b'\\'),
        2 => Just(b':'),
        1 => Just(b'#'),
        1 => any::<u8>().prop_filter("a line break", |byte| *byte != b'\n'),
    ];
    prop::collection::vec(byte, 0..8)
}

fn dep_info() -> impl Strategy<Value = DepInfo> {
    let paths = |size| prop::collection::vec(path(), size);
    let name = prop::collection::vec(any::<u8>().prop_filter("=", |b| *b != b'='), 1..5);
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..5));
    let env = (name, value).prop_map(|(name, value)| EnvDep { name, value });
    let checksum = (any::<u64>(), path()).prop_map(|(file_len, path)| Checksum {
        hash: b"md5=00".to_vec(),
        file_len,
        path,
    });
    let some = |s| prop::collection::vec(s, 0..3);
    let checksums = prop::collection::vec(checksum, 0..3);
    (paths(0..3), paths(1..4), some(env), checksums, any::<bool>()).prop_map(
        |(targets, files, env, checksums, crlf)| DepInfo { targets, files, env, checksums, crlf },
    )
}

proptest! {
    #[test]
    fn what_is_rendered_parses_to_the_same(info in dep_info()) {
        prop_assert_eq!(DepInfo::parse(&info.render()), Ok(info));
    }

    #[test]
    fn what_parses_renders_to_the_same(info in dep_info(), at: prop::sample::Index, byte: u8) {
        let mut bytes = info.render();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(info) = DepInfo::parse(&bytes) {
            prop_assert_eq!(info.render(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(info) = DepInfo::parse(&bytes) {
            prop_assert_eq!(info.render(), bytes);
        }
    }
}
