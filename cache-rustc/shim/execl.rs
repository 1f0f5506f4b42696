//! `execl`, `execlp` and `execle`, whose arguments are a list in the call itself.
//!
//! The entries spill the argument registers and hand on two places to read from: the registers, then the
//! caller's stack. (Variadic functions cannot be defined in stable Rust.)

use crate::exec::{execve, execvpe};
use crate::{environ, sys};
use core::ffi::{c_char, c_int};

type Str = *const c_char;

#[cfg(target_arch = "x86_64")]
const REGISTERS: usize = 5;
#[cfg(target_arch = "aarch64")]
const REGISTERS: usize = 7;

macro_rules! entry {
    ($name:ident, $then:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                "push r9", "push r8", "push rcx", "push rdx", "push rsi",
                "mov rsi, rsp",
                "lea rdx, [rsp + 48]",
                "call {then}",
                "add rsp, 40",
                "ret",
                then = sym $then,
            )
        }
        #[cfg(target_arch = "aarch64")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                "stp x29, x30, [sp, #-80]!", "stp x1, x2, [sp, #16]", "stp x3, x4, [sp, #32]",
                "stp x5, x6, [sp, #48]", "str x7, [sp, #64]",
                "add x1, sp, #16",
                "add x2, sp, #80",
                "bl {then}",
                "ldp x29, x30, [sp], #80",
                "ret",
                then = sym $then,
            )
        }
    };
}

entry!(execl, with_list);
entry!(execlp, with_list_searching);
entry!(execle, with_list_and_env);

/// The arguments after the first: those from registers, then those on the caller's stack.
#[derive(Clone, Copy)]
struct List {
    registers: *const Str,
    stack: *const Str,
}

impl List {
    unsafe fn get(self, i: usize) -> Str {
        unsafe {
            if i < REGISTERS { *self.registers.add(i) } else { *self.stack.add(i - REGISTERS) }
        }
    }
    unsafe fn len(self) -> usize {
        let mut n = 0;
        while !unsafe { self.get(n) }.is_null() {
            n += 1;
        }
        n
    }
}

unsafe extern "C" fn with_list(file: Str, registers: *const Str, stack: *const Str) -> c_int {
    unsafe { with_array(List { registers, stack }, |args| execve(file, args, environ::current())) }
}

unsafe extern "C" fn with_list_searching(
    file: Str,
    registers: *const Str,
    stack: *const Str,
) -> c_int {
    unsafe { with_array(List { registers, stack }, |args| execvpe(file, args, environ::current())) }
}

unsafe extern "C" fn with_list_and_env(
    file: Str,
    registers: *const Str,
    stack: *const Str,
) -> c_int {
    unsafe {
        let list = List { registers, stack };
        let env = list.get(list.len() + 1);
        with_array(list, |args| execve(file, args, env.cast()))
    }
}

const ON_STACK: usize = 128;

unsafe fn with_array(list: List, then: impl FnOnce(*const Str) -> c_int) -> c_int {
    unsafe {
        let n = list.len() + 1;
        let mut stack = [core::ptr::null(); ON_STACK];
        let mapped = n > ON_STACK;
        let table: *mut Str = if mapped { sys::map(n * 8).cast() } else { stack.as_mut_ptr() };
        if table.is_null() {
            sys::set_errno(12); // ENOMEM
            return -1;
        }
        for i in 0..n {
            *table.add(i) = list.get(i);
        }
        let r = then(table);
        if mapped {
            sys::unmap(table.cast(), n * 8);
        }
        r
    }
}
