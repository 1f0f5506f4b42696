//! `cargo fuzz run bundle_places`; without libFuzzer there is nothing to run here, see `smoke`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| larder_fuzz::bundle::places::check(data));

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("run with `cargo fuzz run bundle_places`, or `cargo run --release --bin smoke`");
    std::process::exit(2);
}
