//! Blobs as streams.

use bazel_remote_apis::build::bazel::remote::execution::v2 as pb;
use bazel_remote_apis::google::bytestream::byte_stream_server::ByteStream;
use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::{State, locked};

const PIECE: usize = 32 << 10;

/// The digest at the end of a resource's name.
fn digest(name: &str) -> pb::Digest {
    let mut parts = name.rsplit('/');
    let size_bytes = parts.next().unwrap_or_default().parse().unwrap_or(0);
    pb::Digest { hash: parts.next().unwrap_or_default().to_owned(), size_bytes }
}

impl State {
    /// Takes a stream in, up to its end or to where it is to break.
    async fn take(
        &self,
        mut incoming: Streaming<WriteRequest>,
    ) -> Result<(String, Vec<u8>), Status> {
        let (mut name, mut bytes, mut begun) = (String::new(), Vec::new(), false);
        while let Some(piece) = incoming.message().await? {
            if !begun {
                name.clone_from(&piece.resource_name);
                bytes = locked(&self.partial).get(&name).cloned().unwrap_or_default();
                begun = true;
            }
            if piece.write_offset != i64::try_from(bytes.len()).unwrap() {
                return Err(Status::invalid_argument("this is not where it goes on"));
            }
            *locked(&self.received) += piece.data.len() as u64;
            bytes.extend_from_slice(&piece.data);
            locked(&self.partial).insert(name.clone(), bytes.clone());
            let mut quirks = locked(&self.quirks);
            if quirks.break_writes.0 > 0 && bytes.len() >= quirks.break_writes.1 {
                quirks.break_writes.0 -= 1;
                return Err(Status::unavailable("breaks on demand"));
            }
        }
        Ok((name, bytes))
    }
}

#[async_trait::async_trait]
impl ByteStream for State {
    type ReadStream = BoxStream<'static, Result<ReadResponse, Status>>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        self.note("Read")?;
        self.maybe_hang("Read").await;
        let request = request.into_inner();
        let mut quirks = self.quirks();
        if quirks.no_limited_reads && request.read_limit != 0 {
            return Err(Status::data_loss("a limited read"));
        }
        let mut bytes = self
            .blob(Some(&digest(&request.resource_name)))
            .ok_or_else(|| Status::not_found("no such blob"))?
            .split_off(usize::try_from(request.read_offset).unwrap());
        if let Some(length) = quirks.truncate {
            bytes.truncate(length);
        }
        let mut end = None;
        if quirks.break_reads.0 > 0 && bytes.len() > quirks.break_reads.1 {
            bytes.truncate(quirks.break_reads.1);
            locked(&self.quirks).break_reads.0 -= 1;
            end = Some(Err(Status::unavailable("breaks on demand")));
        }
        if request.resource_name.contains("compressed-blobs/zstd") {
            quirks.zstd = true;
            bytes = zstd::bulk::compress(&bytes, 1).unwrap();
        }
        let pieces: Vec<_> =
            bytes.chunks(PIECE).map(|data| Ok(ReadResponse { data: data.to_vec() })).collect();
        Ok(Response::new(futures::stream::iter(pieces.into_iter().chain(end)).boxed()))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        self.note("Write")?;
        self.maybe_hang("Write").await;
        let (name, bytes) = self.take(request.into_inner()).await?;
        self.store(&digest(&name), &bytes, name.contains("compressed-blobs/zstd"))?;
        let committed_size = i64::try_from(bytes.len()).unwrap();
        Ok(Response::new(WriteResponse { committed_size }))
    }

    async fn query_write_status(
        &self,
        request: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        self.note("QueryWriteStatus")?;
        let name = request.into_inner().resource_name;
        let committed = locked(&self.partial).get(&name).map(Vec::len);
        let committed = committed.ok_or_else(|| Status::not_found("no such upload"))?;
        Ok(Response::new(QueryWriteStatusResponse {
            committed_size: i64::try_from(committed).unwrap(),
            complete: false,
        }))
    }
}
