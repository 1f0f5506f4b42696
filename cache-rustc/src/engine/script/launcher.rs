//! What lies at a compiled build script's output path: a shell script that has the run served from
//! the cache, or runs the script itself where that is not possible any more.
//!
//! The compiled script lies beside it. A target directory stays good for plain cargo: without the
//! program that the launcher names, or without a wrapper set, the compiled script runs.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cache_storage::StoreError;

use super::super::blobs::write_beside;

/// What the file name of a compiled script has behind the name of its launcher.
const REAL: &str = ".real";

/// Where the compiled script of a launcher is.
#[must_use]
pub fn real(launcher: &Path) -> PathBuf {
    let mut path = OsString::from(launcher);
    path.push(REAL);
    path.into()
}

/// Moves the script that was just compiled aside and puts the launcher in its place.
///
/// # Errors
/// What the file system says; the compiled script is then where it was.
pub fn install(script: &Path, program: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::write(script.display().to_string(), error);
    let aside = real(script);
    std::fs::rename(script, &aside).map_err(failed)?;
    write(script, program).inspect_err(|_| {
        let _ = std::fs::rename(&aside, script);
    })
}

/// Writes a launcher; the compiled script is already in its place.
///
/// # Errors
/// What the file system says.
pub fn write(launcher: &Path, program: &Path) -> Result<(), StoreError> {
    let text = text(launcher.file_name().unwrap_or_default(), program);
    write_beside(launcher, 0o755, |file| {
        file.write_all(&text)
            .map_err(|error| StoreError::write(launcher.display().to_string(), error))
    })
}

/// The launcher of the compiled script `name`, for a program that understands
/// `PROGRAM build-script REAL NAME ARGS…`. cargo tells build scripts of its wrapper in `RUSTC_WRAPPER`
/// and `RUSTC_WORKSPACE_WRAPPER` (the cargo book, "Environment variables Cargo sets for build scripts").
fn text(name: &OsStr, program: &Path) -> Vec<u8> {
    let real = real(Path::new(name));
    let parts: [&[u8]; 9] = [
        b"#!/bin/sh\n# Serves this build script's run from larder's cache; the script itself is beside it.\nreal=\"${0%/*}/\"",
        &quoted(real.as_os_str()),
        b"\nlarder=",
        &quoted(program.as_os_str()),
        b"\nif [ -n \"$RUSTC_WRAPPER$RUSTC_WORKSPACE_WRAPPER\" ] && [ -x \"$larder\" ]; then\n",
        b"    exec \"$larder\" build-script \"$real\" \"$0\" \"$@\"\n",
        b"fi\n",
        b"exec \"$real\" \"$@\"",
        b"\n",
    ];
    parts.concat()
}

/// A word as sh(1) takes it literally.
fn quoted(word: &OsStr) -> Vec<u8> {
    let inner = word.as_bytes().split(|b| *b == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..]);
    [b"'", inner.as_slice(), b"'"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Runs the launcher of a script that says its own name, with this program in front.
    fn run(dir: &Path, program: &str, wrapper: Option<&str>) -> String {
        let launcher = dir.join("it's a script");
        std::fs::write(&launcher, "#!/bin/sh\necho real \"$@\"\n").expect("script");
        let made = Command::new("chmod").arg("+x").arg(&launcher).status().expect("chmod");
        assert!(made.success());
        install(&launcher, Path::new(program)).expect("installed");
        let mut command = Command::new(&launcher);
        command.arg("a b").env_remove("RUSTC_WRAPPER").env_remove("RUSTC_WORKSPACE_WRAPPER");
        command.envs(wrapper.map(|wrapper| ("RUSTC_WRAPPER", wrapper)));
        String::from_utf8(command.output().expect("runs").stdout).expect("text")
    }

    #[test]
    fn the_program_serves_the_run() {
        let dir = tempfile::tempdir().expect("dir");
        let said = run(dir.path(), "/bin/echo", Some("larder"));
        let path = dir.path().join("it's a script").display().to_string();
        assert_eq!(said, format!("build-script {path}.real {path} a b\n"));
    }

    #[test]
    fn the_script_runs_by_itself_without_the_program_or_a_wrapper() {
        for (program, wrapper) in [("/nonexistent/larder", Some("larder")), ("/bin/echo", None)] {
            let dir = tempfile::tempdir().expect("dir");
            assert_eq!(run(dir.path(), program, wrapper), "real a b\n");
        }
    }
}
