//! Where a path begins and ends in a text that people read.
//!
//! A text does not say which bytes are a path, so there are three answers. Whoever takes a root
//! out of a text does so only on [`Edge::Yes`]; on [`Edge::Unsure`] the text is to be bound to the
//! root's value, which is right in either case.

/// Whether a path begins or ends at some place of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Edge {
    /// It does.
    Yes,
    /// It does not: these bytes are part of another, longer path.
    No,
    /// It cannot be told.
    Unsure,
}

impl Edge {
    /// Both, where each is needed: any `No` is `No`, then any `Unsure` is `Unsure`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unsure, _) | (_, Self::Unsure) => Self::Unsure,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

/// How an escape character is written: raw, in JSON (RFC 8259, section 7), as Rust's `Debug`
/// prints it, and as C and shell sources spell it.
const ESC: [&[u8]; 8] =
    [b"\x1b", br"\u001b", br"\u001B", br"\u{1b}", br"\x1b", br"\x1B", br"\033", br"\e"];

/// How far back a word is followed. A longer one is a path (the only word that long), and one that
/// repeats a root many times takes no quadratic time.
const MAX_WORD: usize = 256;

/// Whether an absolute path can begin after the bytes `before` (all of them from the start of the
/// text, or at least from the start of the line).
///
/// Yes after nothing, white space, an opening quote or bracket, `=`, `:`, `,`, `;`, a colour
/// sequence (`ESC [ 0 m`, which rustc puts right in front of file names, also in its JSON form), an
/// escaped line end (`\n`), a one-letter option (`-L/usr`), `@` and `file://`. No in the middle of
/// a path (`foo/src` for `/src`).
#[must_use]
pub fn path_begins(before: &[u8]) -> Edge {
    if let Some(edge) = after_escape(before) {
        return edge;
    }
    let Some(&last) = before.last() else {
        return Edge::Yes;
    };
    if last >= 0x80 {
        return mark_edge(last_char(before));
    }
    if is_name(last) || last == b'/' {
        return after_word(before);
    }
    match last {
        b'"' | b'\'' | b'`' | b'(' | b'[' | b'{' | b'<' | b'=' | b':' | b',' | b';' | b'|'
        | b'&' => Edge::Yes,
        b if b.is_ascii_control() || b == b' ' => Edge::Yes,
        _ => Edge::Unsure,
    }
}

/// Whether a path can end in front of the bytes `after`, which are all that follow it.
///
/// Yes before nothing, `/` (the path is a prefix), a control character, a quote, a closing
/// bracket, `:`, `,`, `;`, `=`, an escaped line end or colour sequence, and punctuation that ends
/// a sentence (`.` before white space or a quote). No before a letter or digit, or `.`, `-`, `+`,
/// `@` with one behind it (`/ws2`, `/ws.old`, `/ws-2`). A space is unsure: names have them.
#[must_use]
pub fn path_ends(after: &[u8]) -> Edge {
    let Some(&first) = after.first() else {
        return Edge::Yes;
    };
    let continues = after.get(1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    match first {
        b'/' | b':' | b',' | b';' | b'=' | b'|' | b'&' => Edge::Yes,
        b'.' | b'-' | b'+' | b'@' if continues => Edge::No,
        b'.' | b'!' | b'?' => {
            let stops =
                after.iter().take_while(|b| matches!(b, b'.' | b'!' | b'?' | b':' | b',' | b';'));
            let rest = &after[stops.count()..];
            if rest.first() == Some(&b' ') { Edge::Yes } else { closes(rest) }
        }
        b if b.is_ascii_alphanumeric() || b == b'_' => Edge::No,
        _ => closes(after),
    }
}

/// Whether what follows can only stand behind the end of a name: nothing, a control character, a
/// quote, a bracket, or one of these in an escaped form.
fn closes(after: &[u8]) -> Edge {
    match after.first() {
        None | Some(b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'<' | b'>') => Edge::Yes,
        Some(b) if b.is_ascii_control() => Edge::Yes,
        Some(b'\\') => closes_escaped(after),
        Some(b) if *b >= 0x80 => mark_edge(first_char(after)),
        Some(_) => Edge::Unsure,
    }
}

/// The same behind a backslash. A text may be escaped more than once, so there may be several.
fn closes_escaped(after: &[u8]) -> Edge {
    let slashes = after.iter().take_while(|b| **b == b'\\').count();
    let escape = &after[slashes - 1..];
    match escape.get(1) {
        Some(b'n' | b'r' | b't' | b'b' | b'f' | b'"' | b'\'') => Edge::Yes,
        _ if ESC.iter().any(|esc| escape.starts_with(esc)) => Edge::Yes,
        Some(b'u') => mark_edge(escape.get(2..6).and_then(unicode_escape)),
        _ => Edge::Unsure,
    }
}

/// The answer where an escape sequence ends right here, if one does.
fn after_escape(before: &[u8]) -> Option<Edge> {
    if let [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'] = before {
        return Some(Edge::Yes);
    }
    if let Some((_, [b'\\', b'u', digits @ ..])) = before.split_last_chunk::<6>() {
        return Some(mark_edge(unicode_escape(digits)));
    }
    // A colour sequence: ESC [ digits and semicolons, then `m`; GCC adds one that ends in `K`.
    let rest = before.strip_suffix(b"m").or_else(|| before.strip_suffix(b"K"))?;
    let params = rest.iter().rev().take_while(|b| b.is_ascii_digit() || **b == b';').count();
    let rest = rest[..rest.len() - params].strip_suffix(b"[")?;
    ESC.iter().any(|esc| rest.ends_with(esc)).then_some(Edge::Yes)
}

/// The answer behind a letter, digit, `/` or another byte that names are made of.
fn after_word(before: &[u8]) -> Edge {
    let longest = &before[before.len().saturating_sub(MAX_WORD)..];
    let len = longest.iter().rev().take_while(|b| is_name(**b) || **b == b'/').count();
    let (head, word) = before.split_at(before.len() - len);
    match word {
        b"@" => Edge::Yes,
        [b'-', letter] if letter.is_ascii_alphabetic() => Edge::Yes,
        [b'-', option @ ..] if !option.contains(&b'/') => Edge::Unsure,
        b"+" => Edge::Unsure,
        b"//" if head.ends_with(b"file:") => Edge::Yes,
        [b'/', b'/', ..] if head.ends_with(b"file:") => Edge::Unsure,
        _ if word.iter().all(|b| *b == b'/') && !head.ends_with(b":") => Edge::Unsure,
        _ => Edge::No,
    }
}

/// ASCII that is common in names of files.
const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'@' | b'~')
}

/// Yes for control characters and for quotation marks, arrows, box drawing and brackets beyond
/// ASCII, which diagnostics put around paths; anything else may belong to a name.
fn mark_edge(c: Option<char>) -> Edge {
    match c {
        Some(c) if c.is_control() => Edge::Yes,
        Some(
            '\u{a0}'
            | '«'
            | '»'
            | '\u{2010}'..='\u{205f}'
            | '\u{2190}'..='\u{2bff}'
            | '\u{3000}'..='\u{3020}',
        ) => Edge::Yes,
        _ => Edge::Unsure,
    }
}

fn unicode_escape(digits: &[u8]) -> Option<char> {
    let digits = std::str::from_utf8(digits).ok()?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

fn first_char(bytes: &[u8]) -> Option<char> {
    bytes[..bytes.len().min(4)].utf8_chunks().next()?.valid().chars().next()
}

fn last_char(bytes: &[u8]) -> Option<char> {
    // A character has at most four bytes; the first of them is no continuation byte.
    let tail = &bytes[bytes.len().saturating_sub(4)..];
    let start = tail.iter().rposition(|b| b & 0xc0 != 0x80)?;
    let mut chars = std::str::from_utf8(&tail[start..]).ok()?.chars();
    chars.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins() {
        let yes: &[&str] = &[
            "",
            " ",
            "\n",
            "\t",
            "\"",
            "'",
            "`",
            "(",
            "[",
            "<",
            "=",
            ":",
            ",",
            "in ",
            "-L",
            "-I",
            "a -L",
            "@",
            "file://",
            "path+file://",
            "\x1b[0m",
            "\x1b[1;38;5;12m",
            "\x1b[m\x1b[K",
            r"\u001b[0m",
            r"--> \u001b[0m",
            r"\u{1b}[0m",
            r"a\n",
            r"\t",
            r"\\n",
            "\u{2018}",
            "«",
            "→",
            "│",
            "─",
            "╭─[",
            r"\u2018",
            r"\u000a",
            "-Wl,",
        ];
        for before in yes {
            assert_eq!(path_begins(before.as_bytes()), Edge::Yes, "{before:?}");
        }
    }

    #[test]
    fn a_longer_path_goes_on() {
        for before in [
            "a",
            "foo",
            "../foo",
            "..",
            ".",
            "~",
            "/home",
            "x-L",
            "https://host",
            "https:/",
            "5m",
            "[0m",
            "\nfoo",
            "a/",
        ] {
            assert_eq!(path_begins(before.as_bytes()), Edge::No, "{before:?}");
        }
    }

    #[test]
    fn it_cannot_be_told_whether_a_path_begins() {
        for before in [
            "-isystem",
            "--sysroot",
            "é",
            "を",
            "/",
            " //",
            "$",
            "}",
            ")",
            "*",
            "\\",
            "+",
            "-",
            "file://host",
            r"\u00e9",
        ] {
            assert_eq!(path_begins(before.as_bytes()), Edge::Unsure, "{before:?}");
        }
        assert_eq!(path_begins(b"\xff"), Edge::Unsure);
        assert_eq!(path_begins(b"\x80\x80\x80\x80\x80"), Edge::Unsure);
    }

    #[test]
    fn a_path_ends() {
        let yes: &[&str] = &[
            "",
            "/",
            "/src",
            "\"",
            "'",
            "`",
            ")",
            "]",
            "}",
            ">",
            "\n",
            "\r\n",
            "\t",
            "\0",
            ":3:5",
            ":",
            ",",
            ";",
            "=/x",
            ".",
            ". ",
            ".\n",
            ".\"",
            ".)",
            "...",
            "?",
            "!\n",
            ".,",
            ".:",
            r"\n",
            r"\n/x",
            r#"\""#,
            r#"\\\""#,
            r"\\n",
            "\x1b[0m",
            r"\u001b[0m",
            r".\u001b[0m",
            r"\u{1b}[0m",
            "\u{2019}",
            "»",
            "…",
            r"\u2019",
            r"\u000a",
        ];
        for after in yes {
            assert_eq!(path_ends(after.as_bytes()), Edge::Yes, "{after:?}");
        }
    }

    #[test]
    fn a_name_goes_on() {
        for after in ["2", "a", "_x", "-2", "-2/x", ".old", ".rs", "+b", "@v1", "s"] {
            assert_eq!(path_ends(after.as_bytes()), Edge::No, "{after:?}");
        }
    }

    #[test]
    fn it_cannot_be_told_whether_a_path_ends() {
        for after in [
            " ", " 2/src", r"\ 2", r"\#", "-", "--", "~", "(1)", "é", "\u{301}", "を", "$", "#",
            "../x", r"\u00e9", r"\", r"\u",
        ] {
            assert_eq!(path_ends(after.as_bytes()), Edge::Unsure, "{after:?}");
        }
        assert_eq!(path_ends(b"\xff"), Edge::Unsure);
        assert_eq!(path_ends(b"\xe2\x80"), Edge::Unsure);
    }
}
