//! What is in the key, and what is not.

use proptest::prelude::*;

use super::*;
use crate::args::key::linker_pieces;

#[test]
fn cargos_command_line() {
    let line = "--crate-name a --edition=2021 src/lib.rs --error-format=json \
        --json=diagnostic-rendered-ansi,artifacts,future-incompat --crate-type lib \
        --emit=dep-info,metadata,link -C embed-bitcode=no -C debuginfo=2 --cfg feature=\"std\" \
        --check-cfg cfg(docsrs,test) -C metadata=1f -C extra-filename=-2e --out-dir /w/t/debug/deps \
        -C incremental=/w/t/debug/incremental -L dependency=/w/t/debug/deps \
        --extern b=/w/t/debug/deps/libb-3d.rmeta --cap-lints allow -L native=/w/t/out -l static=z";
    assert_eq!(
        keyed(&compile(line)),
        [
            "--crate-name a",
            "--crate-type rlib",
            "-C extra-filename -2e",
            "--emit dep-info",
            "--emit link",
            "--emit metadata",
            "--out-dir",
            "-C incremental",
            "--edition 2021",
            "-C embed-bitcode no",
            "-C debuginfo 2",
            "--cfg feature=\"std\"",
            "--check-cfg cfg(docsrs,test)",
            "-C metadata 1f",
            "-L dependency={/w/t/debug/deps}",
            "--cap-lints allow",
            "-L native={/w/t/out}",
            "-l static=z",
        ]
    );
}

#[test]
fn places_of_outputs_are_not_in_the_key_and_their_presence_is() {
    assert_eq!(lib("--out-dir /a").keyed, lib("--out-dir /b").keyed);
    assert_ne!(lib("--out-dir /a").keyed, lib("").keyed);
    assert_eq!(lib("-C incremental=/a").keyed, lib("-C incremental=/b").keyed);
    assert_ne!(lib("-C incremental=/a").keyed, lib("").keyed);
    assert_eq!(lib("--emit link=/a/x").keyed, lib("--emit link=/b/x").keyed);
    assert_ne!(lib("--emit link=/a/x").keyed, lib("--emit link").keyed);
    assert_ne!(lib("--emit link,metadata").keyed, lib("--emit link").keyed);
}

#[test]
fn file_names_that_end_up_in_outputs_are_in_the_key() {
    assert_eq!(lib("-o /a/x").keyed, lib("-o /b/x").keyed);
    assert_ne!(lib("-o /a/x").keyed, lib("-o /a/y").keyed);
    assert_ne!(lib("--emit link=/a/x").keyed, lib("--emit link=/a/y").keyed);
}

#[test]
fn the_order_of_lints_is_kept() {
    assert_eq!(
        keyed_options("-A x -Wx --cap-lints=warn"),
        ["--allow x", "--warn x", "--cap-lints warn"]
    );
    assert_ne!(lib("-A x -D x").keyed, lib("-D x -A x").keyed);
}

#[test]
fn an_absent_value_is_not_an_empty_one() {
    assert_ne!(lib("-C lto").keyed, lib("-C lto=").keyed);
}

#[test]
fn what_only_the_linker_reads_counts_for_links_only() {
    let options = "-C linker=clang -C link-arg=-fuse-ld=lld -C link-args=-s -C rpath";
    assert_eq!(keyed_options(options), [""; 0]);
    let bin = |options| compile(&format!("--crate-name a --crate-type bin a.rs {options}"));
    let keyed = keyed(&bin(options));
    for option in ["-C linker clang", "-C link-arg -fuse-ld=lld", "-C link-args -s", "-C rpath"] {
        assert!(keyed.contains(&option.to_owned()), "{option} in {keyed:?}");
    }
    assert_eq!(keyed_options("-C relro-level=full"), ["-C relro-level full"]);
}

#[test]
fn paths_are_marked() {
    assert_eq!(keyed_options("--remap-path-prefix /a=b=/c"), ["--remap-path-prefix {/a=b}=/c"]);
    assert_eq!(keyed_options("--sysroot /s"), ["--sysroot {/s}"]);
    assert_eq!(keyed_options("--target t.json"), ["--target {t.json}"]);
    assert_eq!(keyed_options("--target t"), ["--target t"]);
    assert_eq!(keyed_options("-Lx"), ["-L {x}"]);
    assert_eq!(keyed_options("-Cprofile-use=p"), ["-C profile-use {p}"]);
    assert_eq!(keyed_options("-Cprofile-generate=/p"), ["-C profile-generate /p"]);
    assert_eq!(lib_refused("--remap-path-prefix=x"), "invalid-value: --remap-path-prefix");
}

#[test]
fn absolute_paths_in_linker_arguments_are_marked() {
    let marked = |value| {
        let piece = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Path(path) => format!("{{{path}}}"),
        };
        linker_pieces(value).into_iter().map(piece).collect::<String>()
    };
    assert_eq!(marked("/a/b.o"), "{/a/b.o}");
    assert_eq!(marked("-L/a -T/b/c.ld"), "-L{/a} -T{/b/c.ld}");
    assert_eq!(marked("-Wl,-rpath,/a:/b"), "-Wl,-rpath,{/a}:{/b}");
    assert_eq!(marked("--script=/a"), "--script={/a}");
    assert_eq!(marked("a/b"), "a/b");
    assert_eq!(linker_pieces(""), [Piece::Text(String::new())]);
}

proptest! {
    #[test]
    fn the_pieces_of_a_linker_argument_give_it_again(value in "[-,=: /LTaé]{0,12}") {
        let joined: Vec<u8> =
            linker_pieces(&value).iter().flat_map(|piece| piece.as_bytes().to_vec()).collect();
        prop_assert_eq!(joined, value.as_bytes());
    }
}
