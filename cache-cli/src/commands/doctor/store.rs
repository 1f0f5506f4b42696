//! The store: whether it can be used, and how outputs get from it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cache_storage::{Capabilities, DiskStore, Store};

use super::Finding;
use crate::config::Config;
use crate::events::{History, sum};
use crate::places::{NoStore, Places};
use crate::text::{bytes, count};

/// Less free space than this is worth a note.
const LITTLE: u64 = 1 << 30;

pub(super) fn look(
    config: &Config,
    places: Option<&Places>,
    opened: &Result<DiskStore, NoStore>,
) -> Vec<Finding> {
    let mut findings = match opened {
        Ok(store) => usable(config, store),
        Err(error) => vec![Finding::broken(
            "store",
            error.to_string(),
            format!(
                "let LARDER_DIR (now from: {}) name a directory that can be made or written",
                config.dir.origin
            ),
        )],
    };
    if let Some(places) = places {
        findings.extend(faults(&History::read(&places.events)));
    }
    findings
}

fn usable(config: &Config, store: &DiskStore) -> Vec<Finding> {
    let root = store.root();
    let mut findings = Vec::new();
    let Capabilities { write, .. } = store.capabilities();
    if !write {
        let said = format!("{} can be read but not written: nothing is stored", root.display());
        findings.push(Finding::note("store", said, "fine for a shared store that others fill"));
        return findings;
    }
    if let Err(error) = fs::create_dir_all(root).and_then(|()| probe_write(root)) {
        let said = format!("{} cannot be written: {error}", root.display());
        findings.push(Finding::broken("store", said, "free some space, or set LARDER_DIR"));
        return findings;
    }
    let budget = config.size.value.bytes(root);
    let limit = budget.map_or_else(|| "no limit".into(), bytes);
    findings.push(Finding::fine("store", format!("{}, budget {limit}", root.display())));
    if let Ok(disk) = rustix::fs::statvfs(root) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < LITTLE {
            let said = format!("only {} free on its file system", bytes(free));
            findings.push(Finding::note("store", said, "free some space, or set a smaller size"));
        }
    }
    match store.usage() {
        Err(error) => findings.push(Finding::broken(
            "store",
            format!("cannot be listed: {error}"),
            "run `larder verify --repair`, or remove the directory",
        )),
        Ok(usage) if usage.quarantined + usage.foreign > 0 => findings.push(Finding::note(
            "store",
            format!(
                "{} set aside, {} in it that are not its own",
                count(usage.quarantined, "damaged thing"),
                count(usage.foreign, "file")
            ),
            "run `larder verify --repair`",
        )),
        Ok(_) => {}
    }
    findings.push(sharing(root));
    findings
}

fn probe_write(root: &Path) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(root)?;
    file.write_all(&[0; 4096])
}

/// How bytes get from the store into a target directory.
fn sharing(root: &Path) -> Finding {
    let reflinks = can(root, &|from, to| {
        rustix::fs::ioctl_ficlone(File::create(to)?, File::open(from)?).map_err(Into::into)
    });
    let links = can(root, &|from, to| fs::hard_link(from, to));
    let here = std::env::current_dir().and_then(fs::metadata).map(|meta| meta.dev());
    let same = fs::metadata(root).is_ok_and(|meta| here.is_ok_and(|here| meta.dev() == here));
    let how = match (reflinks, links) {
        (true, _) => "reflinks: outputs take next to no room",
        (false, true) => "no reflinks; .rlib files are hard links, other outputs are copied",
        (false, false) => "neither reflinks nor hard links: every output is copied",
    };
    if same {
        return Finding::fine("sharing", how);
    }
    let said = format!("{how}, but the current directory is on another file system");
    Finding::note("sharing", said, "put the store and target directories on one file system")
}

fn can(root: &Path, act: &dyn Fn(&Path, &Path) -> io::Result<()>) -> bool {
    let Ok(dir) = tempfile::tempdir_in(root) else { return false };
    let (from, to) = (dir.path().join("a"), dir.path().join("b"));
    fs::write(&from, [1; 4096]).is_ok() && act(&from, &to).is_ok()
}

/// What went wrong without anybody noticing.
fn faults(history: &History) -> Option<Finding> {
    let totals = &history.totals;
    let not_stored = totals.not_stored.iter().filter(|(why, _)| why.starts_with("store-"));
    let no_store = totals.uncacheable.iter().filter(|(why, _)| *why == "no-store");
    let all: Vec<_> = totals
        .faults
        .iter()
        .chain(not_stored)
        .chain(no_store)
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    if all.is_empty() {
        return None;
    }
    let units = sum(&totals.hits) + sum(&totals.misses) + sum(&totals.uncacheable);
    let said = format!("troubles in {}: {}", count(units, "unit"), all.join(", "));
    Some(Finding::note("history", said, "`larder stats --zero` forgets them"))
}
