//! The variants of an enumeration, as an array of their number.

use strum::VariantArray;

pub(super) const fn all<T: VariantArray + Copy, const NUMBER: usize>() -> [T; NUMBER] {
    match T::VARIANTS.first_chunk() {
        Some(all) => *all,
        None => unreachable!(),
    }
}
