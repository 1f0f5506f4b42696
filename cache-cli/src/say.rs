//! What commands print.
//!
//! `println!` panics where nobody reads any more, as behind `larder stats | head`.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Prints, as `print!` does.
macro_rules! say {
    ($($what:tt)*) => { $crate::say::out(format_args!($($what)*)) };
}

/// Prints a line, as `println!` does.
macro_rules! sayln {
    ($($what:tt)*) => { $crate::say::out(format_args!("{}\n", format_args!($($what)*))) };
}

/// Whoever has read enough is told no more; the command goes on, for what it does counts too. What cannot be
/// written for another reason (a full disk) ends it.
pub(crate) fn out(what: Arguments<'_>) {
    let mut stdout = std::io::stdout();
    match stdout.write_fmt(what).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("larder: standard output: {error}");
            std::process::exit(1);
        }
        Ok(()) | Err(_) => {}
    }
}
