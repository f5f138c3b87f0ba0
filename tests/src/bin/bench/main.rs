//! The benchmarks: what is measured, one `bench` line each, and beside it what it is compared with.
//!
//! Absolute times say more of the machine than of the image. So each rate stands beside another that was
//! measured in the same run ([`dgram`], [`cards`], [`processors`], [`vhost`]), and what a packet costs is counted in guest
//! instructions ([`cost`]).

mod boot;
mod cards;
mod cost;
mod dgram;
mod processors;
mod results;
mod vhost;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

/// The one argument, if any, is the file for the details of [`cost`].
fn main() -> ExitCode {
    let detail = std::env::args_os().nth(1);
    let cost = || cost::bench(detail.as_ref().map(Path::new));
    let parts: [(&str, &dyn Fn() -> Result<()>); 6] = [
        ("cost", &cost),
        ("boot", &boot::bench),
        ("dgram", &dgram::bench),
        ("cards", &cards::bench),
        ("processors", &processors::bench),
        ("vhost-user", &vhost::bench),
    ];
    let mut status = ExitCode::SUCCESS;
    for (name, bench) in parts {
        if let Err(error) = bench() {
            eprintln!("the benchmark {name} failed: {error:#}");
            status = ExitCode::FAILURE;
        }
    }
    status
}
