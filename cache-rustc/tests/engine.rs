//! The engine as a library: any store, no command line, no file access to blobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_rustc::engine::{CollectedStreams, Engine, Miss, Mode, Options, Report, Request, Served};
use cache_storage::{MemoryStore, Store};

/// A checkout with one library, and where cargo would put its target directory.
struct Checkout {
    root: PathBuf,
}

impl Checkout {
    fn new(dir: &Path, name: &str) -> std::io::Result<Self> {
        let root = dir.join(name);
        std::fs::create_dir_all(root.join("src"))?;
        std::fs::create_dir_all(root.join("target/debug/deps"))?;
        std::fs::write(root.join("target/CACHEDIR.TAG"), "")?;
        std::fs::write(root.join("src/lib.rs"), "mod part;\npub fn f() -> u32 { part::N }\n")?;
        std::fs::write(root.join("src/part.rs"), "pub const N: u32 = 1;\nfn unused() {}\n")?;
        Ok(Self { root })
    }

    fn deps(&self) -> PathBuf {
        self.root.join("target/debug/deps")
    }

    fn request(&self, extra: &[&str]) -> Request {
        let mut argv: Vec<_> =
            "rustc --crate-name unit --edition=2021 src/lib.rs --error-format=json \
             --json=diagnostic-rendered-ansi,artifacts --crate-type lib \
             --emit=dep-info,metadata,link -C extra-filename=-1 --out-dir"
                .split_whitespace()
                .map(Into::into)
                .collect();
        argv.push(self.deps().into());
        argv.extend(extra.iter().map(Into::into));
        let env = std::env::vars_os().filter(|(name, _)| name != "RUSTC_LOG").collect();
        Request { argv, cwd: self.root.clone(), env }
    }
}

struct Lab {
    dir: tempfile::TempDir,
    store: Arc<dyn Store>,
}

impl Lab {
    fn new() -> std::io::Result<Self> {
        Ok(Self { dir: tempfile::tempdir()?, store: Arc::new(MemoryStore::new()) })
    }

    fn engine(&self, change: impl FnOnce(&mut Options)) -> Engine {
        let mut options = Options::new(self.dir.path().join("state"));
        change(&mut options);
        Engine::new(self.store.clone(), options)
    }

    fn run(&self, checkout: &Checkout, extra: &[&str]) -> std::io::Result<(Report, String)> {
        run(&self.engine(|_| {}), checkout, extra)
    }
}

fn run(engine: &Engine, checkout: &Checkout, extra: &[&str]) -> std::io::Result<(Report, String)> {
    let streams = CollectedStreams::default();
    let done = engine.run(&checkout.request(extra), &streams)?;
    assert!(done.status.success(), "{streams:?}");
    let err = streams.err.into_inner().expect("no thread panicked");
    Ok((done.report, String::from_utf8_lossy(&err).into_owned()))
}

fn was_hit(report: &Report) -> bool {
    matches!(report.served, Served::Hit { .. })
}

#[test]
fn a_store_without_files_serves_another_checkout() -> std::io::Result<()> {
    let lab = Lab::new()?;
    let (first, second) =
        (Checkout::new(lab.dir.path(), "a")?, Checkout::new(lab.dir.path(), "b c")?);
    let (report, said) = lab.run(&first, &[])?;
    assert_eq!(report.served, Served::Miss { why: Miss::New, not_stored: None });
    let (report, said_again) = lab.run(&second, &[])?;
    assert!(was_hit(&report), "{report:?}");

    let here =
        |text: &str, checkout: &Checkout| text.replace(&*checkout.root.to_string_lossy(), "ROOT");
    assert_eq!(
        here(&said, &first),
        here(&said_again, &second),
        "streams are replayed for this place"
    );
    for file in ["libunit-1.rlib", "libunit-1.rmeta"] {
        assert_eq!(
            std::fs::read(first.deps().join(file))?,
            std::fs::read(second.deps().join(file))?
        );
    }
    let dep_info = std::fs::read_to_string(second.deps().join("unit-1.d"))?;
    let rule = format!("{}/unit-1.d: src/lib.rs src/part.rs\n", second.deps().display());
    assert!(dep_info.starts_with(&rule), "{dep_info}");
    Ok(())
}

#[test]
fn a_changed_module_is_a_miss_that_names_it() -> std::io::Result<()> {
    let lab = Lab::new()?;
    let checkout = Checkout::new(lab.dir.path(), "a")?;
    lab.run(&checkout, &[])?;
    std::fs::write(checkout.root.join("src/part.rs"), "pub const N: u32 = 2;\n")?;
    let (report, _) = lab.run(&checkout, &[])?;
    let Served::Miss { why: Miss::Changed(change), .. } = report.served else {
        panic!("{report:?}")
    };
    assert_eq!((change.kind, change.subject.as_str()), ("file", "{workspace}/src/part.rs"));
    Ok(())
}

#[test]
fn how_warnings_are_shown_matters_only_where_there_are_any() -> std::io::Result<()> {
    let lab = Lab::new()?;
    let checkout = Checkout::new(lab.dir.path(), "a")?;
    lab.run(&checkout, &["--diagnostic-width=80"])?;
    assert!(!was_hit(&lab.run(&checkout, &["--diagnostic-width=120"])?.0), "there is a warning");
    std::fs::write(checkout.root.join("src/part.rs"), "pub const N: u32 = 2;\n")?;
    lab.run(&checkout, &["--diagnostic-width=80"])?;
    assert!(was_hit(&lab.run(&checkout, &["--diagnostic-width=120"])?.0), "there is none");
    Ok(())
}

#[test]
fn without_a_tracer_dep_info_and_absent_modules_still_decide() -> std::io::Result<()> {
    let lab = Lab::new()?;
    let engine = lab.engine(|options| options.trace = false);
    let (first, second) =
        (Checkout::new(lab.dir.path(), "a")?, Checkout::new(lab.dir.path(), "b")?);
    run(&engine, &first, &[])?;
    assert!(was_hit(&run(&engine, &second, &[])?.0));
    std::fs::write(second.root.join("src/part.rs"), "pub const N: u32 = 3;\n")?;
    assert!(!was_hit(&run(&engine, &second, &[])?.0));
    Ok(())
}

#[test]
fn a_read_only_engine_stores_nothing() -> std::io::Result<()> {
    let lab = Lab::new()?;
    let engine = lab.engine(|options| options.mode = Mode::ReadOnly);
    let checkout = Checkout::new(lab.dir.path(), "a")?;
    run(&engine, &checkout, &[])?;
    assert!(!was_hit(&run(&engine, &checkout, &[])?.0));
    Ok(())
}
