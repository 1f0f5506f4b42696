//! `build.rustc-wrapper` in cargo's configuration.

use std::ffi::OsStr;

use anyhow::{Context, Result, bail};
use toml_edit::{DocumentMut, Item, Table, Value, value};

use super::is;

const KEY: &str = "rustc-wrapper";
/// Stands before the wrapper that was there before, in a comment behind the new one.
const WAS: &str = " # was ";

/// The file's text with larder as wrapper; `None` when it is so already. `from` names a wrapper whose
/// place larder may take; it is noted behind the new one.
///
/// # Errors
/// When the text is no TOML, or names another wrapper.
pub(super) fn with(text: &str, larder: &str, from: Option<&str>) -> Result<Option<String>> {
    let mut document = parse(text)?;
    let other = wrapper(&document);
    if other.as_deref() == Some(larder) {
        return Ok(None);
    }
    let replaces = |other: &str| from.is_some_and(|from| is(from, OsStr::new(other)));
    if let Some(other) = &other
        && !is("larder", OsStr::new(other))
        && !replaces(other)
    {
        let hint = match is("sccache", OsStr::new(other)) {
            true => "run `larder setup --from sccache` to put larder in its place",
            false => "remove that line to use larder instead",
        };
        bail!(
            "build.{KEY} is \"{other}\" already, and cargo takes one wrapper; {hint}, or set \
             RUSTC_WRAPPER={larder} to use it for some builds"
        );
    }
    let inline = document.get("build").is_some_and(Item::is_inline_table);
    if inline && other.as_deref().is_some_and(replaces) {
        bail!("there is no room for a note of what was there before; write build as [build]");
    }
    let build = document.entry("build").or_insert_with(|| Item::Table(Table::new()));
    let Some(build) = build.as_table_like_mut() else {
        bail!("build is not a table; write it as [build]");
    };
    match build.get_mut(KEY).and_then(Item::as_value_mut) {
        // Keeps what stands around the value, such as a comment behind it.
        Some(old) => {
            let mut decor = old.decor().clone();
            if let Some(other) = other.filter(|other| replaces(other)) {
                let before = decor.suffix().and_then(|text| text.as_str()).unwrap_or_default();
                let after = format!("{before}{WAS}{}", Value::from(other));
                decor.set_suffix(after);
            }
            *old = larder.into();
            *old.decor_mut() = decor;
        }
        None => {
            build.insert(KEY, value(larder));
        }
    }
    Ok(Some(document.to_string()))
}

/// The file's text without larder as wrapper, and with the one that was there before; `None` when larder
/// is none.
///
/// # Errors
/// When the text is no TOML.
pub(super) fn without(text: &str, larder: &str) -> Result<Option<String>> {
    let mut document = parse(text)?;
    match wrapper(&document) {
        Some(ours) if ours == larder || is("larder", OsStr::new(&ours)) => {}
        _ => return Ok(None),
    }
    if let Some(build) = document.get_mut("build").and_then(Item::as_table_like_mut)
        && !restore(build.get_mut(KEY))
    {
        build.remove(KEY);
    }
    let bare = document.get("build").and_then(Item::as_table).is_some_and(|table| {
        let around = table.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
        table.is_empty() && around.trim().is_empty()
    });
    if bare {
        document.remove("build");
    }
    Ok(Some(document.to_string()))
}

/// Puts back the wrapper that is noted behind this one, if one is.
fn restore(item: Option<&mut Item>) -> bool {
    let Some(ours) = item.and_then(Item::as_value_mut) else { return false };
    let mut decor = ours.decor().clone();
    let suffix = decor.suffix().and_then(|text| text.as_str()).unwrap_or_default();
    let Some((before, was)) = suffix.rsplit_once(WAS) else { return false };
    let Ok(was) = was.trim().parse::<Value>() else { return false };
    let before = before.to_owned();
    decor.set_suffix(before);
    *ours = was;
    *ours.decor_mut() = decor;
    true
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse::<DocumentMut>().context("not TOML; cargo cannot read it either")
}

fn wrapper(document: &DocumentMut) -> Option<String> {
    Some(document.get("build")?.get(KEY)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARDER: &str = "/opt/bin/larder";
    const SCCACHE: Option<&str> = Some("sccache");

    fn round(text: &str, from: Option<&str>) -> String {
        let with = with(text, LARDER, from).expect("understood").expect("a change");
        assert_eq!(super::with(&with, LARDER, from).expect("understood"), None, "done already");
        assert!(with.contains(&format!("rustc-wrapper = \"{LARDER}\"")), "{with}");
        without(&with, LARDER).expect("understood").expect("a change")
    }

    #[test]
    fn setting_and_undoing_leaves_the_file_as_it_was() {
        for text in [
            "",
            "# mine\n[net]\nretry = 3 # often\n",
            "[build] # here\njobs = 2\n\n# last\n[net]\nretry = 3\n",
            "build = { jobs = 2 }\n",
            "build.jobs = 2\n",
        ] {
            assert_eq!(round(text, None), text);
            assert_eq!(round(text, SCCACHE), text);
        }
    }

    #[test]
    fn another_wrapper_stays_unless_it_is_to_be_replaced() {
        let text = "[build]\nrustc-wrapper = \"sccache\"\n";
        let error = with(text, LARDER, None).expect_err("refused").to_string();
        assert!(error.contains("build.rustc-wrapper is \"sccache\" already"), "{error}");
        assert!(error.contains("larder setup --from sccache"), "{error}");
        assert_eq!(without(text, LARDER).expect("understood"), None);
        let text = "[build]\nrustc-wrapper = \"kache\"\n";
        assert!(with(text, LARDER, SCCACHE).is_err());
        let text = "build = { rustc-wrapper = \"sccache\" }\n";
        let error = with(text, LARDER, SCCACHE).expect_err("refused").to_string();
        assert!(error.contains("write build as [build]"), "{error}");
    }

    #[test]
    fn a_replaced_wrapper_comes_back_as_it_was() {
        for text in [
            "[build]\nrustc-wrapper = \"/usr/bin/sccache\"\njobs = 2\n",
            "[build]\nrustc-wrapper = \"sccache\" # fast # was it?\n",
            "[build]\nrustc-wrapper = 'C:\\bin \"x\"/sccache'\n",
        ] {
            let back = round(text, SCCACHE);
            let (was, is) =
                (wrapper(&parse(text).expect("TOML")), wrapper(&parse(&back).expect("TOML")));
            assert_eq!(is, was);
            if !text.contains('\'') {
                assert_eq!(back, text);
            }
        }
    }

    #[test]
    fn another_larder_is_replaced_with_the_comment_kept() {
        let text = "[build]\nrustc-wrapper = \"/old/larder\" # why\n";
        let new = with(text, LARDER, None).expect("understood").expect("a change");
        assert_eq!(new, format!("[build]\nrustc-wrapper = \"{LARDER}\" # why\n"));
    }
}
