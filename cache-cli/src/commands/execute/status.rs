//! `larder execute status`: what the engine can do, and what the agent has had of it.

use std::time::Duration;

use anyhow::Result;
use cache_dist::{Client, ReapiConfig, ServerCapabilities};
use serde_json::{Value, json};

use crate::agent::{self, Got, Reply};
use crate::config::Config;
use crate::{places, text};

/// Prints it.
///
/// # Errors
/// When the engine gives no answer.
pub(super) async fn print(config: &ReapiConfig, json: bool) -> Result<bool> {
    let client = Client::open(config)?;
    let can = client.capabilities().await?;
    let figures = figures();
    if json {
        let priorities: Vec<_> = can.priorities.iter().map(|p| [*p.start(), *p.end()]).collect();
        let status = json!({
            "version": 1,
            "url": config.url,
            "api": [can.api.0, can.api.1],
            "digest_function": can.digest_function.to_string(),
            "batch": can.batch,
            "largest_blob": can.largest_blob,
            "zstd": { "streams": can.zstd_streams, "batches": can.zstd_batches },
            "execute": can.execute,
            "update_results": can.update_results,
            "priorities": priorities,
            "agent": figures,
        });
        sayln!("{status:#}");
    } else {
        sayln!("Engine {}: {}", config.url, in_words(can));
        say!("{}", figures.as_ref().map_or_else(String::new, as_text));
    }
    Ok(true)
}

/// What an agent says that runs; none is started for it.
fn figures() -> Option<Value> {
    let config = Config::load();
    let state = places::open(&config).0?.state;
    let mut asked = agent::ask_engine(&config, state)?;
    match asked.reply(Duration::from_secs(5)) {
        Got::Reply(Reply::Status(status)) => Some(status),
        Got::Reply(_) | Got::Nothing | Got::Gone => None,
    }
}

fn as_text(status: &Value) -> String {
    let number = |name: &str| status[name].as_u64().unwrap_or(0);
    let mut out = String::new();
    let mut line = |name: &str, said: String| out += &format!("{name:<11} {said}\n");
    let (done, given_up) = (number("done"), number("given_up"));
    line(
        "Units",
        format!(
            "{done} compiled ({} had been before), {given_up} given up as this machine was faster, \
             {} sent once more as they did not end, {} under way of at most {}",
            number("cached"),
            number("sent_again"),
            number("in_flight"),
            number("at_once"),
        ),
    );
    for (name, key) in [("Failed", "failed"), ("Not sent", "refused")] {
        let reasons = status[key].as_object().into_iter().flatten();
        let reasons: Vec<_> = reasons.map(|(why, count)| format!("{count} {why}")).collect();
        if !reasons.is_empty() {
            line(name, reasons.join(", "));
        }
    }
    if let Some(trouble) = status["trouble"].as_str() {
        line("Trouble", format!("{trouble}; it is left alone for a while"));
    }
    line("Uploaded", uploaded(&status["uploaded"]));
    line("Toolchain", uploaded(&status["toolchain"]));
    line("Downloaded", text::bytes(number("downloaded")));
    let us = |name: &str| status["time_us"][name].as_u64().unwrap_or(0);
    if done > 0 {
        let mean = |name: &str| text::micros(us(name) / done);
        line(
            "A unit took",
            format!(
                "{} on average: {} its tree, {} uploading, {} in the queue (at most {}), {} bringing \
                 it to the worker, {} compiling, {} bringing outputs back",
                mean("total"),
                mean("tree"),
                mean("uploading"),
                mean("queued"),
                text::micros(us("longest_queued")),
                mean("staging"),
                mean("run"),
                mean("collecting"),
            ),
        );
    }
    for worker in status["workers"].as_array().into_iter().flatten() {
        let name = worker["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("unnamed");
        let speed = worker["speed"].as_f64();
        let speed = speed.map_or_else(
            || "speed not known yet".to_owned(),
            |speed| format!("{speed:.2} times as fast as this machine"),
        );
        let actions = text::count(worker["actions"].as_u64().unwrap_or(0), "action");
        line("Worker", format!("{name}: {actions}, {speed}"));
    }
    for build in status["builds"].as_array().into_iter().flatten() {
        let units = text::count(build["units"].as_u64().unwrap_or(0), "unit");
        let longest = text::micros(build["longest_us"].as_u64().unwrap_or(0));
        let target = build["target"].as_str().unwrap_or_default();
        line("Builds", format!("{target}: {units}, the longest path takes {longest} here"));
    }
    out
}

fn uploaded(uploaded: &Value) -> String {
    let number = |name: &str| uploaded[name].as_u64().unwrap_or(0);
    let blobs = text::count(number("blobs"), "blob");
    format!("{} in {blobs}; {} were there", text::bytes(number("bytes")), number("found"))
}

/// What an engine can do, in a line.
pub(super) fn in_words(can: &ServerCapabilities) -> String {
    let mut parts = Vec::new();
    if !can.api.1.is_empty() {
        parts.push(format!("API {} to {}", can.api.0, can.api.1));
    }
    parts.push(can.digest_function.to_string());
    parts.push(format!("batches of {}", text::bytes(can.batch)));
    if can.zstd_streams || can.zstd_batches {
        parts.push("zstd".into());
    }
    parts.push(if can.execute { "executes" } else { "a cache only" }.into());
    parts.join(", ")
}
