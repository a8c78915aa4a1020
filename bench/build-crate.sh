#!/bin/sh
# SPDX-License-Identifier: MIT
#
# build-crate.sh SOURCE OUT - build the program of SOURCE with Debian's crates
#
# Cargo writes beside the sources, so it is given a copy of them.

set -e
mkdir -p "$2.build"
cp "$1/Cargo.toml" "$1/main.rs" "$2.build/"
cd "$2.build"
env CARGO_HOME="$2.cargo" cargo build --release --offline --quiet \
	--config 'source.crates-io.replace-with="debian"' \
	--config 'source.debian.directory="/usr/share/cargo/registry"'
cp target/release/bench-tokio "$2"
