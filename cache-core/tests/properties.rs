//! What must be true of all values, not of examples.

mod support;

use cache_core::boundary::{Edge, path_begins, path_ends};
use cache_core::wire::{DecodeError, MAX_EXPANSION, RecordView, refs};
use cache_core::{Digest, Record, Roots, Segment, Template, TextTemplate};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{
    config, path, recipe, record, reseal, root_path, some_roots, template, text_template, weight,
};

/// Escapes as JSON does where the bytes are text.
fn json(path: &[u8]) -> Vec<u8> {
    let escape = |b: &u8| if matches!(b, b'"' | b'\\') { vec![b'\\', *b] } else { vec![*b] };
    path.iter().flat_map(escape).collect()
}

/// What holds for any bytes at all.
fn check_decode(bytes: &[u8]) {
    let _ = refs(bytes);
    if let Ok(view) = RecordView::parse(bytes) {
        for entry in view.entries() {
            let _ = entry.outcome();
        }
    }
    if let Ok(record) = Record::decode(bytes) {
        assert_eq!(record.encode(), bytes, "one record, one encoding");
        assert!(weight(&record) <= MAX_EXPANSION * bytes.len());
    }
}

/// Whether a path is its root's or lies below it, component by component.
fn is_below(root: &[u8], path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(root) else { return false };
    let mut parts: Vec<&[u8]> = root.split(|b| *b == b'/').skip(1).collect();
    for part in rest.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
                if !starts(&parts, root) {
                    return false;
                }
            }
            part => parts.push(part),
        }
    }
    starts(&parts, root)
}

fn starts(parts: &[&[u8]], root: &[u8]) -> bool {
    let root: Vec<&[u8]> = root.split(|b| *b == b'/').skip(1).collect();
    parts.starts_with(&root)
}

/// A text in which paths of roots stand among other things.
fn text(roots: &Roots, pieces: &[(usize, Vec<u8>)], escape: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let paths: Vec<&[u8]> = roots.iter().map(|(_, path)| path).collect();
    let mut text = Vec::new();
    for (pick, bytes) in pieces {
        text.extend(bytes);
        if !paths.is_empty() {
            text.extend(escape(paths[pick % paths.len()]));
        }
    }
    text
}

/// What stands between paths in a text.
fn between() -> impl Strategy<Value = Vec<u8>> {
    let common: Vec<&[u8]> = vec![
        b"",
        b" ",
        b"/",
        b".",
        b". ",
        b":3:5 ",
        b"\n",
        b"\\n",
        b"\"",
        b"2",
        b"-2 ",
        b"-L",
        b"\x1b[0m",
        b"(",
        b")",
        b"\\u001b[0m",
        b"\xff",
        "é".as_bytes(),
        b"=",
        b"/src/lib.rs",
        b"\\",
    ];
    prop_oneof![prop::sample::select(common).prop_map(<[u8]>::to_vec), vec(any::<u8>(), 0..3)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn records_survive_the_wire(record in record()) {
        let bytes = record.encode();
        prop_assert_eq!(Record::decode(&bytes), Ok(record.clone()));
        let mut named: Vec<_> = record.entries.iter().flat_map(|entry| entry.outcome.blobs()).collect();
        named.sort_unstable();
        named.dedup();
        prop_assert_eq!(refs(&bytes), Ok(named));
        check_decode(&bytes);
    }

    #[test]
    fn a_view_shows_the_record(record in record()) {
        let bytes = record.encode();
        let view = RecordView::parse(&bytes).unwrap();
        prop_assert!(view.is_of(&record.recipe));
        prop_assert_eq!(view.recipe().unwrap(), record.recipe);
        prop_assert_eq!(view.entries().len(), record.entries.len());
        for (seen, entry) in view.entries().iter().zip(&record.entries) {
            let facts: Vec<_> = seen.indices().map(|index| view.facts()[index].clone()).collect();
            prop_assert_eq!(facts, entry.observation.facts());
            prop_assert_eq!(&seen.outcome().unwrap(), &entry.outcome);
            prop_assert_eq!(seen.created(), entry.created);
        }
    }

    #[test]
    fn any_bytes_decode_without_panic(bytes in vec(any::<u8>(), 0..300)) {
        check_decode(&bytes);
        // Past the magic, and past the checksum too.
        let mut sealed = [b"\x89ldr\x01\x01\x01\0".as_slice(), &bytes].concat();
        reseal(&mut sealed);
        check_decode(&sealed);
        check_decode(&support::seal(1, 1, &[], &bytes));
    }

    #[test]
    fn changed_records_decode_without_panic(
        record in record(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = record.encode();
        let mut changed = bytes.clone();
        for (at, value) in changes {
            changed[at.index(bytes.len())] = value;
        }
        if changed != bytes {
            prop_assert!(Record::decode(&changed).is_err());
        }
        reseal(&mut changed);
        check_decode(&changed);

        let mut short = bytes[..cut.index(bytes.len())].to_vec();
        prop_assert!(Record::decode(&short).is_err());
        reseal(&mut short);
        check_decode(&short);
    }

    #[test]
    fn a_flipped_bit_is_damage_never_another_version(record in record(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = record.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let error = Record::decode(&bytes).unwrap_err();
        // The envelope's version is read before the checksum, as it says where that is.
        prop_assert_eq!(error.is_foreign(), matches!(error, DecodeError::Envelope { .. }));
        prop_assert!(refs(&bytes).is_err());
    }

    #[test]
    fn templates_expand_to_what_they_were(roots in some_roots(), path in path(), below in any::<prop::sample::Index>()) {
        let mut paths = vec![path.clone()];
        if let Some((_, root)) = roots.iter().nth(below.index(roots.iter().count().max(1))) {
            paths.push([root, &path].concat());
            paths.push([root, b"/", &path].concat());
        }
        for path in paths {
            let template = roots.template(&path);
            prop_assert_eq!(roots.expand(&template), Some(path.clone()));
            if let Template::Rooted { root, rest } = &template {
                prop_assert!(is_below(roots.get(root).unwrap(), &path));
                prop_assert!(rest.is_empty() || rest[0] == b'/');
                // The same place under another root's path is another path of the same template.
                let mut other = Roots::new();
                other.add(root.clone(), b"/else/where").unwrap();
                prop_assert_eq!(other.expand(&template), Some([b"/else/where", rest.as_slice()].concat()));
            }
        }
    }

    #[test]
    fn the_deepest_root_is_chosen(roots in some_roots(), path in root_path(), rest in "(/[a-z]{1,2}){0,2}") {
        let path = [path, rest.into_bytes()].concat();
        let contains = |root: &[u8]| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
        let deepest = roots.iter().filter(|(_, root)| contains(root)).max_by_key(|(_, root)| root.len());
        match (roots.template(&path), deepest) {
            (Template::Plain(plain), None) => prop_assert_eq!(plain, path),
            (Template::Rooted { root, .. }, Some((_, deepest))) => prop_assert_eq!(roots.get(&root), Some(deepest)),
            (template, deepest) => prop_assert!(false, "{template:?} for {deepest:?}"),
        }
    }

    #[test]
    fn hostile_templates_stay_in_their_root(roots in some_roots(), template in template(), rest in path()) {
        for name in roots.iter().map(|(name, _)| name.clone()) {
            for rest in [rest.clone(), [b"/", rest.as_slice()].concat()] {
                if let Some(path) = roots.expand(&Template::Rooted { root: name.clone(), rest: rest.clone() }) {
                    prop_assert!(is_below(roots.get(&name).unwrap(), &path), "{:?}", rest);
                }
            }
        }
        if let Template::Rooted { root, .. } = &template
            && roots.get(root).is_none()
        {
            prop_assert_eq!(roots.expand(&template), None);
        }
    }

    #[test]
    fn template_bytes_are_injective(a in template(), b in template()) {
        prop_assert_eq!(a == b, a.to_bytes() == b.to_bytes());
    }

    #[test]
    fn texts_expand_to_what_they_were(
        roots in some_roots(),
        pieces in vec((any::<usize>(), between()), 0..8),
        in_json in any::<bool>(),
    ) {
        let escape = if in_json { json } else { <[u8]>::to_vec };
        let text = text(&roots, &pieces, escape);
        let (template, _) = TextTemplate::locate(&text, &roots, escape);
        prop_assert_eq!(template.expand(&roots, escape), Some(text));
        for pair in template.segments.windows(2) {
            prop_assert!(!matches!(pair, [Segment::Text(_), Segment::Text(_)]), "adjacent texts");
        }
    }

    /// No occurrence of a root is dropped in silence: it is taken out, or part of a path that is,
    /// or said to be unsure, or truly part of another path.
    #[test]
    fn no_root_is_left_in_unsaid(roots in some_roots(), pieces in vec((any::<usize>(), between()), 0..6)) {
        let text = text(&roots, &pieces, <[u8]>::to_vec);
        let (template, unsure) = TextTemplate::locate(&text, &roots, <[u8]>::to_vec);
        let mut at = 0;
        let mut taken = Vec::new();
        for segment in &template.segments {
            let len = match segment {
                Segment::Text(text) => text.len(),
                Segment::Root(name) => {
                    let len = roots.get(name).unwrap().len();
                    taken.push(at..at + len);
                    len
                }
            };
            at += len;
        }
        for (name, path) in roots.iter() {
            for (at, window) in text.windows(path.len()).enumerate() {
                let end = at + path.len();
                let edge = path_begins(&text[..at]).and(path_ends(&text[end..]));
                let inside = taken.iter().any(|range| range.start <= at && end <= range.end);
                if window == path && edge != Edge::No && !(inside && edge == Edge::Yes) {
                    prop_assert!(unsure.contains(name), "{name} at {at}");
                }
            }
        }
    }

    #[test]
    fn texts_expand_without_panic(template in text_template(), roots in some_roots()) {
        let _ = template.expand(&roots, json);
    }

    #[test]
    fn recipes_that_differ_share_no_bytes(a in recipe(), b in recipe()) {
        prop_assert_eq!(a == b, a.to_bytes() == b.to_bytes());
        prop_assert_eq!(a == b, a.key() == b.key());
    }

    #[test]
    fn digests_survive_as_text(bytes in any::<[u8; 32]>()) {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(digest.to_hex().parse(), Ok(digest));
        prop_assert_eq!(digest.to_string(), digest.to_hex());
    }

    #[test]
    fn what_parses_as_a_digest_is_its_text(text in "[0-9a-fA-F]{62,66}") {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_hex(), text);
        }
    }
}
