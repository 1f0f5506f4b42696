//! Arbitrary values, and records put together by hand.
#![allow(dead_code, reason = "each test binary uses a part")]

use cache_core::{
    Content, Digest, Entry, EnvValue, Fact, MAX_ENTRIES, NodeKind, Observation, Outcome, Output,
    Recipe, Record, Role, RootName, Roots, Segment, Template, TextTemplate,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

/// The same cases in every run, unless `PROPTEST_RNG_SEED` asks for others. Failures are kept in
/// a file and tried first from then on.
pub(crate) fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0x006c_6172_6465_7221),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    ProptestConfig {
        rng_seed: seed,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/regressions.txt",
        ))),
        ..default
    }
}

pub(crate) fn name(text: &str) -> RootName {
    RootName::new(text.to_owned()).expect("a good name")
}

/// Roots from names and paths.
pub(crate) fn roots(list: &[(&str, &[u8])]) -> Roots {
    let mut roots = Roots::new();
    for (root, path) in list {
        roots.add(name(root), path).expect("a good root");
    }
    roots
}

/// An envelope around any payload, as the format's description says and without its code.
pub(crate) fn seal(kind: u8, version: u16, refs: &[(Digest, u64)], payload: &[u8]) -> Vec<u8> {
    let mut out = b"\x89ldr\x01".to_vec();
    out.push(kind);
    out.extend(version.to_le_bytes());
    out.extend((refs.len() as u64).to_le_bytes());
    for (digest, size) in refs {
        out.extend(digest.as_bytes());
        out.extend(size.to_le_bytes());
    }
    out.extend((payload.len() as u64).to_le_bytes());
    out.extend(payload);
    out.extend(Digest::of(&out).as_bytes());
    out
}

/// Puts the right checksum at the end of a changed record.
pub(crate) fn reseal(bytes: &mut [u8]) {
    if let Some(at) = bytes.len().checked_sub(Digest::LEN) {
        let (body, sum) = bytes.split_at_mut(at);
        sum.copy_from_slice(Digest::of(body).as_bytes());
    }
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    // Few values, so that equal digests meet.
    prop_oneof![
        any::<[u8; 32]>().prop_map(Digest::from_bytes),
        (0..4_u8).prop_map(|b| Digest::of(&[b]))
    ]
}

pub(crate) fn root_name() -> impl Strategy<Value = RootName> {
    prop_oneof![
        prop::sample::select(vec!["workspace", "target", "cargo_home", "w"]).prop_map(name),
        "[a-z][a-z0-9_]{0,31}".prop_map(|text| name(&text)),
    ]
}

/// One component of a path, often an awkward one.
pub(crate) fn component() -> impl Strategy<Value = Vec<u8>> {
    let awkward: Vec<&[u8]> = vec![
        b"",
        b".",
        b"..",
        b"a",
        b"ws",
        b"ws2",
        b"src",
        b"target",
        b"a b",
        b"\xff\xfe",
        "é".as_bytes(),
        b"{w}",
    ];
    prop_oneof![prop::sample::select(awkward).prop_map(<[u8]>::to_vec), vec(1_u8.., 0..4)]
}

/// A path, absolute or not, normal or not.
pub(crate) fn path() -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), vec(component(), 0..6)).prop_map(|(absolute, parts)| {
        let mut path = if absolute { b"/".to_vec() } else { Vec::new() };
        path.extend(parts.join(&b'/'));
        path
    })
}

/// The path of a root: absolute and normal, from so few components that roots nest.
pub(crate) fn root_path() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> =
        vec![b"a", b"ws", b"ws2", b"src", b"target", b"a b", b"\xff", "é".as_bytes(), b"q\"\\"];
    vec(prop::sample::select(parts), 1..4)
        .prop_map(|parts| parts.iter().flat_map(|part| [b"/", *part].concat()).collect())
}

pub(crate) fn some_roots() -> impl Strategy<Value = Roots> {
    vec(root_path(), 0..5).prop_map(|paths| {
        let mut roots = Roots::new();
        for (index, path) in paths.iter().enumerate() {
            roots.add(name(&format!("r{index}")), path).expect("a good root");
        }
        roots
    })
}

pub(crate) fn template() -> impl Strategy<Value = Template> {
    prop_oneof![
        path().prop_map(Template::Plain),
        (root_name(), path()).prop_map(|(root, rest)| Template::Rooted { root, rest }),
    ]
}

pub(crate) fn fact() -> impl Strategy<Value = Fact> {
    let kind = prop::sample::select(vec![
        NodeKind::File,
        NodeKind::Program,
        NodeKind::Dir,
        NodeKind::Other,
    ]);
    let env = prop_oneof![
        Just(EnvValue::Unset),
        digest().prop_map(EnvValue::Digest),
        template().prop_map(EnvValue::Path),
    ];
    prop_oneof![
        (".{0,8}", digest()).prop_map(|(name, value)| Fact::Variant { name, value }),
        (root_name(), path()).prop_map(|(root, path)| Fact::Bound { root, path }),
        (vec(any::<u8>(), 0..8), env).prop_map(|(name, value)| Fact::Env { name, value }),
        template().prop_map(|path| Fact::Absent { path }),
        (template(), kind).prop_map(|(path, kind)| Fact::Present { path, kind }),
        (template(), template()).prop_map(|(path, target)| Fact::Link { path, target }),
        (template(), digest()).prop_map(|(path, listing)| Fact::Dir { path, listing }),
        (template(), digest()).prop_map(|(path, digest)| Fact::File { path, digest }),
    ]
}

pub(crate) fn text_template() -> impl Strategy<Value = TextTemplate> {
    let segment = prop_oneof![
        vec(any::<u8>(), 0..12).prop_map(Segment::Text),
        root_name().prop_map(Segment::Root),
    ];
    vec(segment, 0..4).prop_map(|segments| TextTemplate { segments })
}

fn output() -> impl Strategy<Value = Output> {
    let roles = vec![
        Role::Metadata,
        Role::Rlib,
        Role::DepInfo,
        Role::Executable,
        Role::Other,
        Role::Directory,
        Role::Symlink,
    ];
    let content = prop_oneof![
        (digest(), any::<u64>()).prop_map(|(digest, size)| Content::Blob { digest, size }),
        text_template().prop_map(Content::Text),
    ];
    (prop::sample::select(roles), template(), content, 0..=0o777_u32)
        .prop_map(|(role, path, content, mode)| Output { role, path, content, mode })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    (any::<i32>(), text_template(), text_template(), vec(output(), 0..4), any::<u64>()).prop_map(
        |(exit_code, stdout, stderr, outputs, cost_us)| Outcome {
            exit_code,
            stdout,
            stderr,
            outputs,
            cost_us,
        },
    )
}

pub(crate) fn recipe() -> impl Strategy<Value = Recipe> {
    vec((".{0,6}", vec(any::<u8>(), 0..6)), 0..4).prop_map(|fields| {
        let mut recipe = Recipe::new();
        for (name, value) in fields {
            recipe.push(name, value);
        }
        recipe
    })
}

/// A record whose entries have facts in common.
pub(crate) fn record() -> impl Strategy<Value = Record> {
    let entry = (vec(any::<prop::sample::Index>(), 0..6), outcome(), any::<u64>());
    (recipe(), vec(fact(), 1..8), vec(entry, 0..MAX_ENTRIES)).prop_map(|(recipe, pool, entries)| {
        let entries = entries.into_iter().map(|(picks, outcome, created)| {
            let facts = picks.iter().map(|pick| pick.get(&pool).clone()).collect();
            Entry { observation: Observation::new(facts), outcome, created }
        });
        Record { recipe, entries: entries.collect() }
    })
}

/// Bytes of memory that a record takes.
pub(crate) fn weight(record: &Record) -> usize {
    let recipe = record.recipe.fields();
    let recipe_weight = size_of_val(recipe)
        + recipe.iter().map(|field| field.name.capacity() + field.value.capacity()).sum::<usize>();
    let entries = record.entries.iter().map(|entry| {
        let facts = entry.observation.facts();
        size_of_val(facts)
            + facts.iter().map(fact_weight).sum::<usize>()
            + outcome_weight(&entry.outcome)
    });
    size_of::<Record>()
        + recipe_weight
        + record.entries.capacity() * size_of::<Entry>()
        + entries.sum::<usize>()
}

fn template_weight(template: &Template) -> usize {
    match template {
        Template::Rooted { rest, .. } => rest.capacity(),
        Template::Plain(path) => path.capacity(),
    }
}

fn fact_weight(fact: &Fact) -> usize {
    match fact {
        Fact::Variant { name, .. } => name.capacity(),
        Fact::Bound { path, .. } => path.capacity(),
        Fact::Env { name, value: EnvValue::Path(path) } => name.capacity() + template_weight(path),
        Fact::Env { name, .. } => name.capacity(),
        Fact::Link { path, target } => template_weight(path) + template_weight(target),
        Fact::Absent { path }
        | Fact::Present { path, .. }
        | Fact::Dir { path, .. }
        | Fact::File { path, .. } => template_weight(path),
    }
}

fn text_weight(text: &TextTemplate) -> usize {
    let texts = text.segments.iter().map(|segment| match segment {
        Segment::Text(text) => text.capacity(),
        Segment::Root(_) => 0,
    });
    text.segments.capacity() * size_of::<Segment>() + texts.sum::<usize>()
}

fn outcome_weight(outcome: &Outcome) -> usize {
    let outputs = outcome.outputs.iter().map(|output| {
        template_weight(&output.path)
            + match &output.content {
                Content::Blob { .. } => 0,
                Content::Text(text) => text_weight(text),
            }
    });
    text_weight(&outcome.stdout)
        + text_weight(&outcome.stderr)
        + outcome.outputs.capacity() * size_of::<Output>()
        + outputs.sum::<usize>()
}
