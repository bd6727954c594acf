//! Local pictures on their way into a request: made fit, uploaded once, told of.

mod damage;
mod drawn_jpeg;
mod excess;
mod formats;
mod once;
mod orientation;
mod quality;
mod rare;
mod reading;

use bytes::Bytes;
use image::{ImageDecoder as _, RgbImage};
use uso::pictures::{Change, PreparedPicture, Sending};
use uso::purchase::Prepared;
use uso::{Client, Reference, Request};
use uso_emulator::Operation;
use uso_tests::rig::Rig;

/// A request with one local picture.
fn with(picture: impl Into<Reference>) -> Request {
    Request::reimagine(picture, "as a woodcut")
}

async fn prepared(client: &Client, request: Request) -> Prepared {
    client.prepare(request).await.unwrap()
}

fn count(rig: &Rig, operation: Operation) -> usize {
    let operations = rig.operations();
    operations
        .iter()
        .filter(|seen| *seen == operation.as_str())
        .count()
}

/// What the service has, of the only upload of an emulator, and what was told of it.
async fn sent(picture: impl Into<Reference>) -> (PreparedPicture, Vec<u8>) {
    let rig = Rig::plain().await;
    let prepared = prepared(&rig.client, with(picture)).await;
    let [told] = prepared.pictures() else {
        panic!("one picture: {prepared:?}");
    };
    let [known] = &rig.client.known_uploads()[..] else {
        panic!("one upload: {told}");
    };
    let order = rig.client.place(prepared.order()).await.unwrap();
    order.wait().await.unwrap();
    let ledger = rig.emulator.ledger();
    assert_eq!(
        ledger.purchases()[0].input["input_image_urls"][0],
        known.url()
    );
    let picture = uso_transport::Transport::new(rig.client.config().clone()).unwrap();
    let bytes = picture
        .fetch(known.url(), &uso_transport::Expected::anything())
        .await
        .unwrap();
    (told.clone(), bytes.to_vec())
}

/// The picture as the service gets it, by upload or inside the request, and what was told of it.
async fn arrived(picture: Vec<u8>) -> (PreparedPicture, Vec<u8>) {
    let preview = with(picture.clone()).preview().await.unwrap();
    let [told] = &preview.pictures[..] else {
        panic!("one picture: {preview:?}");
    };
    match preview.input.input_image_urls[0].split_once("base64,") {
        Some((_, encoded)) => {
            let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, encoded);
            (told.clone(), bytes.unwrap())
        }
        None => sent(picture).await,
    }
}

fn jpeg(picture: &RgbImage, exif: Option<Vec<u8>>) -> Vec<u8> {
    use image::ImageEncoder as _;
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif).unwrap();
    }
    let (width, height) = picture.dimensions();
    encoder
        .write_image(picture, width, height, image::ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// EXIF as a phone writes it: which side is up, and where the photo was taken.
fn exif(orientation: u16) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let mut entry = Vec::new();
        entry.extend(tag.to_le_bytes());
        entry.extend(kind.to_le_bytes());
        entry.extend(count.to_le_bytes());
        entry.extend(value.to_le_bytes());
        entry
    };
    let directory = [
        entry(0x0112, 3, 1, u32::from(orientation)),
        // The place has a directory of its own, behind this one.
        entry(0x8825, 4, 1, 8 + 2 + 2 * 12 + 4),
    ];
    tiff.extend(2_u16.to_le_bytes());
    tiff.extend(directory.concat());
    tiff.extend(0_u32.to_le_bytes());
    tiff.extend(1_u16.to_le_bytes());
    // North or south: two letters, which fit into the entry.
    tiff.extend(entry(0x0001, 2, 2, u32::from(b'N')));
    tiff.extend(0_u32.to_le_bytes());
    tiff.extend(b"GPS-52.520008,13.404954");
    tiff
}

/// Four quarters: red, green above; blue, white below.
fn quarters(width: u32, height: u32) -> RgbImage {
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        let [left, right]: [[u8; 3]; 2] = if y < height / 2 {
            [[220, 20, 20], [20, 200, 20]]
        } else {
            [[20, 20, 220], [240, 240, 240]]
        };
        pixels.extend(left.repeat((width / 2) as usize));
        pixels.extend(right.repeat((width - width / 2) as usize));
    }
    RgbImage::from_raw(width, height, pixels).unwrap()
}

/// The quarter colours of a picture, as letters, row by row.
fn corners(picture: &RgbImage) -> String {
    let (width, height) = picture.dimensions();
    let places = [(1, 1), (3, 1), (1, 3), (3, 3)];
    let letter = |(x, y)| {
        let pixel = picture.get_pixel(width * x / 4, height * y / 4).0;
        match pixel.map(|channel| channel > 125) {
            [true, true, true] => 'w',
            [true, false, false] => 'r',
            [false, true, false] => 'g',
            [false, false, true] => 'b',
            _ => '?',
        }
    };
    places.into_iter().map(letter).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_photo_arrives_upright_small_and_without_its_place() {
    let photo = jpeg(&quarters(4032, 3024), Some(exif(6)));
    assert!(photo.windows(4).any(|window| window == b"GPS-"));
    let folder = tempfile::tempdir().unwrap();
    // The name says nothing.
    let path = folder.path().join("IMG_0001.txt");
    std::fs::write(&path, &photo).unwrap();
    let (told, arrived) = sent(path).await;

    assert_eq!(told.size, Some((1536, 2048)));
    assert_eq!(
        told.changes,
        [
            Change::Turned,
            Change::Shrunk { from: (3024, 4032) },
            Change::MetadataDropped
        ]
    );
    let line = told.to_string();
    assert!(
        line.ends_with(&format!(
            "IMG_0001.txt: 1536x2048, turned upright, shrunk from 3024x4032, metadata dropped, uploaded ({} bytes)",
            arrived.len()
        )),
        "{line}"
    );
    let reader = std::io::Cursor::new(&arrived);
    let mut decoder = image::codecs::jpeg::JpegDecoder::new(reader).unwrap();
    assert_eq!(decoder.exif_metadata().unwrap(), None);
    assert!(
        !arrived
            .windows(4)
            .any(|window| window == b"GPS-" || window == b"Exif")
    );
    let picture = image::load_from_memory(&arrived).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (1536, 2048));
    // What was below on the left is above on the left.
    assert_eq!(corners(&picture), "brwg");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_orientation_is_applied() {
    for (orientation, expected) in [
        (1, "rgbw"),
        (2, "grwb"),
        (3, "wbgr"),
        (4, "bwrg"),
        (5, "rbgw"),
        (6, "brwg"),
        (7, "wgbr"),
        (8, "gwrb"),
    ] {
        let (told, arrived) = sent(jpeg(&quarters(800, 600), Some(exif(orientation)))).await;
        let picture = image::load_from_memory(&arrived).unwrap().to_rgb8();
        assert_eq!(corners(&picture), expected, "{orientation}");
        assert_eq!(told.size, Some(picture.dimensions()), "{orientation}");
        assert!(told.changes.contains(&Change::MetadataDropped));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_alone_is_dropped_without_a_new_compression() {
    let plain = jpeg(&quarters(800, 600), None);
    let (told, arrived) = sent(plain.clone()).await;
    assert!(told.changes.is_empty(), "{told}");
    assert!(arrived == plain, "a picture that is fit goes as it is");

    let (told, arrived) = sent(jpeg(&quarters(800, 600), Some(exif(1)))).await;
    assert_eq!(told.changes, [Change::MetadataDropped]);
    let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap();
    assert_eq!(pixels(&arrived), pixels(&plain));
    assert!(!arrived.windows(4).any(|window| window == b"Exif"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_behind_the_end_of_a_jpeg_are_dropped() {
    let plain = jpeg(&quarters(800, 600), None);
    // A preview with a place of its own, and a film, which has bytes that look like marks.
    let preview = jpeg(&quarters(160, 120), Some(exif(1)));
    let film = [
        &[0xff, 0xda, 0, 8][..],
        b"ftypmp4 GPS-",
        &[0xff, 0xd9, 1, 2, 3],
    ]
    .concat();
    for behind in [preview.clone(), film.clone(), [preview, film].concat()] {
        let (told, arrived) = sent([plain.clone(), behind].concat()).await;
        assert_eq!(told.changes, [Change::MetadataDropped]);
        assert!(arrived == plain);
    }
}

/// A PNG chunk with its checksum.
pub(crate) fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = (data.len() as u32).to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    let mut crc = u32::MAX;
    for byte in kind.iter().chain(data) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    chunk.extend((!crc).to_be_bytes());
    chunk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn png_and_webp_lose_their_metadata_and_are_turned_as_well() {
    let picture = formats::noisy(300, 200);
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    // Behind the signature and the header.
    let (head, rest) = png.split_at(8 + 25);
    let text = png_chunk(b"tEXt", b"Comment\0GPS-52.5");
    for (chunks, turned) in [
        (text.clone(), false),
        ([text, png_chunk(b"eXIf", &exif(6))].concat(), true),
    ] {
        let (told, arrived) = sent([head, &chunks, rest].concat()).await;
        assert_eq!(told.changes.contains(&Change::Turned), turned, "{told}");
        assert!(told.changes.contains(&Change::MetadataDropped), "{told}");
        assert!(!arrived.windows(4).any(|window| window == b"GPS-"));
        let arrived = image::load_from_memory(&arrived).unwrap().to_rgb8();
        let expected = if turned { (200, 300) } else { (300, 200) };
        assert_eq!(arrived.dimensions(), expected);
    }
    let mut webp = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut webp, image::ImageFormat::WebP)
        .unwrap();
    let webp = webp.into_inner();
    let stream = &webp[12..];
    // A header that says which chunks there are, and the size less one in three bytes each.
    let mut header = b"VP8X\x0a\0\0\0\x0c\0\0\0".to_vec();
    header.extend([43, 1, 0, 199, 0, 0]);
    for (orientation, turned) in [(1, false), (6, true)] {
        let mut chunk = b"EXIF".to_vec();
        let data = exif(orientation);
        chunk.extend((data.len() as u32).to_le_bytes());
        chunk.extend(&data);
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        let xmp = b"XMP \x04\0\0\0GPS-";
        let body = [b"WEBP", &header[..], stream, &chunk, xmp].concat();
        let mut file = b"RIFF".to_vec();
        file.extend((body.len() as u32).to_le_bytes());
        file.extend(body);
        let (told, arrived) = sent(file).await;
        assert_eq!(told.changes.contains(&Change::Turned), turned, "{told}");
        assert!(told.changes.contains(&Change::MetadataDropped), "{told}");
        assert!(!arrived.windows(4).any(|window| window == b"GPS-"));
        let arrived = image::load_from_memory(&arrived).unwrap().to_rgb8();
        assert_eq!(arrived.dimensions(), told.size.unwrap());
        assert_eq!(turned, arrived.width() == 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_with_a_password_is_refused_and_shown_without() {
    let error = with("https://user:secret@example.org/a.png?token=secret")
        .preview()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("carries a user or a password"),
        "{error}"
    );
    let shown = format!(
        "{error} {:?}",
        Reference::from("https://user:secret@h.example/a?x=secret")
    );
    assert!(
        !shown.contains("secret") && shown.contains("https://h.example/a"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_sent_unchanged_without_fit() {
    let rig = Rig::plain().await;
    let photo = jpeg(&quarters(2400, 1200), Some(exif(6)));
    let prepared = prepared(&rig.client, with(photo.clone()).without_fit()).await;
    let told = &prepared.pictures()[0];
    assert_eq!(
        (told.size, told.bytes),
        (Some((2400, 1200)), Some(photo.len() as u64))
    );
    assert!(told.changes.is_empty(), "{told}");
    let job = rig.client.place(prepared.order()).await.unwrap();
    job.wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_is_passed_on_and_everything_else_is_the_same_picture() {
    let rig = Rig::plain().await;
    let photo = jpeg(&quarters(640, 480), None);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo");
    std::fs::write(&path, &photo).unwrap();
    let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &photo);
    let references = [
        Reference::path(&path),
        Reference::bytes(photo.clone()),
        Reference::reader(std::io::Cursor::new(photo.clone())),
        // The type is told by the content here, too.
        Reference::from(format!("data:image/png;base64,{base64}")),
    ];
    for (index, reference) in references.into_iter().enumerate() {
        let again = prepared(&rig.client, with(reference.clone())).await;
        let sending = if index == 0 {
            Sending::Upload
        } else {
            Sending::Reused
        };
        assert_eq!(again.pictures()[0].sending, sending, "{reference:?}");
        // A reader was read, and is not read again.
        prepared(&rig.client, with(reference)).await;
    }
    assert_eq!(count(&rig, Operation::Upload), 1);
    let url = "https://example.org/a.png?token=x";
    let passed = prepared(&rig.client, with(url)).await;
    assert_eq!(passed.pictures()[0].sending, Sending::Url);
    assert_eq!(rig.operations().len(), 2);
    rig.client.place(passed.order()).await.unwrap();
    assert_eq!(
        rig.emulator.ledger().purchases()[0].input["input_image_urls"][0],
        url
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tiny_picture_is_sent_inside_the_request() {
    let rig = Rig::plain().await;
    let tiny = jpeg(&quarters(16, 16), None);
    let prepared = prepared(&rig.client, with(Bytes::from(tiny))).await;
    assert_eq!(prepared.pictures()[0].sending, Sending::Inline);
    assert!(rig.operations().is_empty(), "nothing was uploaded");
    rig.client.place(prepared.order()).await.unwrap();
    let ledger = rig.emulator.ledger();
    let url = ledger.purchases()[0].input["input_image_urls"][0]
        .as_str()
        .unwrap();
    assert!(url.starts_with("data:image/jpeg;base64,"));
}
