//! A build tool that uses the cache without the CLI: `embed rustc ARGS` looks the compile up in the
//! store at `$EMBED_STORE`, restores it or executes and stores it, and says which.

use std::process::ExitCode;
use std::sync::Arc;

use cache_rustc::engine::{
    Engine, Found, Options, Prepared, Report, Request, Served, StdStreams, exec,
};
use cache_storage::{DiskOptions, DiskStore};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let place = std::env::var_os("EMBED_STORE").ok_or("EMBED_STORE names no directory")?;
    let store = DiskStore::open(&place, DiskOptions::default())?;
    let state = store.root().join("embed-state");
    let engine = Engine::new(Arc::new(store), Options::new(state));
    let request = Request::from_process(std::env::args_os().skip(1).collect())?;
    let unit = match engine.prepare(&request) {
        Prepared::Unit(unit) => unit,
        Prepared::Through(through) => return Err(exec(&through, &request).into()),
    };
    let mut report = Report::default();
    let why = match engine.look_up(&unit) {
        Found::Miss(why) => why,
        Found::Hit(hit) => {
            engine.restore(&unit, &hit, &StdStreams, &mut report)?;
            println!("{}: restored", unit.name());
            return Ok(ExitCode::SUCCESS);
        }
    };
    let status = engine.execute(&unit, why, &StdStreams, &mut report)?;
    if let Served::Miss { why, not_stored } = report.served {
        println!("{}: executed ({why:?}), not stored: {not_stored:?}", unit.name());
    }
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1))?))
}
