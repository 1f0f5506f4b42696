//! The little that is asked of ELF files: which dynamic loader runs a program, and whether an object reads
//! the environment behind `getenv`'s back.

use super::parts::text;
use object::elf::{FileHeader64, PT_INTERP, SHT_DYNSYM, SHT_SYMTAB};
use object::read::elf::{FileHeader, ProgramHeader, Sym};
use object::{Endianness, ReadCache, ReadRef};
use std::fs::File;
use std::io;
use std::path::Path;

type Header = FileHeader64<Endianness>;

/// The longest `#!` line the kernel reads (`BINPRM_BUF_SIZE`), and how deep it follows such lines.
const SCRIPT_LINE: u64 = 256;
const SCRIPTS: u8 = 5;

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The dynamic loader that a program asks for (its `PT_INTERP`), as the path in its header; `None` for a
/// static program. Scripts are followed to their interpreter.
///
/// # Errors
/// What reading gives, and `InvalidData` for a file that is neither a 64-bit ELF file of this machine nor a script.
pub fn loader(program: &Path) -> io::Result<Option<Vec<u8>>> {
    loader_within(program, SCRIPTS)
}

fn loader_within(program: &Path, scripts: u8) -> io::Result<Option<Vec<u8>>> {
    let cache = ReadCache::new(File::open(program)?);
    let size = (&cache).len().map_err(|()| bad("no size"))?.min(SCRIPT_LINE);
    let start = (&cache).read_bytes_at(0, size).map_err(|()| bad("unreadable"))?;
    if let Some(line) = start.strip_prefix(b"#!") {
        let word = line.split(|b| b" \t\n\0".contains(b)).find(|word| !word.is_empty());
        let next = word
            .filter(|_| scripts > 0)
            .ok_or_else(|| bad("script without a usable interpreter"))?;
        return loader_within(Path::new(&text(next)), scripts - 1);
    }
    let header = Header::parse(&cache).map_err(|_| bad("not a 64-bit ELF file"))?;
    let endian = header.endian().map_err(|_| bad("not an ELF file"))?;
    if header.e_machine(endian) != MACHINE {
        return Err(bad("for another machine"));
    }
    for segment in header.program_headers(endian, &cache).map_err(|_| bad("damaged ELF file"))? {
        if segment.p_type(endian) == PT_INTERP {
            let name = segment.interpreter(endian, &cache).map_err(|_| bad("damaged ELF file"))?;
            return Ok(name.map(<[u8]>::to_vec));
        }
    }
    Ok(None)
}

#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = object::elf::EM_AARCH64;
#[cfg(not(target_arch = "aarch64"))]
const MACHINE: u16 = object::elf::EM_X86_64;

/// Whether a Rust program may go through its environment with `std::env::vars` or `vars_os`, of which no
/// `getenv` tells. What only hands its environment on to programs that it starts uses `environ` too, but not
/// these iterators; std's code for that has them inlined.
///
/// # Errors
/// What reading gives, and `InvalidData` for what is no 64-bit ELF file with symbols. Take an error as "yes".
pub fn iterates_environ(program: &Path) -> io::Result<bool> {
    let cache = ReadCache::new(File::open(program)?);
    any_symbol(&cache, SHT_SYMTAB, |name, _| {
        let has = |part: &[u8]| memchr::memmem::find(name, part).is_some();
        // `std::env::Vars` and `VarsOs` in both of rustc's manglings.
        let new = has(b"3std3env") && (has(b"4Vars") || has(b"6VarsOs"));
        (new || has(b"std..env..Vars")) && !has(b"drop_in_place")
    })
}

/// Whether a shared object uses `environ` directly (or `__environ`, `_environ`), and so can read variables
/// that no `getenv` tells of: `std::env::vars` does. Meant for what was loaded with `dlopen`, like procedural
/// macros: most use `getenv` only, whereas every whole program's start-up code has `environ`.
///
/// # Errors
/// What reading gives, and `InvalidData` for what is no 64-bit ELF file with a dynamic symbol table. Take an
/// error as "yes".
pub fn imports_environ(object: &Path) -> io::Result<bool> {
    let cache = ReadCache::new(File::open(object)?);
    any_symbol(&cache, SHT_DYNSYM, |name, undefined| {
        undefined && matches!(name, b"environ" | b"__environ" | b"_environ")
    })
}

/// Whether some symbol of a table is wanted, by its name and whether it is undefined.
fn any_symbol(
    cache: &ReadCache<File>,
    table: u32,
    wanted: impl Fn(&[u8], bool) -> bool,
) -> io::Result<bool> {
    let header = Header::parse(cache).map_err(|_| bad("not a 64-bit ELF file"))?;
    let endian = header.endian().map_err(|_| bad("not an ELF file"))?;
    let sections = header.sections(endian, cache).map_err(|_| bad("damaged section table"))?;
    let symbols =
        sections.symbols(endian, cache, table).map_err(|_| bad("damaged symbol table"))?;
    if symbols.is_empty() {
        return Err(bad("no such symbol table"));
    }
    for symbol in symbols.iter() {
        let name =
            symbol.name(endian, symbols.strings()).map_err(|_| bad("damaged symbol table"))?;
        if wanted(name, symbol.is_undefined(endian)) {
            return Ok(true);
        }
    }
    Ok(false)
}
