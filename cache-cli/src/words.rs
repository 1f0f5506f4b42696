//! Reasons in plain words.

use cache_rustc::linker::Linker;

use crate::events::{Change, Event};

/// Why a unit was not cached at all.
pub(crate) fn through(why: &str) -> String {
    let (code, detail) = why.split_once(": ").unwrap_or((why, ""));
    let said = match code {
        "links" => "what is linked in this way is not cached",
        "no-store" => "the store could not be opened",
        "not-a-compiler" => "the command is no compiler that larder knows",
        "toolchain" => "the compiler could not be identified",
        "unknown-option" => "rustc was given an option that larder does not know",
        "unstable-option" => "rustc was given an unstable option that may do anything",
        "extern-unreadable" => "a dependency's file could not be read",
        "extern-without-path" => "a dependency is searched for, not named by path",
        "stdin-input" => "the source came from standard input",
        "internal-error" => "larder failed; please report this",
        _ => return format!("not cached: {why}"),
    };
    if detail.is_empty() {
        format!("not cached: {said}")
    } else {
        format!("not cached: {said} ({detail})")
    }
}

/// How to get a linker.
pub(crate) fn install(linker: Linker) -> &'static str {
    match linker {
        Linker::Wild => "install it (cargo install --locked wild-linker)",
        Linker::Mold => "install it (Debian: apt-get install mold)",
        Linker::Lld => "install it (Debian: apt-get install lld)",
    }
}

/// What differed from an earlier build of the same recipe.
pub(crate) fn change(change: &Change) -> String {
    let Change { kind, subject, how } = change;
    match kind.as_str() {
        "env" => format!("env {subject} {how}"),
        "root" => format!("the {subject} directory is another one: {how}"),
        "dir" => format!("directory {subject} {how}"),
        "variant" => match subject.as_str() {
            "diagnostics" => "it printed warnings, and they are to be shown in another way".into(),
            "environ" => "it read the whole environment, which is another one".into(),
            _ => format!("{subject} {how}"),
        },
        _ => format!("{subject} {how}"),
    }
}

/// Why a miss was not stored.
pub(crate) fn not_stored(event: &Event) -> Option<String> {
    let (code, detail) = event.not_stored.split_once(": ").unwrap_or((&event.not_stored, ""));
    let said = match code {
        "" => return None,
        "failed" => "it did not compile".into(),
        "edit-loop" => {
            "of a crate that is being edited, two states in half an hour are stored".into()
        }
        "read-only" => "larder was set to read only".into(),
        "store-read-only" => format!("the store cannot be written: {detail}"),
        "store-full" => format!("there is no room: {detail}"),
        _ => event.not_stored.clone(),
    };
    Some(format!("not stored: {said}"))
}

/// Which field of a recipe differs, and how.
pub(crate) fn field(name: &str, was: Option<&str>, is: Option<&str>) -> String {
    let values = match (was, is) {
        (Some(was), Some(is)) => format!("went from {was} to {is}"),
        (None, Some("")) => "is new".into(),
        (Some(""), None) => "is gone".into(),
        (None, Some(is)) => format!("is new: {is}"),
        (Some(was), None) => format!("is gone: {was}"),
        (None, None) => String::new(),
    };
    match name {
        "toolchain" => "the compiler is another one".into(),
        "native-cpu" => "the processor is another one".into(),
        "extern" => match (was, is) {
            (None, Some(is)) => format!("dependency {is} is new"),
            (Some(was), None) => format!("dependency {was} is gone"),
            _ => format!("dependency {values}"),
        },
        "cwd" => format!("the working directory {values}"),
        "input" => format!("the source file {values}"),
        "paths" | "remap" => format!("the path mode or mapping ({name}) {values}"),
        _ => match (name.strip_prefix("arg:"), name.strip_prefix("env:")) {
            (Some(arg), _) => format!("argument {arg} {values}"),
            (_, Some(env)) => format!("env {env} {values}"),
            _ => format!("{name} {values}"),
        },
    }
}
