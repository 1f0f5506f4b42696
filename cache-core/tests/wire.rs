//! The record format: pinned, read across versions, and refused when it breaks its rules.

mod support;

use cache_core::wire::{self, DecodeError, MAX_EXPANSION, RecordView, VERSION};
use cache_core::{
    Content, Digest, Entry, EnvValue, Fact, NodeKind, Observation, Outcome, Output, Recipe, Record,
    Role, Segment, Template, TextTemplate,
};
use support::{name, seal, weight};

fn rooted(root: &str, rest: &[u8]) -> Template {
    Template::Rooted { root: name(root), rest: rest.to_vec() }
}

/// A record with every kind of fact, output and segment.
fn sample() -> Record {
    let mut recipe = Recipe::new();
    recipe
        .push("toolchain", Digest::of(b"rustc").as_bytes().as_slice())
        .push("arg", "--edition=2024");
    let env = |name: &[u8], value| Fact::Env { name: name.to_vec(), value };
    let facts = vec![
        Fact::Variant { name: "color".into(), value: Digest::of(b"always") },
        Fact::Bound { root: name("target"), path: b"/ws/target".to_vec() },
        env(b"CI", EnvValue::Unset),
        env(b"FOO", EnvValue::Digest(Digest::of(b"1"))),
        env(b"OUT_DIR", EnvValue::Path(rooted("target", b"/debug/build/a/out"))),
        Fact::Absent { path: rooted("workspace", b"/src/a/mod.rs") },
        Fact::Present { path: rooted("workspace", b"/src"), kind: NodeKind::Dir },
        Fact::Present { path: rooted("workspace", b"/Cargo.toml"), kind: NodeKind::File },
        Fact::Present { path: Template::Plain(b"/dev/null".to_vec()), kind: NodeKind::Other },
        Fact::Link { path: rooted("workspace", b"/l"), target: Template::Plain(b"\xff".to_vec()) },
        Fact::Dir { path: rooted("workspace", b"/data"), listing: Digest::of(b"listing") },
        Fact::File { path: rooted("workspace", b"/src/lib.rs"), digest: Digest::of(b"lib") },
    ];
    let text = |text: &[u8]| Segment::Text(text.to_vec());
    let output = |role, rest: &[u8], content, mode| Output {
        role,
        path: rooted("target", rest),
        content,
        mode,
    };
    let blob = |bytes: &[u8]| Content::Blob { digest: Digest::of(bytes), size: bytes.len() as u64 };
    let outcome = Outcome {
        exit_code: 0,
        stdout: TextTemplate::plain(b"out\n"),
        stderr: TextTemplate {
            segments: vec![text(b"in "), Segment::Root(name("workspace")), text(b"\n")],
        },
        outputs: vec![
            output(Role::Metadata, b"/liba.rmeta", blob(b"rmeta"), 0o644),
            output(Role::Rlib, b"/liba.rlib", blob(b"rlib"), 0o444),
            output(Role::DepInfo, b"/a.d", Content::Text(TextTemplate::plain(b"a: b\n")), 0o644),
            output(Role::Executable, b"/a", blob(b"exe"), 0o755),
            output(Role::Other, b"/a.ll", blob(b"rlib"), 0o600),
        ],
        cost_us: 1_234_567,
    };
    let failed = Outcome { exit_code: -1, ..Outcome::default() };
    let entry =
        |facts, outcome, created| Entry { observation: Observation::new(facts), outcome, created };
    let second = vec![facts[2].clone(), facts[11].clone()];
    Record { recipe, entries: vec![entry(facts, outcome, 1_790_000_000), entry(second, failed, 7)] }
}

/// A change of the format must be meant: it takes a new `VERSION` and `Recipe::CONTEXT`. To write
/// the file anew after that, run the test with `BLESS=1`.
#[test]
fn the_bytes_of_a_record_are_pinned() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/record-v1.hex");
    let bytes = sample().encode();
    let hex: String = bytes
        .chunks(32)
        .map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
        .collect();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &hex).unwrap();
    }
    assert_eq!(hex, std::fs::read_to_string(path).unwrap());
    assert_eq!(Record::decode(&bytes), Ok(sample()));
}

#[test]
fn refs_are_the_blobs_ascending_each_once() {
    let mut want = [b"rmeta".as_slice(), b"rlib", b"exe"].map(|b| (Digest::of(b), b.len() as u64));
    want.sort_unstable();
    assert_eq!(wire::refs(&sample().encode()).unwrap(), want);
    assert_eq!(wire::refs(&Record::default().encode()), Ok(Vec::new()));
}

/// Empty recipe, no facts, no entries.
const EMPTY: &[u8] = &[8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn bytes_made_by_hand_are_read() {
    assert_eq!(Record::decode(&seal(1, 1, &[], EMPTY)), Ok(Record::default()));
    assert_eq!(Record::default().encode(), seal(1, 1, &[], EMPTY));
}

#[test]
fn other_versions_are_absent_but_keep_their_blobs() {
    let refs = [(Digest::from_bytes([1; 32]), 10), (Digest::from_bytes([2; 32]), 20)];
    for version in [0, VERSION + 1, u16::MAX] {
        let bytes = seal(1, version, &refs, b"what no reader of today can know");
        let error = Record::decode(&bytes).unwrap_err();
        assert_eq!(error, DecodeError::Unsupported { version });
        assert_eq!(RecordView::parse(&bytes).unwrap_err(), error);
        assert!(error.is_foreign());
        assert_eq!(wire::refs(&bytes).unwrap(), refs);
    }
}

#[test]
fn other_kinds_are_absent_but_keep_their_blobs() {
    let refs = [(Digest::from_bytes([1; 32]), 10)];
    let bytes = seal(2, VERSION, &refs, b"a bundle, say");
    assert_eq!(Record::decode(&bytes), Err(DecodeError::Kind { kind: 2 }));
    assert_eq!(wire::refs(&bytes).unwrap(), refs);
}

#[test]
fn another_envelope_is_told_from_damage() {
    let mut bytes = sample().encode();
    bytes[4] = 2;
    let error = Record::decode(&bytes).unwrap_err();
    assert_eq!(error, DecodeError::Envelope { version: 2 });
    assert!(error.is_foreign());
    assert_eq!(wire::refs(&bytes), Err(error));
}

#[test]
fn damage_is_told_from_another_version() {
    let good = sample().encode();
    let mut version = good.clone();
    version[6] = 9;
    assert_eq!(Record::decode(&version), Err(DecodeError::Checksum));
    assert_eq!(wire::refs(&version), Err(DecodeError::Checksum));

    assert_eq!(Record::decode(b""), Err(DecodeError::Truncated));
    assert_eq!(Record::decode(b"not a record"), Err(DecodeError::Magic));
    assert_eq!(Record::decode(&good[..good.len() - 1]), Err(DecodeError::Truncated));
    assert_eq!(Record::decode(&[&good[..], b"\0"].concat()), Err(DecodeError::Trailing));
    for error in [
        DecodeError::Magic,
        DecodeError::Truncated,
        DecodeError::Checksum,
        DecodeError::Malformed(""),
    ] {
        assert!(!error.is_foreign());
    }
}

#[test]
fn refs_out_of_order_are_refused() {
    let (one, two) = ((Digest::from_bytes([1; 32]), 1), (Digest::from_bytes([2; 32]), 2));
    for refs in [[two, one], [one, one]] {
        let bytes = seal(1, 1, &refs, EMPTY);
        assert_eq!(wire::refs(&bytes), Err(DecodeError::Malformed("refs out of order")));
        assert!(Record::decode(&bytes).is_err());
    }
}

#[test]
fn refs_must_be_those_of_the_payload() {
    let bytes = seal(1, 1, &[(Digest::of(b"more"), 4)], EMPTY);
    let error = DecodeError::Malformed("refs are not those of the payload");
    assert_eq!(Record::decode(&bytes), Err(error));
}

/// A payload with an empty recipe, these facts, and one entry that names `indices`, with an empty
/// outcome.
fn payload(count: u8, facts: &[u8], indices: &[u32]) -> Vec<u8> {
    let mut out = EMPTY[..9].to_vec();
    out.push(count);
    out.extend(facts);
    out.push(1);
    out.extend([0; 8]);
    out.push(u8::try_from(indices.len()).unwrap());
    out.extend(indices.iter().flat_map(|index| index.to_le_bytes()));
    out.push(15);
    out.extend([0; 15]);
    out
}

fn refusal(payload: &[u8]) -> DecodeError {
    Record::decode(&seal(1, 1, &[], payload)).unwrap_err()
}

#[test]
fn facts_have_one_order() {
    let (a, b) = ([3, 1, 1, b'a'], [3, 1, 1, b'b']);
    assert!(Record::decode(&seal(1, 1, &[], &payload(2, &[a, b].concat(), &[0, 1]))).is_ok());
    let malformed = DecodeError::Malformed;
    for (facts, indices, what) in [
        ([b, a], [0, 1], "facts out of order"),
        ([a, a], [0, 1], "facts out of order"),
        ([a, b], [1, 0], "fact indices out of order"),
        ([a, b], [1, 1], "fact indices out of order"),
        ([a, b], [1, 2], "fact index out of range"),
        ([a, b], [0, u32::MAX], "fact index out of range"),
    ] {
        assert_eq!(refusal(&payload(2, &facts.concat(), &indices)), malformed(what));
    }
    assert_eq!(refusal(&payload(2, &[a, b].concat(), &[0])), malformed("fact of no entry"));
}

#[test]
fn malformed_facts_are_refused() {
    let malformed = DecodeError::Malformed;
    let cases: [(&[u8], DecodeError); 13] = [
        (&[8, 1, 0], malformed("unknown fact tag")),
        (&[3, 2, 0], malformed("unknown template tag")),
        (&[3, 0, 0, 0], malformed("bad root name")),
        (&[3, 0, 1, b'A', 0], malformed("bad root name")),
        (&[3, 0, 2, 0xc3, 0xa9, 0], malformed("bad root name")),
        (&[&[3, 0, 33], [b'a'; 33].as_slice(), &[0]].concat(), malformed("bad root name")),
        (&[4, 1, 0, 4], malformed("unknown node kind")),
        (&[2, 0, 3], malformed("unknown environment value tag")),
        (&[2, 0, 2, 2, 0], malformed("unknown template tag")),
        (&[&[0, 1, 0xff], [0; 32].as_slice()].concat(), malformed("name is not UTF-8")),
        (&[3, 1, 0x80, 0], malformed("integer longer than needed")),
        (&[3, 1, 0xff, 0xff, 0x7f], DecodeError::Truncated),
        (&[3, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], DecodeError::Truncated),
    ];
    for (fact, error) in cases {
        assert_eq!(refusal(&payload(1, fact, &[0])), error, "{fact:?}");
    }
}

#[test]
fn counts_beyond_the_bytes_are_refused() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(refusal(&[&EMPTY[..9], &huge].concat()), DecodeError::Truncated, "facts");
    assert_eq!(refusal(&huge), DecodeError::Truncated, "recipe length");
    assert_eq!(
        refusal(&[&[8], [0xff; 8].as_slice(), &[0, 0]].concat()),
        DecodeError::Truncated,
        "fields"
    );
    let mut refs = seal(1, 1, &[], EMPTY);
    refs[8..16].fill(0xff);
    assert_eq!(Record::decode(&refs), Err(DecodeError::Truncated), "refs");
    let mut payload = seal(1, 1, &[], EMPTY);
    payload[16..24].fill(0xff);
    assert_eq!(Record::decode(&payload), Err(DecodeError::Truncated), "payload");
}

#[test]
fn entries_beyond_the_limit_are_refused() {
    let mut payload = EMPTY.to_vec();
    payload[10] = 17;
    assert_eq!(refusal(&payload), DecodeError::Malformed("too many entries"));
}

#[test]
fn bytes_after_a_part_are_refused() {
    assert_eq!(refusal(&[EMPTY, &[0]].concat()), DecodeError::Trailing, "payload");
    assert_eq!(
        refusal(&[&[9], &EMPTY[1..9], &[0, 0, 0]].concat()),
        DecodeError::Trailing,
        "recipe"
    );
    let mut outcome = payload(0, &[], &[]);
    let len = outcome.len();
    outcome[len - 16] = 16;
    outcome.push(0);
    assert_eq!(refusal(&outcome), DecodeError::Trailing, "outcome");
}

/// A payload with no facts and one entry of this outcome.
fn with_outcome(outcome: &[u8]) -> Vec<u8> {
    let mut out = payload(0, &[], &[]);
    out.truncate(out.len() - 16);
    out.push(u8::try_from(outcome.len()).unwrap());
    out.extend(outcome);
    out
}

#[test]
fn malformed_outcomes_are_refused() {
    let malformed = DecodeError::Malformed;
    let head = [0; 12];
    // Role, mode, plain empty path, text content without segments.
    let output = |role, mode: u32, content: u8| {
        [&head, [0, 0, 1, role].as_slice(), &mode.to_le_bytes(), &[1, 0, content, 0]].concat()
    };
    assert!(Record::decode(&seal(1, 1, &[], &with_outcome(&output(4, 0o777, 1)))).is_ok());
    for (outcome, error) in [
        (output(7, 0, 1), malformed("unknown role")),
        (output(0, 0o1000, 1), malformed("mode beyond 0o777")),
        (output(0, 0o4755, 1), malformed("mode beyond 0o777")),
        (output(0, 0, 2), malformed("unknown content tag")),
        (output(0, 0, 0), DecodeError::Truncated),
        ([&head, [1, 2, 0, 0, 0].as_slice()].concat(), malformed("unknown segment tag")),
        ([&head, [9, 0, 0, 0, 0].as_slice()].concat(), DecodeError::Truncated),
    ] {
        assert_eq!(refusal(&with_outcome(&outcome)), error);
    }
}

#[test]
fn mode_bits_beyond_permissions_are_not_written() {
    let mut record = sample();
    record.entries[0].outcome.outputs[3].mode = 0o4755;
    let decoded = Record::decode(&record.encode()).unwrap();
    assert_eq!(decoded.entries[0].outcome.outputs[3].mode, 0o755);
}

#[test]
fn a_record_of_another_recipe_is_noticed() {
    let bytes = sample().encode();
    let view = RecordView::parse(&bytes).unwrap();
    assert!(view.is_of(&sample().recipe));
    let mut other = sample().recipe;
    other.push("arg", "-g");
    assert!(!view.is_of(&other));
}

/// The parts that grow most in memory, as many as possible.
#[test]
fn memory_stays_in_proportion() {
    let segments = TextTemplate { segments: vec![Segment::Text(Vec::new()); 10_000] };
    let output = Output {
        role: Role::Other,
        path: Template::Plain(Vec::new()),
        content: Content::Text(TextTemplate::default()),
        mode: 0,
    };
    let mut recipe = Recipe::new();
    for _ in 0..10_000 {
        recipe.push("", "");
    }
    let facts = |count: u16| {
        let path = |n: u16| Template::Plain(n.to_le_bytes().to_vec());
        Observation::new((0..count).map(|n| Fact::Absent { path: path(n) }).collect())
    };
    let entry = |observation, outcome| Entry { observation, outcome, created: 0 };
    let record = |recipe, entries| Record { recipe, entries };
    let cases = [
        record(recipe, Vec::new()),
        record(
            Recipe::new(),
            vec![entry(facts(0), Outcome { stdout: segments, ..Outcome::default() })],
        ),
        record(
            Recipe::new(),
            vec![entry(facts(0), Outcome { outputs: vec![output; 10_000], ..Outcome::default() })],
        ),
        record(Recipe::new(), vec![entry(facts(60_000), Outcome::default()); 16]),
        record(Recipe::new(), vec![entry(facts(0), Outcome::default()); 16]),
    ];
    for record in cases {
        let bytes = record.encode();
        let decoded = Record::decode(&bytes).unwrap();
        assert_eq!(decoded, record);
        let ratio = weight(&decoded) / bytes.len();
        assert!(ratio <= MAX_EXPANSION, "{ratio} bytes of memory per byte");
    }
}
