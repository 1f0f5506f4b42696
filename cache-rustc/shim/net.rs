//! Reaching out: connects, datagrams with an address, and name look-ups (which connect inside the C library).
//!
//! A CONNECT record has the address family in `arg`, and as its path the socket's path (`AF_UNIX`, with a
//! leading `@` for an abstract name), the raw port and address as they lie in `sockaddr` (`AF_INET`,
//! `AF_INET6`), or the host name that is looked up (family 0).

use crate::log::{self, Record};
use crate::{path, real, state, sys};
use core::ffi::{c_char, c_int, c_uint, c_void};

const AF_UNIX: u16 = 1;

pub(crate) unsafe fn contacted(address: *const c_void, len: usize, errno: u16) {
    if address.is_null() || len < 2 || errno == sys::EFAULT || !state::active() {
        return;
    }
    let raw: &[u8] = unsafe { core::slice::from_raw_parts(address.cast(), len.min(128)) };
    let [a, b, rest @ ..] = raw else { return };
    let family = u16::from_ne_bytes([*a, *b]);
    let text = |p: [&[u8]; 3]| {
        Record { errno, arg: u32::from(family), ..Record::new(log::CONNECT, p) }.emit_once();
    };
    match (family, rest) {
        (AF_UNIX, [0, name @ ..]) => text([b"@", name, &[]]),
        (AF_UNIX, name) => {
            let name = name.split(|&b| b == 0).next().unwrap_or(&[]);
            let mut z = [0u8; 128];
            for (to, from) in z.iter_mut().zip(name.iter().take(127)) {
                *to = *from;
            }
            unsafe { path::absolute(sys::AT_FDCWD, z.as_ptr().cast(), text) };
        }
        (_, rest) => text([rest, &[], &[]]),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn connect(fd: c_int, address: *const c_void, len: c_uint) -> c_int {
    let Some(f) = real::CONNECT.get() else { return -1 };
    let r = unsafe { f(fd, address, len) };
    unsafe { contacted(address, len as usize, sys::errno_if(r != 0)) };
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendto(
    fd: c_int,
    data: *const c_void,
    n: usize,
    flags: c_int,
    address: *const c_void,
    len: c_uint,
) -> isize {
    let Some(f) = real::SENDTO.get() else { return -1 };
    let r = unsafe { f(fd, data, n, flags, address, len) };
    unsafe { contacted(address, len as usize, sys::errno_if(r < 0)) };
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const c_void,
    found: *mut c_void,
) -> c_int {
    if state::active() && !node.is_null() {
        Record::new(log::CONNECT, [unsafe { sys::bytes(node) }, &[], &[]]).emit_once();
    }
    let Some(f) = real::GETADDRINFO.get() else { return -11 }; // EAI_SYSTEM
    unsafe { f(node, service, hints, found) }
}
