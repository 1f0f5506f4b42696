//! From events and recipes to an explanation, through dependencies to the root.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cache_rustc::engine::SCRIPT_KIND;

use super::Fields;
use super::nearest::{Difference, nearest};
use crate::events::{Did, Event};
use crate::{text, words};

/// How far a chain of dependencies is followed.
const DEPTH: usize = 64;
/// How many differing fields are listed.
const FIELDS: usize = 6;

/// Explains events.
pub(super) struct Explainer<'a> {
    /// Everything known, oldest first.
    pub(super) events: &'a [Event],
    /// An event's recipe, where it is known.
    pub(super) recipes: &'a dyn Fn(&Event) -> Option<Fields>,
}

impl Explainer<'_> {
    /// The last build of each kind of the crate; `None` when there was none.
    pub(super) fn tell(&self, name: &str) -> Option<String> {
        let name = name.replace('-', "_");
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, event) in self.events.iter().enumerate() {
            // The run of a build script has its package's name, dashes and all.
            if event.crate_name.replace('-', "_") == name {
                last.insert(&event.kind, at);
            }
        }
        let mut out = String::new();
        for at in last.into_values() {
            let event = &self.events[at];
            let _ = writeln!(out, "{} ({}), {}:", event.unit, event.kind, text::ago(event.at));
            for line in self.reasons(at) {
                let _ = writeln!(out, "  {line}");
            }
            for fault in &event.faults {
                let _ = writeln!(out, "  trouble on the way: {fault}");
            }
        }
        (!out.is_empty()).then_some(out)
    }

    /// What became of the event at `at`, and why.
    fn reasons(&self, at: usize) -> Vec<String> {
        let event = &self.events[at];
        let mut reasons = match event.did {
            Did::Hit => vec![format!(
                "restored in {}; compiling it took {}",
                text::micros(event.us.total),
                text::micros(event.saved_us)
            )],
            Did::Through => vec![words::through(&event.why)],
            Did::Miss => match self.causes(at, 0) {
                (causes, _) if causes.len() == 1 => vec![format!("compiled: {}", causes[0])],
                (causes, than) => {
                    let than = than.map(text::ago).unwrap_or_default();
                    let mut lines = vec![format!(
                        "compiled: it differs from the nearest earlier build ({than}):"
                    )];
                    lines.extend(causes.iter().take(FIELDS).map(|cause| format!("  {cause}")));
                    if causes.len() > FIELDS {
                        lines.push(format!("  and in {} more fields", causes.len() - FIELDS));
                    }
                    lines
                }
            },
        };
        reasons.extend(words::not_stored(event));
        reasons
    }

    /// Why the miss at `at` was one, in one line.
    pub(super) fn cause(&self, at: usize) -> String {
        let causes = self.causes(at, 0).0;
        let more = if causes.len() > 2 { ", and more" } else { "" };
        format!("{}{more}", causes.iter().take(2).cloned().collect::<Vec<_>>().join(", and "))
    }

    /// Why a miss was one; with several causes, also when the build was that it is compared with.
    fn causes(&self, at: usize, depth: usize) -> (Vec<String>, Option<u64>) {
        let event = &self.events[at];
        let one = |cause: String| (vec![cause], None);
        match (event.why.as_str(), &event.change) {
            ("refresh", _) => one("larder was set to refresh".into()),
            ("damaged", _) => one(format!("what was stored could not be used: {}", event.detail)),
            (_, Some(change)) => one(words::change(change)),
            _ => self.new_recipe(at, depth),
        }
    }

    /// No record of the recipe: what differs from the nearest one.
    fn new_recipe(&self, at: usize, depth: usize) -> (Vec<String>, Option<u64>) {
        let event = &self.events[at];
        let Some(is) = (self.recipes)(event) else {
            return (vec!["nothing like it was stored".into()], None);
        };
        // A run of a build script has nothing in common with a compile.
        let is_run = |event: &Event| event.kind == SCRIPT_KIND;
        let earlier = self.events[..at].iter().rev().filter(|other| {
            other.crate_name == event.crate_name
                && is_run(other) == is_run(event)
                && !other.key.is_empty()
                && other.key != event.key
        });
        let earlier = earlier.filter_map(|other| Some((other.at, (self.recipes)(other)?)));
        let Some((than, differences)) = nearest(&is, earlier) else {
            return (vec!["it was never built before with this store".into()], None);
        };
        let causes = differences.iter().map(|differs| self.difference(at, differs, &is, depth));
        (causes.collect(), Some(than))
    }

    fn difference(&self, at: usize, differs: &Difference, is: &Fields, depth: usize) -> String {
        let Difference { name, was, is: now } = differs;
        let dependency = name.strip_prefix("extern:").filter(|_| was.is_some() && now.is_some());
        let Some(dependency) = dependency else {
            return words::field(name, was.as_deref(), now.as_deref());
        };
        let Some(built) = self.build_of(dependency, at, is).filter(|_| depth < DEPTH) else {
            return format!("extern {dependency} is another one");
        };
        let event = &self.events[built];
        match event.did {
            Did::Miss => {
                let causes = self.causes(built, depth + 1).0.join(", and ");
                format!("extern {dependency} was rebuilt because {causes}")
            }
            Did::Hit => format!("extern {dependency} was restored as an earlier version of it"),
            Did::Through => {
                format!(
                    "extern {dependency} was rebuilt differently ({})",
                    words::through(&event.why)
                )
            }
        }
    }

    /// The last event of a dependency before the one at `at`. The dependency's
    /// name here may be another than its crate's: its file's name says which unit it is.
    fn build_of(&self, dependency: &str, at: usize, fields: &Fields) -> Option<usize> {
        let unit = fields.iter().filter(|(name, _)| name == "extern").find_map(|(_, value)| {
            let path = value.strip_prefix(dependency)?.strip_prefix('=')?;
            let file = path.rsplit('/').next()?;
            let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            Some(stem.strip_prefix("lib").unwrap_or(stem))
        });
        let is_it = |event: &Event| match unit {
            Some(unit) => event.unit == unit,
            None => event.crate_name == dependency,
        };
        self.events[..at].iter().rposition(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Change;

    fn miss(name: &str, key: &str) -> Event {
        Event {
            crate_name: name.into(),
            unit: format!("{name}-1"),
            kind: "lib".into(),
            did: Did::Miss,
            why: "new".into(),
            key: key.into(),
            at: crate::events::now_us(),
            ..Event::default()
        }
    }

    fn changed(event: Event, kind: &str, subject: &str, how: &str) -> Event {
        let change = Change { kind: kind.into(), subject: subject.into(), how: how.into() };
        Event { why: "changed".into(), change: Some(change), ..event }
    }

    fn tell(events: &[Event], recipes: &[(&str, &[(&str, &str)])], name: &str) -> String {
        let lookup = |event: &Event| {
            let (_, fields) = recipes.iter().find(|(key, _)| *key == event.key)?;
            Some(fields.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect())
        };
        Explainer { events, recipes: &lookup }.tell(name).unwrap_or_default()
    }

    #[test]
    fn a_changed_input_is_named() {
        let events = [changed(miss("app", "k"), "file", "{workspace}/src/lib.rs", "changed")];
        let said = tell(&events, &[], "app");
        assert_eq!(said, "app-1 (lib), 0 s ago:\n  compiled: {workspace}/src/lib.rs changed\n");
        let events = [changed(miss("app", "k"), "env", "FOO", "went from unset to \"1\"")];
        assert!(tell(&events, &[], "app").contains("compiled: env FOO went from unset to \"1\""));
    }

    #[test]
    fn a_differing_field_is_named_with_both_values() {
        let events = [miss("app", "a"), miss("app", "b")];
        let recipes: [(&str, &[(&str, &str)]); 2] = [
            ("a", &[("crate", "app"), ("arg:-C opt-level", "0")]),
            ("b", &[("crate", "app"), ("arg:-C opt-level", "3")]),
        ];
        let said = tell(&events, &recipes, "app");
        assert!(said.contains("  compiled: argument -C opt-level went from 0 to 3\n"), "{said}");
    }

    #[test]
    fn the_run_of_a_build_script_is_compared_with_runs_alone() {
        let run = |key| Event { kind: SCRIPT_KIND.into(), ..miss("a-b", key) };
        let program = |key| Event { kind: "bin".into(), ..miss("a-b", key) };
        let events = [run("old"), program("near"), run("new")];
        let recipes: [(&str, &[(&str, &str)]); 3] = [
            ("old", &[("build-script", "1"), ("cwd", "x"), ("toolchain", "t")]),
            ("near", &[("build-script", "2"), ("cwd", "y"), ("toolchain", "u")]),
            ("new", &[("build-script", "2"), ("cwd", "y"), ("toolchain", "t")]),
        ];
        let said = tell(&events, &recipes, "a-b");
        assert!(said.contains("build-script went from 1 to 2"), "{said}");
        assert!(!said.contains("toolchain"), "{said}");
    }

    #[test]
    fn a_rebuilt_dependency_is_followed_to_the_root() {
        let extern_a =
            |digest: &'static str, unit: &'static str| [("extern:dep", digest), ("extern", unit)];
        let events = [
            miss("root", "r"),
            miss("mid", "m1"),
            miss("app", "a1"),
            changed(miss("root", "r"), "file", "{workspace}/root/src/lib.rs", "changed"),
            miss("mid", "m2"),
            miss("app", "a2"),
        ];
        let (m1, m2) = (
            extern_a("11", "dep={target}/libroot-1.rmeta"),
            extern_a("22", "dep={target}/libroot-1.rmeta"),
        );
        let (a1, a2) = (
            extern_a("33", "dep={target}/libmid-1.rmeta"),
            extern_a("44", "dep={target}/libmid-1.rmeta"),
        );
        let recipes: [(&str, &[(&str, &str)]); 4] =
            [("m1", &m1), ("m2", &m2), ("a1", &a1), ("a2", &a2)];
        let said = tell(&events, &recipes, "app");
        let want = "  compiled: extern dep was rebuilt because extern dep was rebuilt because \
                    {workspace}/root/src/lib.rs changed\n";
        assert!(said.contains(want), "{said}");
    }

    #[test]
    fn what_was_never_there_or_not_cached_or_restored_is_said() {
        let hit = Event { did: Did::Hit, saved_us: 2_000_000, ..miss("b", "k") };
        let through = Event { did: Did::Through, why: "links: bin".into(), ..miss("c", "") };
        let failed = Event { not_stored: "failed".into(), ..miss("d", "n") };
        let events = [miss("a_b", "n"), hit, through, failed];
        let recipes: [(&str, &[(&str, &str)]); 1] = [("n", &[("crate", "x")])];
        let said = |name| tell(&events, &recipes, name);
        assert!(said("a-b").contains("compiled: it was never built before with this store"));
        assert!(said("b").contains("restored in 0 µs; compiling it took 2.00 s"));
        assert!(said("c").contains("not cached: what is linked in this way is not cached (bin)"));
        assert!(said("d").contains("not stored: it did not compile"));
        assert_eq!(said("e"), "");
    }
}
