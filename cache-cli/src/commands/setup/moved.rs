//! What another cache was told, in larder's configuration file.

use anyhow::{Context, Result, bail};
use toml_edit::{DocumentMut, Item, Table, TableLike, Value, value};

use super::sccache::Theirs;
use crate::config::{Access, Origin, is_public};

/// Stands behind each value that was written.
const MARK: &str = " # from sccache";

/// The file's text with what sccache was told, as far as nothing is said there yet; `None` when nothing
/// is to be added. What a person needs to know besides goes into `notes`.
///
/// # Errors
/// When the text is no TOML, or has something else where a table should be.
pub(super) fn with(text: &str, theirs: &Theirs, notes: &mut Vec<String>) -> Result<Option<String>> {
    let mut document = parse(text)?;
    let mut changed = false;
    if let Some(size) = theirs.size().filter(|_| !document.contains_key("size")) {
        put(document.as_table_mut(), "size", &size.value);
        changed = true;
    }
    let (found, problems) = theirs.remote();
    notes.extend(problems.iter().map(ToString::to_string));
    let Some(found) = found else { return Ok(changed.then(|| document.to_string())) };
    if has_remote(&document) {
        notes
            .push("remote.url is set already and stays; sccache's remote is not taken over".into());
        return Ok(changed.then(|| document.to_string()));
    }
    let remote = table(document.as_table_mut(), "remote")?;
    put(remote, "url", &found.url.value);
    if found.access.value == Access::Read && !remote.contains_key("mode") {
        put(remote, "mode", Access::Read.name());
    }
    for (name, set) in &found.options {
        match set.origin {
            Origin::Env(variable) if !is_public(name) => notes.push(instead(variable, name)),
            _ => put(table(remote, "options")?, name, &set.value),
        }
    }
    Ok(Some(document.to_string()))
}

/// What to do about a secret that is in a variable, and is not to be in a file.
fn instead(variable: &str, option: &str) -> String {
    let ours = match option {
        "connection_string" => "AZURE_STORAGE_CONNECTION_STRING".to_owned(),
        option => format!("LARDER_REMOTE_OPTIONS=\"{option}=…\""),
    };
    format!("{variable} is a secret and not written to a file; from now on set {ours}")
}

/// The file's text without what [`with`] wrote; `None` when there is nothing of it.
///
/// # Errors
/// When the text is no TOML.
pub(super) fn without(text: &str) -> Result<Option<String>> {
    if !text.contains(MARK) {
        return Ok(None);
    }
    let mut document = parse(text)?;
    take(document.as_table_mut());
    if let Some(remote) = document.get_mut("remote").and_then(Item::as_table_like_mut) {
        take(remote);
        if let Some(options) = remote.get_mut("options").and_then(Item::as_table_like_mut) {
            take(options);
        }
        drop_empty(remote, "options");
    }
    drop_empty(document.as_table_mut(), "remote");
    Ok(Some(document.to_string()).filter(|new| new != text))
}

/// Values of options that are not to be shown, as they stand in a configuration file.
pub(super) fn secrets(text: &str) -> Vec<String> {
    let Ok(document) = text.parse::<DocumentMut>() else { return Vec::new() };
    let options = document.get("remote").and_then(|remote| remote.get("options"));
    let Some(options) = options.and_then(Item::as_table_like) else { return Vec::new() };
    let secret = options.iter().filter(|(name, _)| !is_public(name));
    secret
        .filter_map(|(_, item)| {
            let mut value = item.as_value()?.clone();
            value.decor_mut().clear();
            Some(value.to_string())
        })
        .collect()
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse::<DocumentMut>().context("not TOML; `larder config` says where")
}

fn has_remote(document: &DocumentMut) -> bool {
    document.get("remote").and_then(|remote| remote.get("url")).is_some()
}

/// A table, made if it is not there.
fn table<'t>(parent: &'t mut dyn TableLike, name: &str) -> Result<&'t mut dyn TableLike> {
    // A comment, such as the mark, has no place inside of braces.
    match parent.entry(name).or_insert_with(|| Item::Table(Table::new())) {
        Item::Table(table) => Ok(table),
        _ => bail!("write {name} as a table of its own, under [{name}]"),
    }
}

fn put(table: &mut dyn TableLike, key: &str, text: &str) {
    let mut item = value(text);
    if let Some(value) = item.as_value_mut() {
        value.decor_mut().set_suffix(MARK);
    }
    table.insert(key, item);
}

fn take(table: &mut dyn TableLike) {
    let marked = |value: &Value| {
        let suffix = value.decor().suffix().and_then(|text| text.as_str()).unwrap_or_default();
        suffix.trim_end().ends_with(MARK.trim_start())
    };
    let ours = table.iter().filter(|(_, item)| item.as_value().is_some_and(marked));
    let ours: Vec<String> = ours.map(|(key, _)| key.to_owned()).collect();
    for key in ours {
        table.remove(&key);
    }
}

fn drop_empty(table: &mut dyn TableLike, name: &str) {
    let empty = table.get(name).and_then(Item::as_table_like).is_some_and(TableLike::is_empty);
    if empty {
        table.remove(name);
    }
}
