//! Every kind of store keeps the contract.

use cache_storage::conformance;
use futures::executor::block_on;

use crate::servers::{Server, config, open};

#[test]
fn memory_keeps_the_contract() {
    block_on(conformance::all(&open(&config("memory:", [].into()))));
}

#[test]
fn directory_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}/a%20store", dir.path().display());
    block_on(conformance::all(&open(&config(&url, [].into()))));
    assert!(dir.path().join("a store/v1").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_inside_a_runtime_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    conformance::all(&open(&config(&url, [].into()))).await;
}

#[tokio::test]
async fn s3_keeps_the_contract() {
    keeps_the_contract(Server::S3).await;
}

#[tokio::test]
async fn azure_keeps_the_contract() {
    keeps_the_contract(Server::Azure).await;
}

#[tokio::test]
async fn webdav_keeps_the_contract() {
    keeps_the_contract(Server::WebDav).await;
}

async fn keeps_the_contract(server: Server) {
    let Some(address) = server.address() else { return };
    let mut config = server.config(&address, "contract");
    conformance::all(&open(&config)).await;
    config.read_only = true;
    conformance::all(&open(&config)).await;
}

#[test]
fn a_store_works_outside_of_its_runtime() {
    let Some(address) = Server::S3.address() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Server::S3.config(&address, "outside");
    let store = runtime.block_on(async { open(&config) });
    block_on(conformance::all(&store));
}
