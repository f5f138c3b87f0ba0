//! Links the image with boot's linker script.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../boot/link.ld");
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg-bins=--script={script}");
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
}
