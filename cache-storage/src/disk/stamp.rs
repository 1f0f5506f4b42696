//! What tells that a file is still the file that was read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock that stamps files moves in steps of a kernel tick (up to 10 ms); a file changed
/// twice within one may keep its stamp.
const TICK: Duration = Duration::from_millis(20);
/// File systems without fractions of a second (FAT counts in two seconds).
const COARSE: Duration = Duration::from_millis(2500);
/// Network file systems are stamped by a server's clock, which may differ from ours.
const SKEW: Duration = Duration::from_secs(60);

/// A file's stamp: which inode, how long, and when last changed, times in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    pub(super) mtime: (i64, i64),
    pub(super) ctime: (i64, i64),
    /// Hard-linked somewhere and writable by nobody: what the store's own links look like.
    pub(super) shared: bool,
}

impl Stamp {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
            shared: meta.nlink() > 1 && meta.mode() & 0o222 == 0,
        }
    }

    /// Whether inode, size and mtime are the same; ctime also moves when a file is linked.
    pub(super) fn same_bytes(&self, other: &Self) -> bool {
        (self.dev, self.ino, self.size, self.mtime)
            == (other.dev, other.ino, other.size, other.mtime)
    }

    /// Whether a change made after `read_began` would certainly have given another stamp.
    /// `remote`: the times are from another machine's clock.
    pub(super) fn is_settled(&self, read_began: SystemTime, remote: bool) -> bool {
        let youngest = self.mtime.max(self.ctime);
        let coarse = self.mtime.1 == 0 && self.ctime.1 == 0;
        let margin = match (remote, coarse) {
            (true, _) => SKEW,
            (false, true) => COARSE,
            (false, false) => TICK,
        };
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(youngest.0), u32::try_from(youngest.1))
        else {
            return true; // before 1970
        };
        UNIX_EPOCH
            .checked_add(Duration::new(seconds, nanos))
            .and_then(|changed| changed.checked_add(margin))
            .is_some_and(|settled| settled < read_began)
    }
}

/// Whether a file's times may come from another machine's clock. Magic numbers: statfs(2).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn is_remote(file: &std::fs::File) -> bool {
    const NFS: u32 = 0x6969;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const FUSE: u32 = 0x6573_5546; // virtiofs and sshfs among others
    const V9FS: u32 = 0x0102_1997;
    const CEPH: u32 = 0x00c3_6400;
    const AFS: u32 = 0x5346_414f;
    const LUSTRE: u32 = 0x0bd0_0bd0;
    const GPFS: u32 = 0x4750_4653;
    const REMOTE: [u32; 9] = [NFS, CIFS, SMB2, FUSE, V9FS, CEPH, AFS, LUSTRE, GPFS];
    rustix::fs::fstatfs(file).map_or(true, |fs| {
        // f_type differs in width and sign between platforms; magic numbers have 32 bits.
        let magic = i128::from(fs.f_type) & 0xffff_ffff;
        REMOTE.iter().any(|remote| magic == i128::from(*remote))
    })
}

/// Whether a file's times may come from another machine's clock; here not known, so perhaps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn is_remote(_file: &std::fs::File) -> bool {
    true
}
