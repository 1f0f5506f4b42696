//! Dependency information (`.d`) without its place.
//!
//! A `.d` file has two escapings in one text, so it is taken apart, its paths get markers instead
//! of roots, and it is put together again; between the markers is plain text. Values of `env-dep`
//! lines are this checkout's own: the observation has shown that they are the same, or name the
//! same place.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use cache_core::{RootName, Segment, Template, TextTemplate};

use super::unit::Unit;
use crate::dep_info::DepInfo;

const OPEN: u8 = 0x01;
const CLOSE: u8 = 0x02;

/// The template of a dep-info file as rustc wrote it for this unit.
///
/// `None` when it does not parse, or has bytes that are used as markers: it cannot be stored then.
#[must_use]
pub(super) fn template(info: &DepInfo, unit: &Unit) -> Option<TextTemplate> {
    let mut clean = true;
    // Values may be secret, and are not needed: this checkout's own are put in.
    let mut info = info.clone();
    info.env.iter_mut().for_each(|dep| dep.value = None);
    let marked = info.map_paths(|path| {
        clean &= !path.iter().any(|b| matches!(*b, OPEN | CLOSE));
        mark(&unit.place.roots.template(path))
    });
    let text = marked.render();
    clean.then(|| TextTemplate { segments: segments(&text) })
}

/// The dep-info file for this unit.
#[must_use]
pub(super) fn expand(text: &TextTemplate, unit: &Unit) -> Option<Vec<u8>> {
    let mut marked = Vec::new();
    for segment in &text.segments {
        match segment {
            Segment::Text(text) => marked.extend_from_slice(text),
            Segment::Root(name) => {
                marked.push(OPEN);
                marked.extend_from_slice(name.as_str().as_bytes());
                marked.push(CLOSE);
            }
        }
    }
    let mut known = true;
    let mut local = DepInfo::parse(&marked).ok()?.map_paths(|path| {
        unmark(path).and_then(|template| unit.place.roots.expand(&template)).unwrap_or_else(|| {
            known = false;
            Vec::new()
        })
    });
    for dep in &mut local.env {
        dep.value =
            unit.env.get(OsStr::from_bytes(&dep.name)).map(|value| value.as_bytes().to_vec());
    }
    known.then(|| local.render())
}

fn mark(template: &Template) -> Vec<u8> {
    match template {
        Template::Plain(path) => path.clone(),
        Template::Rooted { root, rest } => {
            [&[OPEN], root.as_str().as_bytes(), &[CLOSE], rest].concat()
        }
    }
}

fn unmark(path: &[u8]) -> Option<Template> {
    let Some(rest) = path.strip_prefix(&[OPEN]) else {
        return Some(Template::Plain(path.to_vec()));
    };
    let close = rest.iter().position(|b| *b == CLOSE)?;
    let root = RootName::new(String::from_utf8(rest[..close].to_vec()).ok()?).ok()?;
    Some(Template::Rooted { root, rest: rest[close + 1..].to_vec() })
}

fn segments(text: &[u8]) -> Vec<Segment> {
    let mut out = Vec::new();
    for (at, part) in text.split(|b| *b == OPEN).enumerate() {
        let name_end = if at == 0 { None } else { part.iter().position(|b| *b == CLOSE) };
        let name = name_end
            .and_then(|end| String::from_utf8(part[..end].to_vec()).ok())
            .and_then(|name| RootName::new(name).ok());
        let plain = match (name, name_end) {
            (Some(name), Some(end)) => {
                out.push(Segment::Root(name));
                &part[end + 1..]
            }
            _ => part,
        };
        if !plain.is_empty() {
            out.push(Segment::Text(plain.to_vec()));
        }
    }
    out
}
