//! Raw system calls, which leave `errno` alone, and the few kernel constants and layouts in use.
//! Numbers: `asm/unistd_64.h` (x86-64) and `asm-generic/unistd.h` (aarch64).

use core::ffi::{c_char, c_int, c_long};

#[cfg(target_arch = "x86_64")]
pub(crate) mod nr {
    pub(crate) const OPEN: i64 = 2;
    pub(crate) const CLOSE: i64 = 3;
    pub(crate) const STAT: i64 = 4;
    pub(crate) const FSTAT: i64 = 5;
    pub(crate) const LSTAT: i64 = 6;
    pub(crate) const MMAP: i64 = 9;
    pub(crate) const MUNMAP: i64 = 11;
    pub(crate) const PREAD64: i64 = 17;
    pub(crate) const WRITEV: i64 = 20;
    pub(crate) const ACCESS: i64 = 21;
    pub(crate) const GETPID: i64 = 39;
    pub(crate) const CONNECT: i64 = 42;
    pub(crate) const EXECVE: i64 = 59;
    pub(crate) const FCNTL: i64 = 72;
    pub(crate) const TRUNCATE: i64 = 76;
    pub(crate) const GETDENTS: i64 = 78;
    pub(crate) const GETCWD: i64 = 79;
    pub(crate) const CHDIR: i64 = 80;
    pub(crate) const FCHDIR: i64 = 81;
    pub(crate) const RENAME: i64 = 82;
    pub(crate) const MKDIR: i64 = 83;
    pub(crate) const RMDIR: i64 = 84;
    pub(crate) const CREAT: i64 = 85;
    pub(crate) const LINK: i64 = 86;
    pub(crate) const UNLINK: i64 = 87;
    pub(crate) const SYMLINK: i64 = 88;
    pub(crate) const READLINK: i64 = 89;
    pub(crate) const FCHMOD: i64 = 91;
    pub(crate) const GETPPID: i64 = 110;
    pub(crate) const GETDENTS64: i64 = 217;
    pub(crate) const EXIT_GROUP: i64 = 231;
    pub(crate) const OPENAT: i64 = 257;
    pub(crate) const MKDIRAT: i64 = 258;
    pub(crate) const NEWFSTATAT: i64 = 262;
    pub(crate) const UNLINKAT: i64 = 263;
    pub(crate) const RENAMEAT: i64 = 264;
    pub(crate) const LINKAT: i64 = 265;
    pub(crate) const SYMLINKAT: i64 = 266;
    pub(crate) const READLINKAT: i64 = 267;
    pub(crate) const FCHMODAT: i64 = 268;
    pub(crate) const FACCESSAT: i64 = 269;
    pub(crate) const RENAMEAT2: i64 = 316;
    pub(crate) const EXECVEAT: i64 = 322;
    pub(crate) const STATX: i64 = 332;
}

#[cfg(target_arch = "aarch64")]
pub(crate) mod nr {
    // The calls that this architecture never had get numbers that no caller can pass.
    pub(crate) const OPEN: i64 = -2;
    pub(crate) const STAT: i64 = -3;
    pub(crate) const LSTAT: i64 = -4;
    pub(crate) const ACCESS: i64 = -5;
    pub(crate) const GETDENTS: i64 = -6;
    pub(crate) const RENAME: i64 = -7;
    pub(crate) const MKDIR: i64 = -8;
    pub(crate) const RMDIR: i64 = -9;
    pub(crate) const CREAT: i64 = -10;
    pub(crate) const LINK: i64 = -11;
    pub(crate) const UNLINK: i64 = -12;
    pub(crate) const SYMLINK: i64 = -13;
    pub(crate) const READLINK: i64 = -14;
    pub(crate) const GETCWD: i64 = 17;
    pub(crate) const FCNTL: i64 = 25;
    pub(crate) const MKDIRAT: i64 = 34;
    pub(crate) const UNLINKAT: i64 = 35;
    pub(crate) const SYMLINKAT: i64 = 36;
    pub(crate) const LINKAT: i64 = 37;
    pub(crate) const RENAMEAT: i64 = 38;
    pub(crate) const TRUNCATE: i64 = 45;
    pub(crate) const FACCESSAT: i64 = 48;
    pub(crate) const CHDIR: i64 = 49;
    pub(crate) const FCHDIR: i64 = 50;
    pub(crate) const FCHMOD: i64 = 52;
    pub(crate) const FCHMODAT: i64 = 53;
    pub(crate) const OPENAT: i64 = 56;
    pub(crate) const CLOSE: i64 = 57;
    pub(crate) const GETDENTS64: i64 = 61;
    pub(crate) const WRITEV: i64 = 66;
    pub(crate) const PREAD64: i64 = 67;
    pub(crate) const READLINKAT: i64 = 78;
    pub(crate) const NEWFSTATAT: i64 = 79;
    pub(crate) const FSTAT: i64 = 80;
    pub(crate) const EXIT_GROUP: i64 = 94;
    pub(crate) const GETPID: i64 = 172;
    pub(crate) const GETPPID: i64 = 173;
    pub(crate) const CONNECT: i64 = 203;
    pub(crate) const MUNMAP: i64 = 215;
    pub(crate) const EXECVE: i64 = 221;
    pub(crate) const MMAP: i64 = 222;
    pub(crate) const RENAMEAT2: i64 = 276;
    pub(crate) const EXECVEAT: i64 = 281;
    pub(crate) const STATX: i64 = 291;
}

/// The same on both architectures (numbers above 424 are shared by all).
pub(crate) mod nr_common {
    pub(crate) const IO_URING_SETUP: i64 = 425;
    pub(crate) const PIDFD_OPEN: i64 = 434;
    pub(crate) const OPENAT2: i64 = 437;
    pub(crate) const FACCESSAT2: i64 = 439;
}

pub(crate) const AT_FDCWD: c_int = -100;
pub(crate) const AT_SYMLINK_NOFOLLOW: c_int = 0x100;
pub(crate) const O_WRONLY: c_int = 1;
pub(crate) const O_RDWR: c_int = 2;
pub(crate) const O_CREAT: c_int = 0o100;
pub(crate) const O_EXCL: c_int = 0o200;
pub(crate) const O_TRUNC: c_int = 0o1000;
pub(crate) const O_APPEND: c_int = 0o2000;
pub(crate) const O_CLOEXEC: c_int = 0o2_000_000;
pub(crate) const F_DUPFD_CLOEXEC: i64 = 1030;
pub(crate) const ENOENT: u16 = 2;
pub(crate) const EFAULT: u16 = 14;
pub(crate) const ENOSYS: c_int = 38;

/// Where `st_mode` lies in `struct stat` (`st_dev` at 0 and `st_ino` at 8 on both).
#[cfg(target_arch = "x86_64")]
pub(crate) const ST_MODE: usize = 24;
#[cfg(target_arch = "aarch64")]
pub(crate) const ST_MODE: usize = 16;
/// Where `stx_mode` (16 bits) lies in `struct statx`.
pub(crate) const STX_MODE: usize = 28;

/// A buffer at least as large and as aligned as `struct stat`.
#[repr(C, align(8))]
pub(crate) struct Stat([u8; 256]);

impl Stat {
    pub(crate) fn new() -> Self {
        Stat([0; 256])
    }
    pub(crate) fn identity(&self) -> (u64, u64) {
        // SAFETY: both fields lie inside the aligned buffer.
        unsafe {
            let p = self.0.as_ptr().cast::<u64>();
            (p.read(), p.add(1).read())
        }
    }
    /// How many names the file has.
    pub(crate) fn links(&self) -> u64 {
        // SAFETY: the field lies inside the aligned buffer; it has 64 bits on x86-64, 32 on aarch64.
        unsafe {
            match ST_MODE {
                24 => self.0.as_ptr().add(16).cast::<u64>().read(),
                _ => u64::from(self.0.as_ptr().add(20).cast::<u32>().read()),
            }
        }
    }
    pub(crate) fn mode(&self) -> u32 {
        // SAFETY: the field lies inside the aligned buffer.
        unsafe { self.0.as_ptr().add(ST_MODE).cast::<u32>().read() }
    }
}

/// One `struct iovec`.
#[repr(C)]
pub(crate) struct IoVec {
    pub(crate) base: *const u8,
    pub(crate) len: usize,
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn syscall6(n: i64, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64) -> i64 {
    let ret;
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") n => ret,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    ret
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn syscall6(n: i64, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64) -> i64 {
    let ret;
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") n,
            inlateout("x0") a => ret,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    ret
}

#[inline(always)]
unsafe fn syscall4(n: i64, a: i64, b: i64, c: i64, d: i64) -> i64 {
    unsafe { syscall6(n, a, b, c, d, 0, 0) }
}

pub(crate) fn getpid() -> u32 {
    unsafe { syscall4(nr::GETPID, 0, 0, 0, 0) as u32 }
}

pub(crate) fn getppid() -> u32 {
    unsafe { syscall4(nr::GETPPID, 0, 0, 0, 0) as u32 }
}

pub(crate) fn exit_group(code: c_int) -> ! {
    loop {
        unsafe { syscall4(nr::EXIT_GROUP, i64::from(code), 0, 0, 0) };
    }
}

/// `openat(AT_FDCWD, path, flags | O_CLOEXEC)`; negative is an error number.
pub(crate) unsafe fn open(path: *const c_char, flags: c_int) -> c_int {
    let flags = i64::from(flags | O_CLOEXEC);
    unsafe { syscall4(nr::OPENAT, i64::from(AT_FDCWD), path as i64, flags, 0) as c_int }
}

pub(crate) fn close(fd: c_int) {
    unsafe { syscall4(nr::CLOSE, i64::from(fd), 0, 0, 0) };
}

/// A copy of `fd` numbered at least `at_least`, closed on exec; negative is an error number.
pub(crate) fn dup_above(fd: c_int, at_least: c_int) -> c_int {
    unsafe { syscall4(nr::FCNTL, i64::from(fd), F_DUPFD_CLOEXEC, i64::from(at_least), 0) as c_int }
}

pub(crate) fn fstat(fd: c_int) -> Option<Stat> {
    let mut st = Stat::new();
    let r = unsafe { syscall4(nr::FSTAT, i64::from(fd), (&raw mut st) as i64, 0, 0) };
    (r == 0).then_some(st)
}

pub(crate) unsafe fn stat(path: *const c_char) -> Option<Stat> {
    let mut st = Stat::new();
    let r = unsafe {
        syscall4(nr::NEWFSTATAT, i64::from(AT_FDCWD), path as i64, (&raw mut st) as i64, 0)
    };
    (r == 0).then_some(st)
}

/// 0 or a negative error number; `mode` 1 asks for execute permission.
pub(crate) unsafe fn access(path: *const c_char, mode: c_int) -> c_int {
    unsafe {
        syscall4(nr::FACCESSAT, i64::from(AT_FDCWD), path as i64, i64::from(mode), 0) as c_int
    }
}

pub(crate) fn pread(fd: c_int, into: &mut [u8], at: u64) -> usize {
    let r = unsafe {
        syscall4(nr::PREAD64, i64::from(fd), into.as_mut_ptr() as i64, into.len() as i64, at as i64)
    };
    usize::try_from(r).unwrap_or(0)
}

pub(crate) fn writev(fd: c_int, parts: &[IoVec]) -> i64 {
    unsafe { syscall4(nr::WRITEV, i64::from(fd), parts.as_ptr() as i64, parts.len() as i64, 0) }
}

/// The working directory without its final NUL, or `None` when it cannot be named.
pub(crate) fn getcwd(into: &mut [u8]) -> Option<&[u8]> {
    let r = unsafe { syscall4(nr::GETCWD, into.as_mut_ptr() as i64, into.len() as i64, 0, 0) };
    let n = usize::try_from(r).ok()?.checked_sub(1)?;
    into.get(..n)
}

pub(crate) unsafe fn readlink(path: *const c_char, into: &mut [u8]) -> Option<&[u8]> {
    let (at, len) = (i64::from(AT_FDCWD), into.len() as i64);
    let r = unsafe { syscall4(nr::READLINKAT, at, path as i64, into.as_mut_ptr() as i64, len) };
    into.get(..usize::try_from(r).ok()?)
}

pub(crate) fn fchmod(fd: c_int, mode: u32) -> i64 {
    unsafe { syscall4(nr::FCHMOD, i64::from(fd), i64::from(mode), 0, 0) }
}

pub(crate) unsafe fn chmod(path: *const c_char, mode: u32) {
    unsafe { syscall4(nr::FCHMODAT, i64::from(AT_FDCWD), path as i64, i64::from(mode), 0) };
}

/// Anonymous private memory, or null.
pub(crate) fn map(len: usize) -> *mut u8 {
    // PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS
    let r = unsafe { syscall6(nr::MMAP, 0, len as i64, 3, 0x22, -1, 0) };
    if (-4095..0).contains(&r) { core::ptr::null_mut() } else { r as *mut u8 }
}

pub(crate) unsafe fn unmap(at: *mut u8, len: usize) {
    unsafe { syscall4(nr::MUNMAP, at as i64, len as i64, 0, 0) };
}

pub(crate) fn pidfd_open(pid: c_int) -> c_int {
    unsafe { syscall4(nr_common::PIDFD_OPEN, i64::from(pid), 0, 0, 0) as c_int }
}

#[link(name = "c")]
unsafe extern "C" {
    pub(crate) fn __errno_location() -> *mut c_int;
    fn strlen(s: *const c_char) -> usize;
}

pub(crate) fn errno() -> c_int {
    unsafe { *__errno_location() }
}

pub(crate) fn set_errno(value: c_int) {
    unsafe { *__errno_location() = value };
}

/// The error number of a call that just returned, 0 when it did not fail.
pub(crate) fn errno_if(failed: bool) -> u16 {
    if failed { u16::try_from(errno()).unwrap_or(u16::MAX) } else { 0 }
}

/// A kernel-style return value turned into the C library's convention.
pub(crate) fn c_result(r: i64) -> c_long {
    if (-4095..0).contains(&r) {
        set_errno(-r as c_int);
        return -1;
    }
    r as c_long
}

/// The bytes of a C string; empty for a null pointer.
pub(crate) unsafe fn bytes<'a>(s: *const c_char) -> &'a [u8] {
    if s.is_null() {
        return &[];
    }
    unsafe { core::slice::from_raw_parts(s.cast(), strlen(s)) }
}
