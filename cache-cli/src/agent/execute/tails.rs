//! How much work waits for a unit, learned from earlier builds.
//!
//! Each job says where it stands in its build: its name, what it costs, and what it needs. One small file for
//! each target directory, `tails-v1/<digest>` in the state directory, keeps that: the directory, then a line
//! for each unit. A build in another directory begins with what is known of the latest one that has the
//! same unit. What is lost is learned again, and nothing of it decides whether a result is right.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cache_core::Digest;
use cache_dist::schedule::{Node, tails};
use cache_rustc::engine::Stand;
use serde_json::{Value, json};

use super::super::remote::locked;

const DIRECTORY: &str = "tails-v1";
/// Units that no build has had for so many days are forgotten.
const LIFE: u64 = 30;
/// A directory has no more units than this, and there are no more directories.
const MOST_UNITS: usize = 20_000;
const MOST_BUILDS: usize = 32;
/// How often tails are made anew while each job of a build tells something new.
const ANEW: Duration = Duration::from_secs(1);
/// What is new is written so much later.
const SAVE: Duration = Duration::from_secs(2);

/// A unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    cost: Duration,
    /// The day since the Unix epoch on which a build last had it.
    day: u64,
    needs: BTreeSet<String>,
}

/// The builds of one target directory.
#[derive(Clone, Debug, Default)]
struct Build {
    units: BTreeMap<String, Known>,
    tails: HashMap<String, Duration>,
    /// When the tails were made, and whether they still hold.
    made: Option<Instant>,
    holds: bool,
    /// Somebody is going to write it.
    saving: bool,
}

/// All that is known.
#[derive(Debug)]
pub(super) struct Tails {
    dir: PathBuf,
    builds: Mutex<HashMap<PathBuf, Build>>,
}

impl Tails {
    /// What is kept in the state directory.
    pub(super) fn new(state: &Path) -> Self {
        Self { dir: state.join(DIRECTORY), builds: Mutex::default() }
    }

    /// Learns where a unit stands, and what it takes, where that is known. Gives the longest path from its
    /// start to the end of the build, as far as that is known.
    pub(super) fn of(self: &Arc<Self>, stand: &Stand, cost: Option<Duration>) -> Option<Duration> {
        if !is_name(&stand.name) {
            return cost;
        }
        let mut builds = locked(&self.builds);
        let load = || self.load(&stand.target, &stand.name);
        let build = builds.entry(stand.target.clone()).or_insert_with(load);
        if build.learn(stand, cost) && !std::mem::replace(&mut build.saving, true) {
            self.save_later(stand.target.clone());
        }
        build.refresh();
        build.tails.get(&stand.name).copied().filter(|tail| !tail.is_zero()).max(cost)
    }

    /// How things are, as JSON: for each target directory how many units there are, and how long the
    /// longest path is, in microseconds.
    pub(super) fn json(&self) -> Value {
        let mut builds = locked(&self.builds);
        let build = |(target, build): (&PathBuf, &mut Build)| {
            build.made = None;
            build.refresh();
            let longest = build.tails.values().max().copied().unwrap_or_default();
            let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
            json!({ "target": target, "units": build.units.len(), "longest_us": longest })
        };
        builds.iter_mut().map(build).collect()
    }

    fn save_later(self: &Arc<Self>, target: PathBuf) {
        let tails = self.clone();
        let save = async move {
            tokio::time::sleep(SAVE).await;
            // Without it the next agent begins without knowing.
            let _ = tails.save(&target);
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(save);
        }
    }

    fn save(&self, target: &Path) -> std::io::Result<()> {
        let text = match locked(&self.builds).get_mut(target) {
            Some(build) => {
                build.saving = false;
                format!("{}\n{}", target.display(), build.text())
            }
            None => return Ok(()),
        };
        fs::create_dir_all(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(text.as_bytes())?;
        file.persist(self.place(target)).map_err(|error| error.error)?;
        for (_, old) in self.files().into_iter().skip(MOST_BUILDS) {
            fs::remove_file(old)?;
        }
        Ok(())
    }

    fn place(&self, target: &Path) -> PathBuf {
        let name = Digest::of(target.as_os_str().as_encoded_bytes()).to_hex();
        self.dir.join(name.get(..16).unwrap_or_default())
    }

    /// What is kept, the latest first.
    fn files(&self) -> Vec<(SystemTime, PathBuf)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let dated = |entry: fs::DirEntry| {
            Some((entry.metadata().and_then(|meta| meta.modified()).ok()?, entry.path()))
        };
        let mut files: Vec<_> = entries.filter_map(dated).collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        files
    }

    /// What was kept of a target directory; if it is a new one, of the latest that has this unit.
    fn load(&self, target: &Path, name: &str) -> Build {
        let read = |path: PathBuf| Some(Build::read(&fs::read_to_string(path).ok()?));
        read(self.place(target)).unwrap_or_else(|| {
            let others = self.files().into_iter().filter_map(|(_, path)| read(path));
            let mut others = others.filter(|build| build.units.contains_key(name));
            others.next().unwrap_or_default()
        })
    }
}

impl Build {
    /// Whether something is new.
    fn learn(&mut self, stand: &Stand, cost: Option<Duration>) -> bool {
        let known = self.units.get(&stand.name);
        if known.is_none() && self.units.len() >= MOST_UNITS {
            return false;
        }
        let before = known.cloned().unwrap_or_default();
        let needs = stand.needs.iter().filter(|need| is_name(need)).cloned().collect();
        let mut now = Known { cost: before.cost, day: today(), needs };
        // About the same is the same.
        if let Some(cost) = cost.filter(|cost| before.cost.abs_diff(*cost) > before.cost / 8) {
            now.cost = cost;
        }
        let new = known.is_none() || now != before;
        if known.is_none() || (now.cost, &now.needs) != (before.cost, &before.needs) {
            self.holds = false;
        }
        if new {
            self.units.insert(stand.name.clone(), now);
        }
        new
    }

    /// Makes the tails anew, if they do not hold and were not made just now.
    fn refresh(&mut self) {
        if self.holds || self.made.is_some_and(|made| made.elapsed() < ANEW) {
            return;
        }
        let numbers: HashMap<&str, usize> =
            self.units.keys().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let node = |known: &Known| {
            let needs = known.needs.iter().filter_map(|need| numbers.get(need.as_str()).copied());
            Node { cost: known.cost, needs: needs.collect() }
        };
        let nodes: Vec<Node> = self.units.values().map(node).collect();
        self.tails = self.units.keys().cloned().zip(tails(&nodes)).collect();
        (self.made, self.holds) = (Some(Instant::now()), true);
    }

    fn text(&self) -> String {
        let line = |(name, known): (&String, &Known)| {
            let needs: Vec<&str> = known.needs.iter().map(String::as_str).collect();
            let (cost, day) = (known.cost.as_micros(), known.day);
            format!("{day} {cost} {name} {}\n", needs.join(" "))
        };
        self.units.iter().map(line).collect()
    }

    /// What cannot be read is not known.
    fn read(text: &str) -> Self {
        let oldest = today().saturating_sub(LIFE);
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let (day, cost) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let name = words.next()?.to_owned();
            let needs = words.map(str::to_owned).collect();
            (day >= oldest).then(|| (name, Known { cost: Duration::from_micros(cost), day, needs }))
        };
        Self { units: text.lines().skip(1).filter_map(line).collect(), ..Self::default() }
    }
}

/// Whether it can be a word of a line.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace)
}

fn today() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() / (24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn stand(target: &str, name: &str, needs: &[&str]) -> Stand {
        let needs = needs.iter().map(|need| (*need).to_owned()).collect();
        Stand { target: target.into(), name: name.to_owned(), needs }
    }

    /// Three units in a row, as a build tells of them.
    fn build(tails: &Arc<Tails>, target: &str) -> Vec<Option<Duration>> {
        let row = [("low", &[][..], 1), ("middle", &["low"], 2), ("top", &["middle", "gone"], 3)];
        let of = |(name, needs, cost): (&str, &[&str], u32)| {
            tails.of(&stand(target, name, needs), Some(SECOND * cost))
        };
        row.into_iter().map(of).collect()
    }

    #[test]
    fn a_later_build_knows_what_waits_for_a_unit() {
        let state = tempfile::tempdir().expect("a directory");
        let tails = Arc::new(Tails::new(state.path()));
        assert_eq!(build(&tails, "/t")[0], Some(SECOND), "nothing waits for it that is known");
        assert_eq!(tails.json()[0]["longest_us"], 6_000_000);
        let all = [Some(SECOND * 6), Some(SECOND * 5), Some(SECOND * 3)];
        assert_eq!(build(&tails, "/t"), all);
        tails.save(Path::new("/t")).expect("a file");
        let next = Arc::new(Tails::new(state.path()));
        assert_eq!(build(&next, "/t"), all, "the next agent knows it too");
        assert_eq!(build(&next, "/other"), all, "and of another checkout");
        let own = stand("/alone", "unit", &[]);
        assert_eq!(next.of(&own, None), None, "nobody knows what it takes");
    }

    #[test]
    fn what_is_not_built_any_more_is_forgotten() {
        let today = today();
        let old = today - LIFE - 1;
        let read = Build::read(&format!("/t\n{old} 5 old \n{today} 7 new old\nx y z\n\n9"));
        assert_eq!(read.units.keys().collect::<Vec<_>>(), ["new"]);
        assert_eq!(Build::read(&format!("/t\n{}", read.text())).units, read.units);
    }
}
