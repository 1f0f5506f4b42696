//! Start-up, and what the hooks need afterwards. Written once, before the program has threads.

use crate::log::{self, Record};
use crate::{environ, objects, path, sys};
use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};

const NEW: u8 = 0;
const STARTING: u8 = 1;
const ACTIVE: u8 = 2;
const OFF: u8 = 3;

/// The variable that names the log.
pub(crate) const VAR: &[u8] = b"LARDER_TRACE_LOG=";
pub(crate) const PRELOAD: &[u8] = b"LD_PRELOAD=";
const STRING: usize = 4352;
/// The log's descriptor number: above what programs use, below the usual limit of 1024.
const FD: c_int = 900;

static STATE: AtomicU8 = AtomicU8::new(NEW);
static LOG_FD: AtomicI32 = AtomicI32::new(-1);
static LOG_DEV: AtomicU64 = AtomicU64::new(0);
static LOG_INO: AtomicU64 = AtomicU64::new(0);
/// `LARDER_TRACE_LOG=<log>` and `LD_PRELOAD=<this object>`, NUL-terminated.
static TRACE: Text = Text::new();
static PRELOADED: Text = Text::new();
static INTERPRETER: Text = Text::new();

/// A string that is written once during start-up and only read afterwards.
struct Text(UnsafeCell<[u8; STRING]>);
// SAFETY: written only while STATE is STARTING, read only after it became ACTIVE.
unsafe impl Sync for Text {}

impl Text {
    const fn new() -> Self {
        Text(UnsafeCell::new([0; STRING]))
    }
    unsafe fn set(&self, head: &[u8], tail: &[u8]) -> bool {
        let to = unsafe { &mut *self.0.get() };
        let (n, m) = (head.len(), tail.len());
        if n + m >= STRING {
            return false;
        }
        for (to, from) in to.iter_mut().zip(head.iter().chain(tail)) {
            *to = *from;
        }
        to[n + m] = 0;
        true
    }
    fn ptr(&self) -> *const c_char {
        self.0.get() as *const c_char
    }
}

/// Whether this process is traced. The first call starts the tracer, which may be a hook that another
/// object's constructor reaches before ours runs. It may even be an allocator that reads its settings while
/// it holds its own lock (jemalloc in rustc does), so starting must not allocate either.
#[inline]
pub(crate) fn active() -> bool {
    match STATE.load(Ordering::Acquire) {
        ACTIVE => true,
        NEW => start(),
        _ => false,
    }
}

#[cold]
fn start() -> bool {
    let Some(env) = environ::all() else { return false }; // the C library is not ready yet
    if STATE.compare_exchange(NEW, STARTING, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return false;
    }
    let errno = sys::errno();
    let on = unsafe { set_up(env) };
    STATE.store(if on { ACTIVE } else { OFF }, Ordering::Release);
    if on {
        announce();
    }
    sys::set_errno(errno);
    on
}

unsafe fn set_up(env: *mut *mut c_char) -> bool {
    unsafe {
        let own = own_path();
        let log = environ::find(env.cast(), VAR);
        if log.is_null() || own.is_null() {
            return false;
        }
        if !TRACE.set(VAR, sys::bytes(log)) || !PRELOADED.set(PRELOAD, sys::bytes(own)) {
            return false;
        }
        if let Some(interpreter) = objects::interpreter() {
            INTERPRETER.set(interpreter, &[]);
        }
        let fd = sys::open(log_path(), sys::O_WRONLY | sys::O_APPEND);
        if fd < 0 {
            log::lost();
            return false;
        }
        let high = sys::dup_above(fd, FD);
        if let Some(st) = sys::fstat(fd) {
            let (dev, ino) = st.identity();
            LOG_DEV.store(dev, Ordering::Relaxed);
            LOG_INO.store(ino, Ordering::Relaxed);
        }
        if high >= 0 {
            sys::close(fd);
            LOG_FD.store(high, Ordering::Relaxed);
        } else {
            // Too low a limit for a high number: open the log for each record instead.
            sys::close(fd);
        }
        environ::clean(env, sys::bytes(own));
        true
    }
}

/// Tells that this process is traced, and by which program it is run.
fn announce() {
    let mut buf = [0u8; path::MAX];
    let exe = unsafe { sys::readlink(c"/proc/self/exe".as_ptr(), &mut buf) }.unwrap_or(&[]);
    Record { arg: sys::getppid(), ..Record::new(log::START, [exe, &[], &[]]) }.emit();
}

pub(crate) fn log_path() -> *const c_char {
    unsafe { TRACE.ptr().add(VAR.len()) }
}

pub(crate) fn log_fd() -> c_int {
    LOG_FD.load(Ordering::Relaxed)
}

pub(crate) fn log_identity() -> (u64, u64) {
    (LOG_DEV.load(Ordering::Relaxed), LOG_INO.load(Ordering::Relaxed))
}

/// `LARDER_TRACE_LOG=<log>`
pub(crate) fn trace_entry() -> *const c_char {
    TRACE.ptr()
}

/// `LD_PRELOAD=<this object>`
pub(crate) fn preload_entry() -> *const c_char {
    PRELOADED.ptr()
}

/// The program interpreter (dynamic loader) that runs this process; empty if unknown.
pub(crate) fn interpreter() -> *const c_char {
    INTERPRETER.ptr()
}

#[repr(C)]
struct DlInfo {
    file: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

#[link(name = "dl")]
unsafe extern "C" {
    fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
}

/// The path by which this object was loaded: the text of its `LD_PRELOAD` entry.
fn own_path() -> *const c_char {
    let mut info = DlInfo {
        file: core::ptr::null(),
        base: core::ptr::null_mut(),
        symbol: core::ptr::null(),
        address: core::ptr::null_mut(),
    };
    let here: *const c_void = (&raw const STATE).cast();
    if unsafe { dladdr(here, &raw mut info) } == 0 { core::ptr::null() } else { info.file }
}

/// Whether `name` is this object's own.
pub(crate) fn is_self(name: &[u8]) -> bool {
    unsafe { sys::bytes(preload_entry().add(PRELOAD.len())) == name }
}
