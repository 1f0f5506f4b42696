//! The C library's own functions behind the interposed names, found with `dlsym(RTLD_NEXT, …)`.
//!
//! Each is looked up when it is first called, and those that programs use between `fork` and `exec` when this
//! object is loaded: `dlsym` takes the loader's lock, which the child of a threaded program may find taken for
//! good. Not all at once: a look-up that leads past a compiler's large symbol tables costs microseconds. A
//! failing look-up would also allocate a message for `dlerror`, but these are names the C library has.

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// `RTLD_NEXT`
const NEXT: *mut c_void = -1isize as *mut c_void;
/// Marks a function this C library does not have.
const MISSING: *mut c_void = 1 as *mut c_void;

#[link(name = "dl")]
unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// A function of type `F`, looked up on first use.
pub(crate) struct Slot<F> {
    name: &'static CStr,
    at: AtomicPtr<c_void>,
    is: PhantomData<F>,
}

// SAFETY: only an atomic pointer to code.
unsafe impl<F> Sync for Slot<F> {}

impl<F: Copy> Slot<F> {
    const fn new(name: &'static CStr) -> Self {
        Slot { name, at: AtomicPtr::new(core::ptr::null_mut()), is: PhantomData }
    }

    /// The address, or null when the C library has no such function.
    pub(crate) fn address(&self) -> *mut c_void {
        let mut p = self.at.load(Relaxed);
        if p.is_null() {
            p = unsafe { dlsym(NEXT, self.name.as_ptr()) };
            if p.is_null() {
                p = MISSING;
            }
            self.at.store(p, Relaxed);
        }
        if p == MISSING { core::ptr::null_mut() } else { p }
    }

    pub(crate) fn get(&self) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let p = self.address();
        // SAFETY: F is a function pointer type, declared beside the name it is looked up by.
        (!p.is_null()).then(|| unsafe { core::mem::transmute_copy(&p) })
    }
}

macro_rules! functions {
    ($($slot:ident = $name:literal : ($($t:tt)*) -> $r:ty;)*) => {
        $(pub(crate) static $slot: Slot<unsafe extern "C" fn($($t)*) -> $r> = Slot::new($name);)*
    };
}

/// Looks up what is used between `fork` and `exec`.
pub(crate) fn resolve_early() {
    OPEN.address();
    OPEN64.address();
    OPENAT.address();
    OPENDIR.address();
    STAT.address();
    ACCESS.address();
    READLINK.address();
    CHDIR.address();
    FCHDIR.address();
    GETENV.address();
    SYSCALL.address();
    EXECVE.address();
    EXECVPE.address();
    POSIX_SPAWN.address();
    POSIX_SPAWNP.address();
}

type Str = *const c_char;
type Strs = *const *const c_char;
type Any = *mut c_void;
type In = *const c_void;

functions! {
    OPEN = c"open": (Str, c_int, ...) -> c_int;
    OPEN64 = c"open64": (Str, c_int, ...) -> c_int;
    OPENAT = c"openat": (c_int, Str, c_int, ...) -> c_int;
    OPENAT64 = c"openat64": (c_int, Str, c_int, ...) -> c_int;
    OPEN_2 = c"__open_2": (Str, c_int) -> c_int;
    OPEN64_2 = c"__open64_2": (Str, c_int) -> c_int;
    OPENAT_2 = c"__openat_2": (c_int, Str, c_int) -> c_int;
    OPENAT64_2 = c"__openat64_2": (c_int, Str, c_int) -> c_int;
    CREAT = c"creat": (Str, c_uint) -> c_int;
    CREAT64 = c"creat64": (Str, c_uint) -> c_int;
    FOPEN = c"fopen": (Str, Str) -> Any;
    FOPEN64 = c"fopen64": (Str, Str) -> Any;
    FREOPEN = c"freopen": (Str, Str, Any) -> Any;
    FREOPEN64 = c"freopen64": (Str, Str, Any) -> Any;
    MKSTEMP = c"mkstemp": (*mut c_char) -> c_int;
    MKSTEMP64 = c"mkstemp64": (*mut c_char) -> c_int;
    MKOSTEMP = c"mkostemp": (*mut c_char, c_int) -> c_int;
    MKOSTEMP64 = c"mkostemp64": (*mut c_char, c_int) -> c_int;
    MKSTEMPS = c"mkstemps": (*mut c_char, c_int) -> c_int;
    MKSTEMPS64 = c"mkstemps64": (*mut c_char, c_int) -> c_int;
    MKOSTEMPS = c"mkostemps": (*mut c_char, c_int, c_int) -> c_int;
    MKOSTEMPS64 = c"mkostemps64": (*mut c_char, c_int, c_int) -> c_int;
    MKDTEMP = c"mkdtemp": (*mut c_char) -> *mut c_char;
    SPAWN_ADDOPEN = c"posix_spawn_file_actions_addopen": (Any, c_int, Str, c_int, c_uint) -> c_int;

    STAT = c"stat": (Str, Any) -> c_int;
    STAT64 = c"stat64": (Str, Any) -> c_int;
    LSTAT = c"lstat": (Str, Any) -> c_int;
    LSTAT64 = c"lstat64": (Str, Any) -> c_int;
    FSTATAT = c"fstatat": (c_int, Str, Any, c_int) -> c_int;
    FSTATAT64 = c"fstatat64": (c_int, Str, Any, c_int) -> c_int;
    XSTAT = c"__xstat": (c_int, Str, Any) -> c_int;
    XSTAT64 = c"__xstat64": (c_int, Str, Any) -> c_int;
    LXSTAT = c"__lxstat": (c_int, Str, Any) -> c_int;
    LXSTAT64 = c"__lxstat64": (c_int, Str, Any) -> c_int;
    FXSTATAT = c"__fxstatat": (c_int, c_int, Str, Any, c_int) -> c_int;
    FXSTATAT64 = c"__fxstatat64": (c_int, c_int, Str, Any, c_int) -> c_int;
    STATX = c"statx": (c_int, Str, c_int, c_uint, Any) -> c_int;
    ACCESS = c"access": (Str, c_int) -> c_int;
    FACCESSAT = c"faccessat": (c_int, Str, c_int, c_int) -> c_int;
    EUIDACCESS = c"euidaccess": (Str, c_int) -> c_int;
    EACCESS = c"eaccess": (Str, c_int) -> c_int;
    READLINK = c"readlink": (Str, *mut c_char, usize) -> isize;
    READLINKAT = c"readlinkat": (c_int, Str, *mut c_char, usize) -> isize;
    READLINK_CHK = c"__readlink_chk": (Str, *mut c_char, usize, usize) -> isize;
    READLINKAT_CHK = c"__readlinkat_chk": (c_int, Str, *mut c_char, usize, usize) -> isize;
    REALPATH = c"realpath": (Str, *mut c_char) -> *mut c_char;
    REALPATH_CHK = c"__realpath_chk": (Str, *mut c_char, usize) -> *mut c_char;
    CANONICALIZE = c"canonicalize_file_name": (Str) -> *mut c_char;

    OPENDIR = c"opendir": (Str) -> Any;
    FDOPENDIR = c"fdopendir": (c_int) -> Any;
    SCANDIR = c"scandir": (Str, Any, In, In) -> c_int;
    SCANDIR64 = c"scandir64": (Str, Any, In, In) -> c_int;
    SCANDIRAT = c"scandirat": (c_int, Str, Any, In, In) -> c_int;
    SCANDIRAT64 = c"scandirat64": (c_int, Str, Any, In, In) -> c_int;
    GLOB = c"glob": (Str, c_int, In, Any) -> c_int;
    GLOB64 = c"glob64": (Str, c_int, In, Any) -> c_int;
    FTW = c"ftw": (Str, In, c_int) -> c_int;
    FTW64 = c"ftw64": (Str, In, c_int) -> c_int;
    NFTW = c"nftw": (Str, In, c_int, c_int) -> c_int;
    NFTW64 = c"nftw64": (Str, In, c_int, c_int) -> c_int;
    FTS_OPEN = c"fts_open": (Strs, c_int, In) -> Any;
    FTS64_OPEN = c"fts64_open": (Strs, c_int, In) -> Any;

    MKDIR = c"mkdir": (Str, c_uint) -> c_int;
    MKDIRAT = c"mkdirat": (c_int, Str, c_uint) -> c_int;
    RENAME = c"rename": (Str, Str) -> c_int;
    RENAMEAT = c"renameat": (c_int, Str, c_int, Str) -> c_int;
    RENAMEAT2 = c"renameat2": (c_int, Str, c_int, Str, c_uint) -> c_int;
    UNLINK = c"unlink": (Str) -> c_int;
    UNLINKAT = c"unlinkat": (c_int, Str, c_int) -> c_int;
    RMDIR = c"rmdir": (Str) -> c_int;
    REMOVE = c"remove": (Str) -> c_int;
    LINK = c"link": (Str, Str) -> c_int;
    LINKAT = c"linkat": (c_int, Str, c_int, Str, c_int) -> c_int;
    SYMLINK = c"symlink": (Str, Str) -> c_int;
    SYMLINKAT = c"symlinkat": (Str, c_int, Str) -> c_int;
    TRUNCATE = c"truncate": (Str, i64) -> c_int;
    TRUNCATE64 = c"truncate64": (Str, i64) -> c_int;
    CHDIR = c"chdir": (Str) -> c_int;
    FCHDIR = c"fchdir": (c_int) -> c_int;
    CHROOT = c"chroot": (Str) -> c_int;

    GETENV = c"getenv": (Str) -> *mut c_char;
    SECURE_GETENV = c"secure_getenv": (Str) -> *mut c_char;

    EXECVE = c"execve": (Str, Strs, Strs) -> c_int;
    EXECVPE = c"execvpe": (Str, Strs, Strs) -> c_int;
    FEXECVE = c"fexecve": (c_int, Strs, Strs) -> c_int;
    POSIX_SPAWN = c"posix_spawn": (*mut c_int, Str, In, In, Strs, Strs) -> c_int;
    POSIX_SPAWNP = c"posix_spawnp": (*mut c_int, Str, In, In, Strs, Strs) -> c_int;
    PIDFD_SPAWN = c"pidfd_spawn": (*mut c_int, Str, In, In, Strs, Strs) -> c_int;
    PIDFD_SPAWNP = c"pidfd_spawnp": (*mut c_int, Str, In, In, Strs, Strs) -> c_int;
    SYSTEM = c"system": (Str) -> c_int;
    POPEN = c"popen": (Str, Str) -> Any;
    WORDEXP = c"wordexp": (Str, Any, c_int) -> c_int;

    CONNECT = c"connect": (c_int, In, c_uint) -> c_int;
    SENDTO = c"sendto": (c_int, In, usize, c_int, In, c_uint) -> isize;
    GETADDRINFO = c"getaddrinfo": (Str, Str, In, Any) -> c_int;

    DLOPEN = c"dlopen": (Str, c_int) -> Any;
    DLMOPEN = c"dlmopen": (c_long, Str, c_int) -> Any;
    DLCLOSE = c"dlclose": (Any) -> c_int;
    SYSCALL = c"syscall": (c_long, ...) -> c_long;
}
