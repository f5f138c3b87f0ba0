//! The benchmarks: what is measured, one `bench` line each, and beside it what it is compared with.
//!
//! Absolute times say more of the machine than of the image. So each rate stands beside another that was
//! measured in the same run ([`dgram`], [`cards`], [`processors`]), and what one packet costs is counted in guest instructions
//! ([`cards`], [`vhost`]).

mod boot;
mod cards;
mod dgram;
mod instructions;
mod processors;
mod results;
mod vhost;

use std::process::ExitCode;

use anyhow::Result;

fn main() -> ExitCode {
    let parts = [
        ("boot", boot::bench as fn() -> Result<()>),
        ("dgram", dgram::bench),
        ("cards", cards::bench),
        ("processors", processors::bench),
        ("vhost-user", vhost::bench),
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
