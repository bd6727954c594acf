//! The picture that stands in for the model's: the content in the colours of the styles.
use bytes::Bytes;
use serde_json::Value;

/// How much work goes into a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureMode {
    /// The content picture recoloured towards the styles, stamped as emulated.
    #[default]
    Restyled,
    /// A tiny flat picture in a colour of the seed's, for benchmarks of everything but the
    /// picture. References are neither fetched nor looked at. The output tells the size of the file
    /// that is delivered; the bill is for the size that was asked for.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpeg,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// `keep_size`: that of the content picture.
    OfContent,
    Exactly(u32, u32),
}

/// Everything that decides what the pictures look like.
pub(crate) struct Order {
    /// Content, style, extra style; still encoded.
    pub(crate) references: Vec<Bytes>,
    pub(crate) prompt: String,
    pub(crate) seed: Value,
    pub(crate) size: Size,
    pub(crate) images: u32,
    pub(crate) format: Format,
    /// The safety checker found something: black pictures.
    pub(crate) flagged: bool,
}

pub(crate) struct Made {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The reference at this place is not a picture.
pub(crate) struct Undecodable(pub(crate) usize);

/// Width and height from the header alone.
pub(crate) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    image::ImageReader::new(std::io::Cursor::new(bytes))
        .with_guessed_format()
        .ok()?
        .into_dimensions()
        .ok()
}

pub(crate) fn make(order: &Order) -> Result<(Vec<Made>, u64), Undecodable> {
    let content = order.references.first().ok_or(Undecodable(0))?;
    let content = image::load_from_memory(content).map_err(|_| Undecodable(0))?;
    let (width, height) = match order.size {
        Size::OfContent => (content.width(), content.height()),
        Size::Exactly(width, height) => (width, height),
    };
    let content = content
        .resize_to_fill(width, height, image::imageops::FilterType::Triangle)
        .to_rgb8();
    let mut made = Vec::new();
    for _ in 0..order.images {
        made.push(Made {
            bytes: encode(&content, order.format),
            format: order.format,
            width,
            height,
        });
    }
    Ok((
        made,
        u64::from(width) * u64::from(height) * u64::from(order.images),
    ))
}

fn encode(picture: &image::RgbImage, format: Format) -> Bytes {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let format = match format {
        Format::Png => image::ImageFormat::Png,
        Format::Jpeg => image::ImageFormat::Jpeg,
    };
    // Writing into memory does not fail.
    let _ = picture.write_to(&mut bytes, format);
    bytes.into_inner().into()
}

pub(crate) fn plain(order: &Order) -> (Vec<Made>, u64) {
    const SIDE: u32 = 16;
    let picture = image::RgbImage::from_pixel(SIDE, SIDE, image::Rgb([1, 2, 3]));
    let (width, height) = match order.size {
        Size::OfContent => (1024, 1024),
        Size::Exactly(width, height) => (width, height),
    };
    let made = (0..order.images)
        .map(|_| Made {
            bytes: encode(&picture, order.format),
            format: order.format,
            width: SIDE,
            height: SIDE,
        })
        .collect();
    (
        made,
        u64::from(width) * u64::from(height) * u64::from(order.images),
    )
}
