//! One unit of a build: how it was started and what it got.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use cache_core::{Digest, RecipeKey};

use super::super::action::Env;
use super::super::script::ScriptRequest;
use super::super::unit::Request;
use super::cargo::CargoRun;
use super::codec::{Strings, put, put_list};
use super::journal::{Noted, Start};

/// Changes a string on its way in or out; `None` when that cannot be done.
pub(super) type Map<'m> = &'m dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// One unit that was served.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// When it was started, in microseconds since the Unix epoch.
    pub at: u64,
    /// The key that it was served under.
    pub key: RecipeKey,
    /// What it got: see [`Report::outcome`](super::super::Report::outcome).
    pub outcome: Digest,
    /// How it was started; the environment holds only what differs from cargo's.
    pub start: Start,
    /// Whether it came from the store. Only a journal says so.
    pub restored: bool,
    /// Variables that cargo has and the unit does not.
    without: Vec<OsString>,
}

impl Entry {
    /// A unit that this cargo started.
    pub(super) fn new(cargo: &CargoRun, start: &Start, at: u64, served: &Noted) -> Self {
        let mut start = start.clone();
        let env = start.env_mut();
        let without = cargo.env.keys().filter(|name| !env.contains_key(*name)).cloned().collect();
        env.retain(|name, value| cargo.env.get(name) != Some(value));
        let Noted { key, outcome, restored } = *served;
        Self { at, key, outcome, start, restored, without }
    }

    /// The same, restored or not.
    pub(super) fn marked(self, restored: bool) -> Self {
        Self { restored, ..self }
    }

    /// How another cargo would start it.
    pub(super) fn start_from(&self, cargo: &CargoRun) -> Start {
        let mut start = self.start.clone();
        let mut env = cargo.env.clone();
        env.retain(|name, _| !self.without.contains(name));
        env.extend(std::mem::take(start.env_mut()));
        *start.env_mut() = env;
        start
    }

    /// Its bytes: tag, time, key, outcome, working directory, words, variables (names and values in turn),
    /// variables left out; each a string as `codec` writes it, those from `cwd` on through `map`.
    pub(super) fn encode(&self, map: Map<'_>) -> Option<Vec<u8>> {
        let (tag, cwd, words, env) = match &self.start {
            Start::Compile(Request { argv, cwd, env }) => {
                (if self.restored { b"r" } else { b"c" }, cwd, argv.clone(), env)
            }
            Start::Script(ScriptRequest { script, name, args, cwd, env }) => {
                let own = [script.clone().into_os_string(), name.clone()];
                (b"s", cwd, own.into_iter().chain(args.clone()).collect(), env)
            }
        };
        let all = |list: Vec<&OsStr>| -> Option<Vec<Vec<u8>>> {
            list.into_iter().map(|text| map(text.as_bytes())).collect()
        };
        let words = all(words.iter().map(OsString::as_os_str).collect())?;
        let mut pairs: Vec<_> = env.iter().collect();
        pairs.sort_unstable();
        let pairs = pairs.into_iter().flat_map(|(name, value)| [name.as_os_str(), value]).collect();
        let pairs = all(pairs)?;
        let mut out = Vec::new();
        put(&mut out, tag);
        put(&mut out, &self.at.to_le_bytes());
        put(&mut out, self.key.0.as_bytes());
        put(&mut out, self.outcome.as_bytes());
        put(&mut out, &map(cwd.as_os_str().as_bytes())?);
        put_list(&mut out, words.iter().map(Vec::as_slice));
        put_list(&mut out, pairs.iter().map(Vec::as_slice));
        put_list(&mut out, self.without.iter().map(|name| name.as_bytes()));
        Some(out)
    }

    /// Reads what [`Entry::encode`] wrote.
    pub(super) fn decode(bytes: &[u8], map: Map<'_>) -> Option<Self> {
        let os = |bytes: &[u8]| map(bytes).map(OsString::from_vec);
        let all = |list: Vec<&[u8]>| list.into_iter().map(os).collect::<Option<Vec<_>>>();
        let mut strings = Strings(bytes);
        let tag = strings.next()?;
        let at = u64::from_le_bytes(strings.next()?.try_into().ok()?);
        let mut digest = || Some(Digest::from_bytes(strings.next()?.try_into().ok()?));
        let (key, outcome) = (RecipeKey(digest()?), digest()?);
        let cwd = PathBuf::from(os(strings.next()?)?);
        let mut words = all(strings.list()?)?;
        let mut pairs = all(strings.list()?)?.into_iter();
        let mut env = Env::new();
        while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
            env.insert(name, value);
        }
        let without = strings.list()?.into_iter().map(|name| OsString::from_vec(name.to_vec()));
        let without = without.collect();
        let start = match tag {
            b"c" | b"r" => Start::Compile(Request { argv: words, cwd, env }),
            b"s" if words.len() >= 2 => {
                let args = words.split_off(2);
                let (name, script) = (words.pop()?, words.pop()?.into());
                Start::Script(ScriptRequest { script, name, args, cwd, env })
            }
            _ => return None,
        };
        let restored = tag == b"r";
        Some(Self { at, key, outcome, start, restored, without })
    }
}

/// The key and the outcome of an entry's bytes, without reading the rest.
pub(super) fn key_and_outcome(bytes: &[u8]) -> Option<Noted> {
    let mut strings = Strings(bytes);
    let (_tag, _at) = (strings.next()?, strings.next()?);
    let mut digest = || Some(Digest::from_bytes(strings.next()?.try_into().ok()?));
    Some(Noted { key: RecipeKey(digest()?), outcome: digest()?, restored: false })
}

impl Start {
    fn env_mut(&mut self) -> &mut Env {
        match self {
            Self::Compile(request) => &mut request.env,
            Self::Script(request) => &mut request.env,
        }
    }
}
