//! Units that are being put in place while others are looked up.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::super::script::ScriptRun;
use super::super::unit::Unit;
use super::journal::Start;

/// A text that is in the names of all that a unit leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark(Vec<u8>);

impl Mark {
    /// The end of the names of a compile's outputs (`-C extra-filename`), which cargo makes unique; the path
    /// of the first where they have none.
    pub(super) fn of_compile(unit: &Unit) -> Self {
        let extra = unit.args.extra_filename.as_deref().filter(|extra| extra.len() > 8);
        let first = || unit.outputs.first().map_or(&unit.out_dir, |output| &output.path);
        Self(extra.map_or_else(|| bytes(first()), |extra| extra.as_bytes().to_vec()))
    }

    /// The directory of a run.
    pub(super) fn of_run(run: &ScriptRun) -> Self {
        Self(bytes(run.out_dir.parent().unwrap_or(&run.out_dir)))
    }

    /// Whether a unit is told of it. A unit that finds things without being told of them is told of a
    /// unit that was told.
    fn is_named_by(&self, start: &Start) -> bool {
        let (argv, env) = match start {
            Start::Compile(request) => (&request.argv, &request.env),
            Start::Script(request) => (&request.args, &request.env),
        };
        let script = match start {
            Start::Compile(_) => None,
            Start::Script(request) => Some(request.script.as_os_str()),
        };
        let texts = argv.iter().chain(env.values()).map(AsRef::as_ref).chain(script);
        texts.map(OsStr::as_bytes).any(|text| memchr::memmem::find(text, &self.0).is_some())
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

/// The units that are being put in place.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    marks: Mutex<Vec<Mark>>,
    ended: Condvar,
}

/// A unit is being put in place as long as this lives.
#[derive(Debug)]
pub(super) struct Placing<'u> {
    all: &'u UnderWay,
    mark: Mark,
}

impl UnderWay {
    /// Notes that a unit is being put in place.
    pub(super) fn begin(&self, mark: Mark) -> Placing<'_> {
        self.marks().push(mark.clone());
        Placing { all: self, mark }
    }

    /// Waits until nothing is being put in place that a unit is told of.
    pub(super) fn wait_for(&self, start: &Start) {
        let names = |marks: &mut Vec<Mark>| marks.iter().any(|mark| mark.is_named_by(start));
        drop(self.ended.wait_while(self.marks(), names));
    }

    fn marks(&self) -> MutexGuard<'_, Vec<Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Placing<'_> {
    fn drop(&mut self) {
        let mut marks = self.all.marks();
        if let Some(at) = marks.iter().position(|mark| *mark == self.mark) {
            marks.swap_remove(at);
        }
        drop(marks);
        self.all.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::unit::Request;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn start(argv: &[&str], env: &[(&str, &str)]) -> Start {
        let argv = argv.iter().map(Into::into).collect();
        let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Start::Compile(Request { argv, cwd: "/ws".into(), env })
    }

    #[test]
    fn a_unit_waits_for_what_it_is_told_of_and_for_nothing_else() {
        let all = UnderWay::default();
        let library = all.begin(Mark(b"-0123456789abcdef".to_vec()));
        let run = all.begin(Mark(b"/t/debug/build/sys-1".to_vec()));
        all.wait_for(&start(&["rustc", "a.rs"], &[("OUT_DIR", "/t/debug/build/sys-2/out")]));
        let with_extern = ["--extern", "a=/t/debug/deps/liba-0123456789abcdef.rlib"];
        let cases = [
            (start(&with_extern, &[]), library),
            (start(&[], &[("OUT_DIR", "/t/debug/build/sys-1/out")]), run),
        ];
        for (start, placing) in cases {
            let ended = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    ended.store(true, Ordering::SeqCst);
                    drop(placing);
                });
                all.wait_for(&start);
                assert!(ended.load(Ordering::SeqCst));
            });
        }
    }
}
