//! The seeds are what their names say: a target whose seeds are refused at the first byte tests
//! nothing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use cache_core::Record;
use cache_rustc::args::{Invocation, parse};
use cache_rustc::dep_info::DepInfo;
use cache_rustc::trace::Trace;
use cache_storage::bundle::{Index, Located, PackReader, Places};
use futures::StreamExt;
use larder_fuzz::TARGETS;

fn folder(target: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target)
}

fn seed(target: &str, name: &str) -> Vec<u8> {
    std::fs::read(folder(target).join(name)).expect("a seed")
}

#[test]
fn every_target_has_seeds_and_they_are_right() {
    for target in TARGETS {
        let entries = std::fs::read_dir(folder(target.name)).expect("a folder of seeds");
        let inputs: Vec<_> =
            entries.map(|entry| std::fs::read(entry.expect("an entry").path())).collect();
        assert!(inputs.len() >= 2, "{}", target.name);
        for input in inputs {
            (target.check)(&input.expect("a seed"));
        }
    }
}

#[test]
fn seeds_are_understood() {
    assert!(Record::decode(&seed("record_decode", "all-kinds")).is_ok());
    for name in ["rustc", "checksum", "crlf"] {
        assert!(DepInfo::parse(&seed("dep_info", name)).is_ok(), "{name}");
    }
    assert!(Located::decode(&seed("bundle_record", "located")).is_ok());
    assert!(Index::decode(&seed("bundle_index", "two-units")).is_ok_and(|it| it.units.len() == 2));
    assert!(Places::decode(&seed("bundle_places", "two-packs")).is_ok());
    assert_eq!(members(&seed("bundle_pack", "three-members")), Some(3));
    assert_eq!(members(&seed("bundle_pack", "cut")), None);
    assert!(Trace::parse(&seed("trace_log", "session")).is_ok());
    assert!(Trace::parse(&seed("trace_log", "cut")).is_err());
    for (name, compiles) in [("cargo-lib", true), ("links", true), ("query", false)] {
        let args: Vec<OsString> = seed("args_parse", name)
            .split(|b| *b == b'\n')
            .map(|arg| OsString::from_vec(arg.to_vec()))
            .collect();
        let invocation = parse(&args, Path::new("/nonexistent"));
        assert_eq!(
            matches!(invocation, Invocation::Compile(_)),
            compiles,
            "{name}: {invocation:?}"
        );
    }
}

/// How many members a pack has, if it is one.
fn members(pack: &[u8]) -> Option<usize> {
    let piece = futures::stream::iter([Ok(bytes::Bytes::copy_from_slice(pack))]).boxed();
    let mut reader = PackReader::new(piece);
    futures::executor::block_on(async {
        let mut count = 0;
        while let Some(group) = reader.next_group().await.ok()? {
            count += group.len();
        }
        Some(count)
    })
}
