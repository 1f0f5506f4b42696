//! Paths and texts with the place taken out: they come back, and stay in their roots.

use cache_core::{RootName, Roots, Template, TextTemplate};

/// Path components and what stands around paths in diagnostics.
pub const WORDS: &[&[u8]] = &[
    b"/ws",
    b"/ws/target",
    b"/..",
    b"/.",
    b"//",
    b"\0",
    b"\x1b[0m",
    b"\\u001b[0m",
    b"\\n",
    b"file://",
    b"-L",
    b". ",
    b":3:5",
    b"\"",
    b"\\",
    b"\xff",
    b"\xe2\x80\x99",
];

/// NUL-separated: up to four paths of roots, then a path, then a text (which may hold NULs).
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(6, |b| *b == 0);
    let mut roots = Roots::new();
    for (index, path) in parts.by_ref().take(4).enumerate() {
        if let Ok(name) = RootName::new(format!("root{index}")) {
            let _ = roots.add(name, path);
        }
    }
    let path = parts.next().unwrap_or_default();
    check_path(&roots, path);
    for (_, root) in roots.iter() {
        check_path(&roots, &[root, path].concat());
    }
    check_hostile(&roots, path);
    let text = parts.next().unwrap_or(data);
    check_text(&roots, text, <[u8]>::to_vec);
    check_text(&roots, text, json);
}

fn check_path(roots: &Roots, path: &[u8]) {
    let template = roots.template(path);
    assert_eq!(roots.expand(&template).as_deref(), Some(path));
}

/// Whatever a record says, what expands lies below the root.
fn check_hostile(roots: &Roots, rest: &[u8]) {
    for (name, root) in roots.iter() {
        let template = Template::Rooted { root: name.clone(), rest: rest.to_vec() };
        let Some(path) = roots.expand(&template) else { continue };
        let below = path.strip_prefix(root).expect("a path below its root");
        assert!(below.is_empty() || below[0] == b'/');
        let mut depth = 0_i64;
        for part in below.split(|b| *b == b'/') {
            depth += match part {
                b"" | b"." => 0,
                b".." => -1,
                _ => 1,
            };
            assert!(depth >= 0, "out of its root");
        }
    }
}

fn check_text(roots: &Roots, text: &[u8], escape: fn(&[u8]) -> Vec<u8>) {
    let (template, unsure) = TextTemplate::locate(text, roots, escape);
    assert_eq!(template.expand(roots, escape).as_deref(), Some(text));
    assert!(unsure.iter().all(|name| roots.get(name).is_some()));
}

fn json(path: &[u8]) -> Vec<u8> {
    let escape = |b: &u8| if matches!(b, b'"' | b'\\') { vec![b'\\', *b] } else { vec![*b] };
    path.iter().flat_map(escape).collect()
}
