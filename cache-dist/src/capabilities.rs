//! What an engine can do.

use std::ops::RangeInclusive;

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::build::bazel::semver::SemVer;

use crate::{DigestFunction, ReapiConfig, RemoteError, Result};

/// A batch's length where the server names none: gRPC's customary limit on messages is 4 MiB, of
/// which names and headers need a little.
const USUAL_BATCH: u64 = 4 << 20;
/// What a message may need beside the bytes of blobs.
const MARGIN: u64 = 32 << 10;

/// What an engine can do, and what of it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCapabilities {
    /// How blobs are named.
    pub digest_function: DigestFunction,
    /// The most bytes of blobs in one batch; what is larger is streamed.
    pub batch: u64,
    /// The largest blob that the server takes, where it says so.
    pub largest_blob: Option<u64>,
    /// Blobs can be streamed as zstd frames (RFC 8878).
    pub zstd_streams: bool,
    /// Blobs in batches can be zstd frames.
    pub zstd_batches: bool,
    /// Results of actions can be written by clients; `None` when the server does not say.
    pub update_results: Option<bool>,
    /// Actions can be executed.
    pub execute: bool,
    /// The priorities that executions may have; empty if they have none.
    pub priorities: Vec<RangeInclusive<i32>>,
    /// Oldest and newest version of the API, as `MAJOR.MINOR.PATCH`; empty where not told.
    pub api: (String, String),
}

impl ServerCapabilities {
    /// Reads the server's answer in the light of the configuration.
    ///
    /// # Errors
    /// [`RemoteError::Misconfigured`] when no digest function suits both, or the server speaks no
    /// version 2 of the API.
    pub(crate) fn read(answer: &pb::ServerCapabilities, config: &ReapiConfig) -> Result<Self> {
        check_versions(answer)?;
        let cache = answer.cache_capabilities.clone().unwrap_or_default();
        let execution = answer.execution_capabilities.as_ref().filter(|e| e.exec_enabled);
        let compress = config.compression()?;
        let zstd = i32::from(pb::compressor::Value::Zstd);
        let streams = compress && cache.supported_compressors.contains(&zstd);
        let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
        let limit = positive(cache.max_batch_total_size_bytes).unwrap_or(USUAL_BATCH);
        Ok(Self {
            digest_function: choose_digest(&cache, execution, config.digest()?)?,
            batch: limit.min(USUAL_BATCH).saturating_sub(MARGIN).max(limit.min(MARGIN) / 2),
            largest_blob: positive(cache.max_cas_blob_size_bytes),
            zstd_streams: streams,
            zstd_batches: compress && cache.supported_batch_update_compressors.contains(&zstd),
            update_results: cache
                .action_cache_update_capabilities
                .as_ref()
                .map(|update| update.update_enabled),
            execute: execution.is_some(),
            priorities: execution.map(priorities).unwrap_or_default(),
            api: (
                answer.low_api_version.as_ref().map(version).unwrap_or_default(),
                answer.high_api_version.as_ref().map(version).unwrap_or_default(),
            ),
        })
    }

    /// What is assumed of a server that does not know the question: the least that version 2.0
    /// asks for.
    pub(crate) fn unknown(config: &ReapiConfig) -> Result<Self> {
        Self::read(&pb::ServerCapabilities::default(), config)
    }
}

fn version(version: &SemVer) -> String {
    format!("{}.{}.{}", version.major, version.minor, version.patch)
}

fn check_versions(answer: &pb::ServerCapabilities) -> Result<()> {
    let low = answer.low_api_version.as_ref().map_or(2, |version| version.major);
    let high = answer.high_api_version.as_ref().map_or(2, |version| version.major);
    // Proxies that fill in nothing say 0 to 0.
    if (low <= 2 && 2 <= high) || (low, high) == (0, 0) {
        return Ok(());
    }
    let reason = format!("the server speaks versions {low} to {high} of the API, not 2");
    Err(RemoteError::misconfigured("url", reason))
}

/// BLAKE3 where it can be had, since larder's blobs have that name already; else SHA-256.
fn choose_digest(
    cache: &pb::CacheCapabilities,
    execution: Option<&pb::ExecutionCapabilities>,
    asked: Option<DigestFunction>,
) -> Result<DigestFunction> {
    let offered = |function: DigestFunction| {
        let number = function.number();
        let stores = cache.digest_functions.contains(&number)
            // Servers older than the list have SHA-256.
            || (cache.digest_functions.is_empty() && function == DigestFunction::Sha256);
        let executes = execution.is_none_or(|execution| {
            execution.digest_functions.contains(&number)
                || execution.digest_function == number
                || (execution.digest_function == 0 && function == DigestFunction::Sha256)
        });
        stores && executes
    };
    let wanted = match asked {
        Some(function) => vec![function],
        None => vec![DigestFunction::Blake3, DigestFunction::Sha256],
    };
    wanted.iter().copied().find(|function| offered(*function)).ok_or_else(|| {
        let names: Vec<String> = cache
            .digest_functions
            .iter()
            .map(|number| match pb::digest_function::Value::try_from(*number) {
                Ok(value) => value.as_str_name().to_owned(),
                Err(_) => number.to_string(),
            })
            .collect();
        let words: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        RemoteError::misconfigured(
            crate::config::option_name("digest"),
            format!("the server offers {}, not {}", names.join(", "), words.join(" or ")),
        )
    })
}

fn priorities(execution: &pb::ExecutionCapabilities) -> Vec<RangeInclusive<i32>> {
    let given = execution.execution_priority_capabilities.clone().unwrap_or_default();
    given.priorities.iter().map(|range| range.min_priority..=range.max_priority).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cache: pb::CacheCapabilities) -> pb::ServerCapabilities {
        pb::ServerCapabilities { cache_capabilities: Some(cache), ..Default::default() }
    }

    fn functions(functions: &[DigestFunction]) -> pb::CacheCapabilities {
        pb::CacheCapabilities {
            digest_functions: functions.iter().map(|function| function.number()).collect(),
            ..Default::default()
        }
    }

    fn read(answer: &pb::ServerCapabilities) -> ServerCapabilities {
        ServerCapabilities::read(answer, &ReapiConfig::new("grpc://h:1")).unwrap()
    }

    #[test]
    fn the_digest_function_is_one_that_all_parts_have() {
        use DigestFunction::{Blake3, Sha256};
        assert_eq!(read(&answer(functions(&[]))).digest_function, Sha256);
        assert_eq!(read(&answer(functions(&[Sha256]))).digest_function, Sha256);
        let mut both = answer(functions(&[Sha256, Blake3]));
        assert_eq!(read(&both).digest_function, Blake3);
        both.execution_capabilities = Some(pb::ExecutionCapabilities {
            exec_enabled: true,
            digest_function: Sha256.number(),
            ..Default::default()
        });
        assert_eq!(read(&both).digest_function, Sha256, "executions know SHA-256 only");
        let config = ReapiConfig::new("grpc://h:1").with_option("digest", "blake3");
        let error = ServerCapabilities::read(&both, &config).unwrap_err().to_string();
        assert!(error.starts_with("option digest: the server offers SHA256, BLAKE3"), "{error}");
    }

    #[test]
    fn batches_stay_below_each_limit() {
        let batch = |limit| {
            let cache =
                pb::CacheCapabilities { max_batch_total_size_bytes: limit, ..functions(&[]) };
            read(&answer(cache)).batch
        };
        assert_eq!(batch(0), (4 << 20) - (32 << 10), "no limit named");
        assert_eq!(batch(1 << 30), (4 << 20) - (32 << 10), "gRPC's own limit");
        assert_eq!(batch(64 << 10), 32 << 10, "a server with 64 KiB");
        for limit in [1, 1000, 40_000] {
            assert!(batch(limit) <= u64::try_from(limit).unwrap(), "{limit}");
        }
    }

    #[test]
    fn another_major_version_is_refused() {
        let version = |major| Some(SemVer { major, ..Default::default() });
        let mut answer = answer(functions(&[]));
        (answer.low_api_version, answer.high_api_version) = (version(3), version(3));
        let config = ReapiConfig::new("grpc://h:1");
        let error = ServerCapabilities::read(&answer, &config).unwrap_err();
        assert!(error.to_string().starts_with("url: the server speaks versions 3 to 3"), "{error}");
        (answer.low_api_version, answer.high_api_version) = (version(2), version(3));
        assert!(ServerCapabilities::read(&answer, &config).is_ok());
    }
}
