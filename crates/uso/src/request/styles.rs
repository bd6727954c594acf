//! The style pictures of a request.

use crate::reference::Reference;

/// The style pictures of a request, one or two, made of whatever a [`Reference`] is made of: a
/// single value, an array, or a pair whose second may be an `Option`.
#[derive(Clone, Debug)]
pub struct Styles(Vec<Reference>);

impl Styles {
    pub(super) fn into_vec(self) -> Vec<Reference> {
        self.0
    }
}

impl<R: Into<Reference>> From<R> for Styles {
    fn from(style: R) -> Self {
        Self(vec![style.into()])
    }
}

impl<R: Into<Reference>> From<[R; 1]> for Styles {
    fn from(styles: [R; 1]) -> Self {
        Self(styles.map(Into::into).into())
    }
}

impl<R: Into<Reference>> From<[R; 2]> for Styles {
    fn from(styles: [R; 2]) -> Self {
        Self(styles.map(Into::into).into())
    }
}

impl<A: Into<Reference>, B: Into<Reference>> From<(A, B)> for Styles {
    fn from((first, second): (A, B)) -> Self {
        Self(vec![first.into(), second.into()])
    }
}

impl<A: Into<Reference>, B: Into<Reference>> From<(A, Option<B>)> for Styles {
    fn from((first, second): (A, Option<B>)) -> Self {
        let first = std::iter::once(first.into());
        Self(first.chain(second.map(Into::into)).collect())
    }
}
