//! Shared objects: what the dynamic loader brought in. Its own opens cannot be interposed, so the objects
//! are listed at start-up, and after a `dlopen` at the next safe moment.
//!
//! `dlopen` finds its caller's search path by its return address, so the hook must leave that address
//! alone: it notes the call and jumps on. What was loaded is then listed at the next `dlopen` or `dlclose`,
//! or when the process ends.

use crate::log::{self, Record};
use crate::{path, real, state, sys};
use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

/// The process that has called `dlopen` since the last listing; 0 for none. Not a flag: the child of a
/// fork must not list, it might wait for a lock whose owner it has not got.
static PENDING: AtomicU32 = AtomicU32::new(0);

/// How often `dlopen` was called, modulo 256.
static OPENED: AtomicU8 = AtomicU8::new(0);

/// How often `dlopen` was called, modulo 256.
pub(crate) fn opened() -> u8 {
    OPENED.load(Relaxed)
}

/// The head of `struct dl_phdr_info`, link.h.
#[repr(C)]
struct Info {
    addr: usize,
    name: *const c_char,
    headers: *const ProgramHeader,
    count: u16,
}

/// `Elf64_Phdr`, elf.h.
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    file_size: u64,
    mem_size: u64,
    align: u64,
}

type Visit = unsafe extern "C" fn(*const Info, usize, *mut c_void) -> c_int;

#[link(name = "c")]
unsafe extern "C" {
    fn dl_iterate_phdr(visit: Visit, data: *mut c_void) -> c_int;
}

/// Logs every object in the process that was not logged yet.
pub(crate) fn list() {
    let errno = sys::errno();
    unsafe { dl_iterate_phdr(note, core::ptr::null_mut()) };
    sys::set_errno(errno);
}

unsafe extern "C" fn note(info: *const Info, _: usize, _: *mut c_void) -> c_int {
    let name = unsafe { (*info).name };
    let text = unsafe { sys::bytes(name) };
    // The program itself has no name, the kernel's vDSO no path.
    if text.contains(&b'/') && !state::is_self(text) {
        unsafe { path::absolute(sys::AT_FDCWD, name, |p| Record::new(log::LOADED, p).emit_once()) };
    }
    0
}

/// Lists if this very process has called `dlopen` since the last time.
pub(crate) fn list_if_pending() {
    if PENDING.load(Relaxed) == 0 || !state::active() {
        return;
    }
    if PENDING.load(Relaxed) == sys::getpid() {
        PENDING.store(0, Relaxed);
        list();
    }
}

/// The program's interpreter as its headers name it.
pub(crate) fn interpreter() -> Option<&'static [u8]> {
    let mut found: *const c_char = core::ptr::null();
    unsafe {
        dl_iterate_phdr(first, (&raw mut found).cast());
        (!found.is_null()).then(|| sys::bytes(found))
    }
}

unsafe extern "C" fn first(info: *const Info, _: usize, data: *mut c_void) -> c_int {
    unsafe {
        let info = &*info;
        for i in 0..usize::from(info.count) {
            let header = &*info.headers.add(i);
            if header.kind == 3 {
                *data.cast::<*const c_char>() =
                    (info.addr + header.vaddr as usize) as *const c_char;
            }
        }
    }
    1 // the program is the first
}

unsafe extern "C" fn before_dlopen(name: *const c_char, _: usize, _: usize) -> *mut c_void {
    note_dlopen(name);
    real::DLOPEN.address()
}

unsafe extern "C" fn before_dlmopen(_: usize, name: *const c_char, _: usize) -> *mut c_void {
    note_dlopen(name);
    real::DLMOPEN.address()
}

fn note_dlopen(name: *const c_char) {
    if !state::active() || name.is_null() {
        return;
    }
    list_if_pending();
    let text = unsafe { sys::bytes(name) };
    // Without a slash it is searched for; the listing tells what was found.
    if text.contains(&b'/') {
        unsafe { path::absolute(sys::AT_FDCWD, name, |p| Record::new(log::DLOPEN, p).emit_once()) };
    } else {
        Record::new(log::DLOPEN, [text, &[], &[]]).emit_once();
    }
    PENDING.store(sys::getpid(), Relaxed);
    OPENED.fetch_add(1, Relaxed);
}

/// Defines `$name` as: call `$before` with the caller's arguments, then jump where it says.
macro_rules! passing {
    ($name:ident, $before:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                "push rdi", "push rsi", "push rdx",
                "call {before}",
                "pop rdx", "pop rsi", "pop rdi",
                "jmp rax",
                before = sym $before,
            )
        }
        #[cfg(target_arch = "aarch64")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                "stp x29, x30, [sp, #-48]!", "stp x0, x1, [sp, #16]", "str x2, [sp, #32]",
                "bl {before}",
                "mov x16, x0",
                "ldp x0, x1, [sp, #16]", "ldr x2, [sp, #32]", "ldp x29, x30, [sp], #48",
                "br x16",
                before = sym $before,
            )
        }
    };
}

passing!(dlopen, before_dlopen);
passing!(dlmopen, before_dlmopen);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    list_if_pending();
    match real::DLCLOSE.get() {
        Some(f) => unsafe { f(handle) },
        None => -1,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _exit(code: c_int) -> ! {
    list_if_pending();
    sys::exit_group(code)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _Exit(code: c_int) -> ! {
    list_if_pending();
    sys::exit_group(code)
}
