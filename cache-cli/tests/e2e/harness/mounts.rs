//! Small file systems, where mounting is allowed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system, unmounted when dropped.
pub(crate) struct Mount(PathBuf);

/// Mounts a memory file system with these options, or says that it cannot and gives `None`.
pub(crate) fn tmpfs(at: &Path, options: &str) -> Option<Mount> {
    std::fs::create_dir_all(at).expect("mount point");
    let mounted = mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at);
    if !mounted {
        eprintln!("skipped: mounting is not allowed here");
    }
    mounted.then(|| Mount(at.to_path_buf()))
}

fn mount(args: &[&str], at: &Path) -> bool {
    Command::new("mount").args(args).arg(at).output().is_ok_and(|out| out.status.success())
}

impl Mount {
    /// Mounts it again with other options.
    pub(crate) fn again(&self, options: &str) -> bool {
        mount(&["-o", &format!("remount,{options}")], &self.0)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
