//! The table against the help of the compiler at hand.

use std::collections::BTreeSet;
use std::process::Command;

use crate::args::table::{self, Arity, CODEGEN, LONG, SHORT, UNSTABLE};
use crate::args::{CrateType, EmitKind};

/// Standard output of the compiler.
pub(super) fn rustc_prints(args: &[&str]) -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc).args(args).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_option_in_the_help_is_in_the_table_with_its_arity() {
    let help = rustc_prints(&["--help", "-v"]);
    let mut found = 0;
    for line in help.lines().map(str::trim_start).filter(|line| line.starts_with('-')) {
        // Behind two blanks stands the description.
        let line = line.split("  ").next().unwrap();
        let takes_value = line.contains('<');
        // `-C, --codegen <OPT>[=<VALUE>]`
        for name in line.split([' ', ',']).take_while(|word| !word.contains('<')) {
            let opt = match (name.strip_prefix("--"), name.strip_prefix('-')) {
                (Some(long), _) => table::long(long),
                (None, Some(short)) if short.len() == 1 => {
                    table::short(short.chars().next().unwrap())
                }
                _ => continue,
            };
            let Some(opt) = opt else { panic!("not in the table: {name}") };
            // The last lines, `-C help` and `-W help`, have their values in words.
            if !line.ends_with(" help") {
                assert_eq!(opt.arity == Arity::Value, takes_value, "{line}");
            }
            found += 1;
        }
    }
    assert!(found >= LONG.len() + SHORT.len(), "found {found} names only: has the format changed?");
}

#[test]
fn every_codegen_option_in_the_help_is_in_the_table_and_no_other() {
    let help = rustc_prints(&["-C", "help"]);
    let names: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("-C")?.split("=val").next())
        .map(str::trim)
        .collect();
    let known: BTreeSet<&str> = CODEGEN.iter().map(|opt| opt.name).collect();
    assert_eq!(names.difference(&known).collect::<Vec<_>>(), [&""; 0], "missing");
    assert_eq!(known.difference(&names).collect::<Vec<_>>(), [&""; 0], "not of this compiler");
}

#[test]
fn every_emit_kind_and_crate_type_in_the_help_is_known() {
    let help = rustc_prints(&["--help", "-v"]);
    for line in help.lines().filter_map(|line| line.trim_start().strip_prefix("* ")) {
        if let Some((kind, file)) = line.split_once(" - ") {
            let emit = EmitKind::ALL.into_iter().find(|emit| emit.name() == kind).unwrap();
            let default = file.split_once("CRATE_NAME.").map_or("", |(_, extension)| extension);
            assert_eq!(emit.extension(), default);
        }
    }
    let types = help.split_once("--crate-type <").unwrap().1.split_once('>').unwrap().0;
    for name in types.split('|') {
        assert!(CrateType::from_name(name).is_some(), "{name}");
    }
}

#[test]
fn the_tables_are_sorted_for_searching() {
    assert!(LONG.is_sorted_by_key(|opt| opt.name));
    assert!(CODEGEN.is_sorted_by_key(|opt| opt.name));
    assert!(UNSTABLE.is_sorted());
    for opt in LONG.iter().chain(SHORT) {
        if let Some(letter) = opt.short {
            assert_eq!(table::short(letter), Some(opt));
        }
    }
}
