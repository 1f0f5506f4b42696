//! Reading environment variables by name.
//!
//! The value is not logged, only its length and a hash: enough for the reader of the log to tell whether
//! it is the value the process was started with, or one that the process set itself.
//!
//! After a `dlopen` each name is logged again when it is read again: the new code may be somebody else's,
//! and what the program asks for in passing may be an input there.

use crate::filter::Fnv;
use crate::log::{self, Record};
use crate::{objects, real, state, sys};
use core::ffi::c_char;

fn note(name: *const c_char, value: *const c_char) {
    if !state::active() {
        return;
    }
    let name = [unsafe { sys::bytes(name) }, &[], &[]];
    if value.is_null() {
        return Record { detail: objects::opened(), errno: sys::ENOENT, ..Record::new(log::ENV, name) }.emit_once();
    }
    let value = unsafe { sys::bytes(value) };
    let hash = Fnv::new().add(value).0.to_le_bytes();
    let detail = objects::opened();
    Record { detail, arg: value.len() as u32, extra: &hash, ..Record::new(log::ENV, name) }.emit_once();
}

macro_rules! hooks {
    ($($name:ident = $slot:ident;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(name: *const c_char) -> *mut c_char {
            state::active(); // the program must not see the tracer's own entries
            let Some(f) = real::$slot.get() else { return core::ptr::null_mut() };
            let value = unsafe { f(name) };
            note(name, value);
            value
        }
    )* };
}
hooks! { getenv = GETENV; secure_getenv = SECURE_GETENV; __secure_getenv = SECURE_GETENV; }
