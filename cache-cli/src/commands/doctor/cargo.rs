//! Whether cargo uses larder here.

use std::ffi::OsStr;
use std::path::Path;

use super::Finding;
use crate::cargo_config::{self, Wrapper};

pub(super) fn look() -> Vec<Finding> {
    let Ok(cwd) = std::env::current_dir() else { return Vec::new() };
    let env = |name: &str| std::env::var_os(name);
    let mut findings = vec![wrapper(&cargo_config::wrappers(&cwd, &env))];
    if env("CARGO_INCREMENTAL").is_some_and(|value| value == "1") {
        let said = "CARGO_INCREMENTAL=1: also release builds write incremental data";
        let fix = "unset it, or set it to 0: it costs room, and hits do not use it";
        findings.push(Finding::note("cargo", said, fix));
    }
    findings
}

fn wrapper(found: &[Wrapper]) -> Finding {
    let Some(first) = found.first() else {
        let fix = "run `larder setup`, or set RUSTC_WRAPPER for single builds";
        return Finding::note("cargo", "does not use larder here", fix);
    };
    let ours = |wrapper: &Wrapper| is_larder(&wrapper.value);
    if ours(first) {
        return Finding::fine("cargo", format!("uses larder here ({})", first.source));
    }
    let value = first.value.display();
    let said = if first.value.is_empty() {
        format!("uses no wrapper here ({} is empty)", first.source)
    } else {
        format!("uses {value} here ({})", first.source)
    };
    match found.iter().find(|wrapper| ours(wrapper)) {
        Some(hidden) => {
            let said = format!("{said}, which wins over larder ({})", hidden.source);
            Finding::broken("cargo", said, format!("take {} away", first.source))
        }
        None => Finding::note("cargo", said, "cargo takes one wrapper; see `larder setup`"),
    }
}

fn is_larder(program: &OsStr) -> bool {
    let path = Path::new(program);
    path.file_stem() == Some(OsStr::new("larder"))
        || std::env::current_exe().is_ok_and(|own| own == path)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn level(values: &[&str]) -> Level {
        let wrappers =
            values.iter().map(|value| Wrapper { value: value.into(), source: "somewhere".into() });
        wrapper(&wrappers.collect::<Vec<_>>()).level
    }

    #[test]
    fn what_hides_larder_is_broken() {
        assert_eq!(level(&[]), Level::Note);
        assert_eq!(level(&["/opt/larder"]), Level::Fine);
        assert_eq!(level(&["sccache"]), Level::Note);
        assert_eq!(level(&["sccache", "/opt/larder"]), Level::Broken);
        assert_eq!(level(&["", "/opt/larder"]), Level::Broken);
        assert_eq!(level(&["larder", "sccache"]), Level::Fine);
    }
}
