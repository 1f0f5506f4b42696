//! Texts (diagnostics, dep-info, build script output) with the place taken out.

use std::cmp::Reverse;

use memchr::memmem::Finder;

use crate::boundary::{Edge, path_begins, path_ends};
use crate::{RootName, Roots};

/// A piece of a [`TextTemplate`].
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Segment {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// The path of a root, in the text's own escaping.
    Root(RootName),
}

/// A text in which the paths of roots are replaced by their names.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct TextTemplate {
    /// The pieces in order. Adjacent texts are merged.
    pub segments: Vec<Segment>,
}

impl TextTemplate {
    /// A text with no place in it.
    #[must_use]
    pub fn plain(text: &[u8]) -> Self {
        let segments =
            if text.is_empty() { Vec::new() } else { vec![Segment::Text(text.to_vec())] };
        Self { segments }
    }

    /// [`TextTemplate::locate`] without the list of roots that the text is bound to. Enough where
    /// the text is compared (what was not taken out makes it differ), not where it is replayed.
    #[must_use]
    pub fn new(text: &[u8], roots: &Roots, escape: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        Self::locate(text, roots, escape).0
    }

    /// Replaces each occurrence of a root's path in `text`, deepest root first, where the text
    /// around it says that a path begins and ends or goes on with `/` (see
    /// [`path_begins`] and [`path_ends`]): `/ws` is taken out of `/ws/src`, `"/ws"`,
    /// `in /ws.` and `/ws:3`, and left in `/ws2`, `/ws-2` and `/home/ws`.
    /// [`TextTemplate::expand`] with the same roots and escaping gives back exactly `text`.
    ///
    /// `escape` gives the form a path has inside this text (identity, or JSON escaping).
    ///
    /// Also gives the roots, in order, of which it could not be told whether the text names them
    /// (`/ws (1)`, `-isystem/ws`, or the unescaped path in an escaped text). The text holds only
    /// where these are what they are now: an outcome that keeps it must have
    /// [`Fact::Bound`](crate::Fact::Bound) for each.
    #[must_use]
    pub fn locate(
        text: &[u8],
        roots: &Roots,
        escape: impl Fn(&[u8]) -> Vec<u8>,
    ) -> (Self, Vec<RootName>) {
        let mut matches = Vec::new();
        let mut unsure = vec![false; roots.iter().count()];
        for (index, (_, path)) in roots.iter().enumerate() {
            let needle = escape(path);
            for (at, edge) in occurrences(text, &needle) {
                match edge {
                    Edge::Yes => matches.push((at, Reverse(needle.len()), index)),
                    Edge::No => {}
                    Edge::Unsure => unsure[index] = true,
                }
            }
            if needle != path && occurrences(text, path).any(|(_, edge)| edge != Edge::No) {
                unsure[index] = true;
            }
        }
        matches.sort_unstable();

        let names: Vec<&RootName> = roots.iter().map(|(name, _)| name).collect();
        let mut segments = Vec::new();
        let mut done = 0;
        for (at, Reverse(len), index) in matches {
            if at < done {
                // Within a path that was taken out it goes with it; across its end it stays.
                unsure[index] |= at + len > done;
                continue;
            }
            push_text(&mut segments, &text[done..at]);
            segments.push(Segment::Root(names[index].clone()));
            done = at + len;
        }
        push_text(&mut segments, &text[done..]);
        let unsure = names.into_iter().zip(unsure).filter(|(_, unsure)| *unsure);
        (Self { segments }, unsure.map(|(name, _)| name.clone()).collect())
    }

    /// The text with this place's paths. `None` when a root is not known here.
    #[must_use]
    pub fn expand(&self, roots: &Roots, escape: impl Fn(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text),
                Segment::Root(name) => out.extend_from_slice(&escape(roots.get(name)?)),
            }
        }
        Some(out)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }
}

/// Every place where `needle` occurs, overlapping ones too, and whether it is a path there.
fn occurrences<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = (usize, Edge)> + 'a {
    let finder = Finder::new(needle);
    let mut from = 0;
    std::iter::from_fn(move || {
        if needle.is_empty() {
            return None;
        }
        let at = from + finder.find(text.get(from..)?)?;
        from = at + 1;
        Some((at, path_begins(&text[..at]).and(path_ends(&text[at + needle.len()..]))))
    })
}

fn push_text(segments: &mut Vec<Segment>, text: &[u8]) {
    if !text.is_empty() {
        segments.push(Segment::Text(text.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(list: &[(&'static str, &str)]) -> Roots {
        let mut roots = Roots::new();
        for (name, path) in list {
            roots.add(RootName::new(*name).unwrap(), path.as_bytes()).unwrap();
        }
        roots
    }

    fn identity(path: &[u8]) -> Vec<u8> {
        path.to_vec()
    }

    /// What the text becomes (`{name}` for a root), and the roots it is bound to.
    fn show(text: &str, roots: &Roots) -> (String, String) {
        let (template, unsure) = TextTemplate::locate(text.as_bytes(), roots, identity);
        assert_eq!(template.expand(roots, identity).unwrap(), text.as_bytes());
        let shown = template.segments.iter().map(|segment| match segment {
            Segment::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Segment::Root(name) => format!("{{{name}}}"),
        });
        let unsure: Vec<&str> = unsure.iter().map(RootName::as_str).collect();
        (shown.collect(), unsure.join(" "))
    }

    #[test]
    fn roots_are_taken_out_where_they_are_paths() {
        let roots = roots(&[("ws", "/ws")]);
        for (text, want) in [
            ("/ws", "{ws}"),
            ("in /ws.", "in {ws}."),
            ("in /ws. Then", "in {ws}. Then"),
            ("/ws:3:5", "{ws}:3:5"),
            ("(/ws)", "({ws})"),
            ("/ws/a:/ws/b /ws/", "{ws}/a:{ws}/b {ws}/"),
            ("-L/ws/lib", "-L{ws}/lib"),
            ("\x1b[0m/ws/src/lib.rs:1:1\x1b[0m", "\x1b[0m{ws}/src/lib.rs:1:1\x1b[0m"),
            (r#""rendered":"a\n/ws\u001b[0m/ws/x""#, r#""rendered":"a\n{ws}\u001b[0m{ws}/x""#),
        ] {
            assert_eq!(show(text, &roots), (want.to_owned(), String::new()), "{text}");
        }
    }

    #[test]
    fn other_paths_are_left_alone() {
        let roots = roots(&[("ws", "/ws")]);
        for text in ["/ws2", "/ws-2/x", "/ws.old", "/home/ws", "a/ws/b", "../ws", "https://ws/x"] {
            assert_eq!(show(text, &roots), (text.to_owned(), String::new()));
        }
    }

    #[test]
    fn what_cannot_be_told_binds() {
        let roots = roots(&[("ws", "/ws")]);
        for text in ["/ws 2/src", "/ws (1)", "-isystem/ws/x", r"/ws\ 2/src", "/wsé", "//ws/x"] {
            assert_eq!(show(text, &roots), (text.to_owned(), "ws".to_owned()));
        }
    }

    #[test]
    fn the_deepest_root_wins_and_the_first_of_equals() {
        let roots = roots(&[("ws", "/ws"), ("target", "/ws/target"), ("other", "/ws")]);
        assert_eq!(show("/ws/target/x /ws/src", &roots).0, "{target}/x {ws}/src");
        assert_eq!(show("/ws/target2 /ws/target-2", &roots).0, "{ws}/target2 {ws}/target-2");
    }

    #[test]
    fn what_follows_a_root_is_no_beginning() {
        // A container's checkout in `/src`: the `/src` of another root's file is not it.
        let roots = roots(&[("ws", "/home/me/ws"), ("src", "/src")]);
        assert_eq!(show("/home/me/ws/src/lib.rs", &roots).0, "{ws}/src/lib.rs");
        assert_eq!(show("--> a/src/lib.rs", &roots), ("--> a/src/lib.rs".into(), String::new()));
    }

    #[test]
    fn the_escaped_form_is_found_and_the_raw_one_binds() {
        let roots = roots(&[("ws", "/w\"s")]);
        let escape = |path: &[u8]| String::from_utf8_lossy(path).replace('"', "\\\"").into_bytes();
        let (template, unsure) = TextTemplate::locate(br#"{"a":"/w\"s/x"}"#, &roots, escape);
        assert_eq!((template.segments.len(), unsure.len()), (3, 0));
        let (template, unsure) = TextTemplate::locate(br#"{"a":"/w"s/x"}"#, &roots, escape);
        assert_eq!((template.segments.len(), unsure.len()), (1, 1));
    }

    #[test]
    fn paths_that_overlap_bind() {
        let roots = roots(&[("a", "/x =/y"), ("b", "/y/z")]);
        assert_eq!(show("/x =/y/z", &roots), ("{a}/z".into(), "b".into()));
    }

    #[test]
    fn an_unknown_root_does_not_expand() {
        let ws = roots(&[("ws", "/ws")]);
        let template = TextTemplate::new(b"/ws/x", &ws, identity);
        assert_eq!(template.expand(&Roots::new(), identity), None);
        assert_eq!(TextTemplate::plain(b"").expand(&Roots::new(), identity), Some(Vec::new()));
    }
}
