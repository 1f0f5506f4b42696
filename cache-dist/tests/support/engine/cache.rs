//! Capabilities, blobs in batches, and results.

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::build::bazel::semver::SemVer;
use bazel_remote_apis::google::rpc;
use cache_dist::DigestFunction;
use futures::stream::BoxStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{State, locked};

type Answer<T> = Result<Response<T>, Status>;

impl State {
    /// Never returns for requests that are to hang.
    pub(super) async fn maybe_hang(&self, request: &str) {
        if self.quirks().hang.contains(&request) {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn check_instance(&self, instance: &str) -> Result<(), Status> {
        match self.quirks().instance {
            Some(only) if only != instance => {
                Err(Status::invalid_argument(format!("unknown instance {instance:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Takes a blob in, if its bytes are right.
    pub(super) fn store(
        &self,
        digest: &pb::Digest,
        travelled: &[u8],
        zstd: bool,
    ) -> Result<(), Status> {
        let bytes = match zstd {
            true => zstd::stream::decode_all(travelled)?,
            false => travelled.to_vec(),
        };
        let functions = [DigestFunction::Sha256, DigestFunction::Blake3];
        let right = |function: &DigestFunction| function.of(&bytes).hex() == digest.hash;
        if !functions.iter().any(right) {
            return Err(Status::invalid_argument("the bytes are not those of the digest"));
        }
        locked(&self.blobs).insert(digest.hash.clone(), bytes);
        Ok(())
    }
}

#[async_trait::async_trait]
impl pb::capabilities_server::Capabilities for State {
    async fn get_capabilities(
        &self,
        request: Request<pb::GetCapabilitiesRequest>,
    ) -> Answer<pb::ServerCapabilities> {
        self.note("GetCapabilities")?;
        self.maybe_hang("GetCapabilities").await;
        self.check_instance(&request.get_ref().instance_name)?;
        let quirks = self.quirks();
        let mut functions = vec![i32::from(pb::digest_function::Value::Sha256)];
        if quirks.blake3 {
            functions.push(pb::digest_function::Value::Blake3.into());
        }
        let zstd = if quirks.zstd { vec![pb::compressor::Value::Zstd.into()] } else { Vec::new() };
        let version = |major| Some(SemVer { major, ..SemVer::default() });
        Ok(Response::new(pb::ServerCapabilities {
            cache_capabilities: Some(pb::CacheCapabilities {
                digest_functions: functions.clone(),
                max_batch_total_size_bytes: quirks.batch,
                supported_compressors: zstd.clone(),
                supported_batch_update_compressors: zstd,
                ..Default::default()
            }),
            execution_capabilities: Some(pb::ExecutionCapabilities {
                exec_enabled: !quirks.no_execution,
                digest_function: functions[0],
                digest_functions: functions,
                ..Default::default()
            }),
            low_api_version: version(quirks.api.0),
            high_api_version: version(quirks.api.1),
            ..Default::default()
        }))
    }
}

#[async_trait::async_trait]
impl pb::content_addressable_storage_server::ContentAddressableStorage for State {
    async fn find_missing_blobs(
        &self,
        request: Request<pb::FindMissingBlobsRequest>,
    ) -> Answer<pb::FindMissingBlobsResponse> {
        self.note("FindMissingBlobs")?;
        self.maybe_hang("FindMissingBlobs").await;
        let quirks = self.quirks();
        let mut missing = request.into_inner().blob_digests;
        missing.retain(|digest| !quirks.claims_all && self.blob(Some(digest)).is_none());
        if quirks.names_others {
            missing.push(pb::Digest { hash: "ab".repeat(32), size_bytes: 7 });
        }
        Ok(Response::new(pb::FindMissingBlobsResponse { missing_blob_digests: missing }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<pb::BatchUpdateBlobsRequest>,
    ) -> Answer<pb::BatchUpdateBlobsResponse> {
        self.note("BatchUpdateBlobs")?;
        self.maybe_hang("BatchUpdateBlobs").await;
        let mut responses = Vec::new();
        for part in request.into_inner().requests {
            *locked(&self.received) += part.data.len() as u64;
            let digest = part.digest.unwrap_or_default();
            let zstd = part.compressor == i32::from(pb::compressor::Value::Zstd);
            let status = self.store(&digest, &part.data, zstd).err();
            let status = status.map(|status| rpc::Status {
                code: status.code().into(),
                message: status.message().to_owned(),
                details: Vec::new(),
            });
            responses
                .push(pb::batch_update_blobs_response::Response { digest: Some(digest), status });
        }
        Ok(Response::new(pb::BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<pb::BatchReadBlobsRequest>,
    ) -> Answer<pb::BatchReadBlobsResponse> {
        self.note("BatchReadBlobs")?;
        let request = request.into_inner();
        let zstd = i32::from(pb::compressor::Value::Zstd);
        let compress = self.quirks().zstd && request.acceptable_compressors.contains(&zstd);
        let part = |digest: pb::Digest| {
            let mut response = pb::batch_read_blobs_response::Response {
                digest: Some(digest.clone()),
                ..Default::default()
            };
            match self.blob(Some(&digest)) {
                None => {
                    let code = Code::NotFound.into();
                    response.status = Some(rpc::Status { code, ..Default::default() });
                }
                Some(bytes) if compress => {
                    response.data = zstd::bulk::compress(&bytes, 1).unwrap();
                    response.compressor = zstd;
                }
                Some(bytes) => response.data = bytes,
            }
            response
        };
        let responses = request.digests.into_iter().map(part).collect();
        Ok(Response::new(pb::BatchReadBlobsResponse { responses }))
    }

    type GetTreeStream = BoxStream<'static, Result<pb::GetTreeResponse, Status>>;

    async fn get_tree(&self, _: Request<pb::GetTreeRequest>) -> Answer<Self::GetTreeStream> {
        Err(Status::unimplemented(""))
    }

    type GetChunkMappingStream = BoxStream<'static, Result<pb::GetChunkMappingResponse, Status>>;

    async fn get_chunk_mapping(
        &self,
        _: Request<pb::GetChunkMappingRequest>,
    ) -> Answer<Self::GetChunkMappingStream> {
        Err(Status::unimplemented(""))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<pb::RegisterChunkMappingRequest>>,
    ) -> Answer<pb::RegisterChunkMappingResponse> {
        Err(Status::unimplemented(""))
    }

    async fn split_blob(&self, _: Request<pb::SplitBlobRequest>) -> Answer<pb::SplitBlobResponse> {
        Err(Status::unimplemented(""))
    }

    async fn splice_blob(
        &self,
        _: Request<pb::SpliceBlobRequest>,
    ) -> Answer<pb::SpliceBlobResponse> {
        Err(Status::unimplemented(""))
    }
}

#[async_trait::async_trait]
impl pb::action_cache_server::ActionCache for State {
    async fn get_action_result(
        &self,
        request: Request<pb::GetActionResultRequest>,
    ) -> Answer<pb::ActionResult> {
        self.note("GetActionResult")?;
        self.maybe_hang("GetActionResult").await;
        let digest = request.into_inner().action_digest.unwrap_or_default();
        let result = locked(&self.results).get(&digest.hash).cloned();
        result.map(Response::new).ok_or_else(|| Status::not_found("no result"))
    }

    async fn update_action_result(
        &self,
        request: Request<pb::UpdateActionResultRequest>,
    ) -> Answer<pb::ActionResult> {
        self.note("UpdateActionResult")?;
        let request = request.into_inner();
        let (digest, result) = (request.action_digest, request.action_result);
        let result = result.unwrap_or_default();
        locked(&self.results).insert(digest.unwrap_or_default().hash, result.clone());
        Ok(Response::new(result))
    }
}
