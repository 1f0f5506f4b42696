//! `LARDER_LOG`: one line of `key=value` pairs per invocation.
//!
//! Values with spaces are in double quotes. `start_us` counts from the entry of `main`: what the
//! kernel and the dynamic loader take before that, and what exiting takes, is not in the figures.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::events::{Did, Event};

/// Adds the line; trouble is ignored.
pub(super) fn append(log: &Path, event: &Event) {
    let line = line(event);
    if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(log) {
        let _ = file.write_all(line.as_bytes());
    }
}

fn line(event: &Event) -> String {
    let mut line = String::with_capacity(256);
    let did = match event.did {
        Did::Hit => "hit",
        Did::Miss => "miss",
        Did::Through => "through",
    };
    pair(&mut line, "crate", &event.crate_name);
    pair(&mut line, "unit", &event.unit);
    pair(&mut line, "kind", &event.kind);
    pair(&mut line, "result", did);
    let change = event.change.as_ref();
    let why = change.map(|change| format!("{}: {} {}", event.why, change.subject, change.how));
    pair(&mut line, "reason", why.as_deref().unwrap_or(&event.why));
    if !event.not_stored.is_empty() {
        pair(&mut line, "not_stored", &event.not_stored);
    }
    if !event.remote.is_empty() {
        pair(&mut line, "remote", &event.remote);
    }
    if !event.sent.is_empty() {
        pair(&mut line, "sent", &event.sent);
    }
    if event.sent_files > 0 {
        pair(&mut line, "sent_files", &event.sent_files.to_string());
    }
    for lacked in &event.lacked {
        pair(&mut line, "lacked", lacked);
    }
    let times = &event.us;
    for (name, us) in [
        ("start", times.start),
        ("key", times.key),
        ("check", times.check),
        ("restore", times.restore),
        ("run", times.run),
        ("store", times.store),
        ("wait", times.wait),
        ("total", times.total),
    ] {
        let _ = write!(line, " {name}_us={us}");
    }
    for fault in &event.faults {
        pair(&mut line, "fault", fault);
    }
    line.push('\n');
    line
}

fn pair(line: &mut String, key: &str, value: &str) {
    let space = if line.is_empty() { "" } else { " " };
    let plain = !value.is_empty()
        && value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    let _ = if plain {
        write!(line, "{space}{key}={value}")
    } else {
        write!(line, "{space}{key}={value:?}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Times;

    #[test]
    fn a_line_is_pairs_with_all_times() {
        let event = Event {
            crate_name: "serde".into(),
            unit: "serde-1f".into(),
            kind: "lib".into(),
            why: "links: bin".into(),
            us: Times { start: 1, total: 9, ..Times::default() },
            faults: vec!["a \"b\"\nc".into()],
            ..Event::default()
        };
        assert_eq!(
            line(&event),
            "crate=serde unit=serde-1f kind=lib result=through reason=\"links: bin\" start_us=1 \
             key_us=0 check_us=0 restore_us=0 run_us=0 store_us=0 wait_us=0 total_us=9 \
             fault=\"a \\\"b\\\"\\nc\"\n"
        );
    }
}
