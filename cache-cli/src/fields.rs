//! A recipe's fields as text, for people.

use cache_core::Recipe;

/// The fields with their values as text.
pub(crate) fn named(recipe: &Recipe) -> Vec<(String, String)> {
    let fields = recipe.fields().iter();
    fields.map(|field| (field.name.clone(), value(&field.name, &field.value))).collect()
}

/// A value as text: words as they are, templates as `{root}/path`, a digest by its first digits,
/// anything else as its escaped bytes. What a value is, its name says: see the engine's recipe.
fn value(name: &str, bytes: &[u8]) -> String {
    let known = match name {
        "extern" => dependency(bytes),
        "cwd" | "input" | "out-dir" | "linker" => template(bytes),
        _ if name.starts_with("arg:") => pieces(bytes).or_else(|| piece(bytes)),
        _ => None,
    };
    if let Some(text) = known.or_else(|| printable(bytes).map(str::to_owned)) {
        return text;
    }
    if bytes.len() == 32 {
        let digits: String = bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        return format!("{digits}…");
    }
    bytes.escape_ascii().to_string()
}

/// A piece of an argument: `t` and a text, or a template.
fn piece(bytes: &[u8]) -> Option<String> {
    template(bytes).or_else(|| printable(bytes.strip_prefix(b"t")?).map(str::to_owned))
}

/// Several pieces, each after its length as a little-endian `u64`.
fn pieces(mut bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (first, rest) = rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)?;
        text += &piece(first)?;
        bytes = rest;
    }
    Some(text)
}

/// Four flags, the name, a NUL, and the file: `serde={target}/debug/deps/libserde-1f.rmeta`.
fn dependency(bytes: &[u8]) -> Option<String> {
    let (name, path) = split(bytes.get(4..)?)?;
    Some(format!("{}={}", printable(name)?, template(path).unwrap_or_default()))
}

/// [`cache_core::Template::to_bytes`] read back.
fn template(bytes: &[u8]) -> Option<String> {
    if let Some(path) = bytes.strip_prefix(b"p") {
        return printable(path).map(str::to_owned);
    }
    let (root, rest) = split(bytes.strip_prefix(b"r")?)?;
    Some(format!("{{{}}}{}", printable(root)?, printable(rest)?))
}

/// What stands before and after the first NUL.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn printable(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_value_is_readable() {
        let mut recipe = Recipe::new();
        recipe.push("crate", "demo");
        recipe.push("toolchain", [0xab; 32]);
        recipe.push("cwd", "rworkspace\0/sub");
        recipe.push("arg:-C opt-level", "t3");
        recipe.push("arg:-C linker", "p/usr/bin/ld");
        recipe.push("arg:-L", "\x0c\0\0\0\0\0\0\0tdependency=\x0d\0\0\0\0\0\0\0rtarget\0/deps");
        recipe.push("extern", "1000serde\0rtarget\0/deps/libserde-1f.rmeta");
        recipe.push("odd", [0xff, 0]);
        let texts: Vec<_> = named(&recipe).into_iter().map(|(_, text)| text).collect();
        let want = [
            "demo",
            "abababababab…",
            "{workspace}/sub",
            "3",
            "/usr/bin/ld",
            "dependency={target}/deps",
            "serde={target}/deps/libserde-1f.rmeta",
            "\\xff\\x00",
        ];
        assert_eq!(texts, want);
    }
}
