//! What a run needs to be observed: a marker of when it started, and the tracer where there is one.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};

use super::Engine;
use super::action::Env;
use super::remap::Remap;
use crate::trace::{Trace, TraceError, TraceSession, Tracer};

/// The scratch files of one run; removed when dropped.
pub(super) struct Scratch {
    marker: PathBuf,
    tracing: Option<TraceSession>,
    preload: Option<OsString>,
}

impl Scratch {
    /// Prepares for a run of `program`, which starts now.
    ///
    /// # Errors
    /// `state-dir` with what the file system says.
    pub(super) fn new(engine: &Engine, program: Option<&Path>, env: &Env) -> Result<Self, String> {
        let dir = engine.options.state_dir.join("runs");
        let failed = |error: std::io::Error| format!("state-dir: {}: {error}", dir.display());
        let marker = match new_marker(&dir) {
            Ok(marker) => marker,
            Err(_) => {
                std::fs::create_dir_all(&dir).and_then(|()| new_marker(&dir)).map_err(failed)?
            }
        };
        let program = program.filter(|_| engine.options.trace);
        let tracing = program.and_then(|program| session(engine, program, &marker));
        let preload = env.get(OsStr::new("LD_PRELOAD")).cloned();
        Ok(Self { marker, tracing, preload })
    }

    /// Lets C compilers write the names of a mapping instead of the places. Where that fails, what they
    /// write holds in one place only.
    pub(super) fn map_prefixes(&self, remap: &Remap) {
        let pairs: Vec<_> =
            remap.pairs.iter().map(|(from, to)| (from.as_path(), Path::new(to))).collect();
        if let Some(session) = self.tracing.as_ref().filter(|_| !pairs.is_empty()) {
            let _ = session.map_prefixes(&pairs);
        }
    }

    /// The variables to be set for the run.
    pub(super) fn env(&self) -> Vec<(OsString, OsString)> {
        let Some(session) = &self.tracing else { return Vec::new() };
        session
            .env(self.preload.as_deref())
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect()
    }

    /// The name of a directory that a run may have beside the marker.
    pub(super) fn directory(&self) -> PathBuf {
        self.marker.with_extension("elsewhere")
    }

    /// The marker's metadata: the start on the file system's clock.
    ///
    /// # Errors
    /// `state-dir` with what the file system says.
    pub(super) fn started(&self) -> Result<Metadata, String> {
        std::fs::metadata(&self.marker).map_err(|error| format!("state-dir: {error}"))
    }

    /// What was traced; `None` where nothing could be.
    ///
    /// # Errors
    /// `trace` with the trouble, when the trace is not whole.
    pub(super) fn trace(&mut self) -> Result<Option<Trace>, String> {
        match self.tracing.take().map(TraceSession::finish) {
            Some(Ok(trace)) => Ok(Some(trace)),
            Some(Err(TraceError::NotInForce)) | None => Ok(None),
            Some(Err(error)) => Err(format!("trace: {error}")),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.marker);
    }
}

/// A trace session, where the program can be traced.
fn session(engine: &Engine, program: &Path, marker: &Path) -> Option<TraceSession> {
    let tracer = Tracer::available(&engine.options.state_dir).ok()?;
    tracer.can_trace(program).ok()?;
    tracer.session(&marker.with_extension("trace")).ok()
}

fn new_marker(dir: &Path) -> std::io::Result<PathBuf> {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    let path = dir.join(format!("{}-{nanos}", std::process::id()));
    File::create_new(&path)?;
    Ok(path)
}
