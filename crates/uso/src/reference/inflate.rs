//! Decompression of the small parts of a PNG: texts and colour profiles.

/// Bytes of a decompressed part at the most.
#[cfg(feature = "fit")]
const LARGEST: usize = 4 << 20;

/// The decompressed bytes, unless they are damaged or too many.
#[cfg(feature = "fit")]
pub(super) fn inflate(deflated: &[u8]) -> Option<Vec<u8>> {
    fdeflate::decompress_to_vec_bounded(deflated, LARGEST).ok()
}

/// Without the picture stack nothing is decompressed.
#[cfg(not(feature = "fit"))]
pub(super) fn inflate(_deflated: &[u8]) -> Option<Vec<u8>> {
    None
}
