//! What a record costs on the way of a hit: `cargo bench -p cache-core`.
//!
//! Prints the median of many runs, in microseconds, for one entry and for a full record.

use std::hint::black_box;
use std::time::Instant;

use cache_core::wire::RecordView;
use cache_core::{
    Content, Digest, Entry, Fact, Observation, Outcome, Output, Recipe, Record, Role, RootName,
    Segment, Template, TextTemplate,
};

const RUNS: usize = 2000;

fn rooted(root: &RootName, rest: String) -> Template {
    Template::Rooted { root: root.clone(), rest: rest.into_bytes() }
}

fn recipe() -> Recipe {
    let mut recipe = Recipe::new();
    for n in 0..60 {
        recipe.push(
            if n < 20 { "extern:serde" } else { "arg" },
            Digest::of(&[n]).as_bytes().as_slice(),
        );
    }
    recipe
}

/// An entry of 200 facts, of which `own` are no other entry's.
fn entry(number: usize, own: usize) -> Entry {
    let root = RootName::new("workspace").expect("a good name");
    let facts = (0..200).map(|n| {
        let path = rooted(&root, format!("/crates/some-crate/src/some/module/file_{n}.rs"));
        let content = if n < own { number } else { 0 };
        Fact::File { path, digest: Digest::of(&content.to_le_bytes()) }
    });
    let output = |role, n: usize| Output {
        role,
        path: rooted(&root, format!("/target/debug/deps/libsome_crate-0123456789abcdef.{n}")),
        content: Content::Blob {
            digest: Digest::of(&(number * 8 + n).to_le_bytes()),
            size: 1 << 20,
        },
        mode: 0o644,
    };
    let stderr =
        (0..20).flat_map(|_| [Segment::Root(root.clone()), Segment::Text(vec![b'x'; 200])]);
    let outcome = Outcome {
        stderr: TextTemplate { segments: stderr.collect() },
        outputs: vec![output(Role::Metadata, 0), output(Role::Rlib, 1), output(Role::DepInfo, 2)],
        ..Outcome::default()
    };
    Entry { observation: Observation::new(facts.collect()), outcome, created: 0 }
}

fn measure<T>(what: &str, mut run: impl FnMut() -> T) {
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let micros = |part: usize| times[RUNS * part / 100].as_nanos() / 100;
    let tenths = |n: u128| format!("{}.{}", n / 10, n % 10);
    println!(
        "{what:<44} {:>8} µs   (10 %: {}, 90 %: {})",
        tenths(micros(50)),
        tenths(micros(10)),
        tenths(micros(90))
    );
}

fn main() {
    for (what, entries, own) in [
        ("1 entry x 200 facts", 1, 0),
        ("16 entries x 200 facts, 10 their own", 16, 10),
        ("16 entries x 200 facts, all their own", 16, 200),
    ] {
        let entries = (0..entries).map(|number| entry(number, own)).collect();
        let record = Record { recipe: recipe(), entries };
        let bytes = record.encode();
        println!("{what}: {} bytes", bytes.len());
        measure("  checksum alone", || Digest::of(&bytes));
        measure("  Record::encode", || record.encode());
        measure("  Record::decode", || Record::decode(&bytes).expect("it decodes"));
        measure("  RecordView::parse and the first outcome", || {
            let view = RecordView::parse(&bytes).expect("it decodes");
            view.entries()[0].outcome().expect("it decodes")
        });
        measure("  RecordView::is_of", || {
            RecordView::parse(&bytes).expect("it decodes").is_of(&record.recipe)
        });
    }
}
