//! JPEG files written block by block, in forms that no encoder at hand writes.

/// A component: identifier, horizontal and vertical sampling, and the level of each of its blocks.
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) sampling: (usize, usize),
    pub(super) level: fn(f64, f64) -> u8,
}

/// How a file is built.
pub(super) struct Layout {
    pub(super) size: (usize, usize),
    pub(super) components: Vec<Component>,
    /// The components of each scan, by index.
    pub(super) scans: Vec<Vec<usize>>,
    pub(super) frame: u8,
    /// Written behind the start of the file.
    pub(super) segments: Vec<u8>,
}

pub(super) fn segment(marker: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, marker];
    bytes.extend((contents.len() as u16 + 2).to_be_bytes());
    bytes.extend(contents);
    bytes
}

/// Bits of a scan, with a zero behind each 0xff.
struct Bits {
    bytes: Vec<u8>,
    waiting: String,
}

impl Bits {
    fn put(&mut self, bits: &str) {
        self.waiting += bits;
        while self.waiting.len() >= 8 {
            let byte = u8::from_str_radix(&self.waiting[..8], 2).unwrap();
            self.waiting.drain(..8);
            self.bytes.push(byte);
            if byte == 0xff {
                self.bytes.push(0);
            }
        }
    }
}

/// A JPEG in which each block has one level.
pub(super) fn jpeg(layout: &Layout) -> Vec<u8> {
    let (width, height) = layout.size;
    let most = layout.components.iter().fold((1, 1), |most, component| {
        let (horizontal, vertical) = component.sampling;
        (horizontal.max(most.0), vertical.max(most.1))
    });
    let units = (width.div_ceil(8 * most.0), height.div_ceil(8 * most.1));
    let mut file = vec![0xff, 0xd8];
    file.extend(&layout.segments);
    file.extend(segment(0xdb, &[&[0][..], &[1; 64]].concat()));
    let mut frame = vec![8];
    frame.extend((height as u16).to_be_bytes());
    frame.extend((width as u16).to_be_bytes());
    frame.push(layout.components.len() as u8);
    for component in &layout.components {
        let (horizontal, vertical) = component.sampling;
        frame.extend([component.id, (horizontal << 4 | vertical) as u8, 0]);
    }
    file.extend(segment(layout.frame, &frame));
    // Twelve sizes of a first coefficient in four bits each; of the others, only "no more", in one.
    let sizes: Vec<u8> = (0..12).collect();
    file.extend(segment(
        0xc4,
        &[&[0, 0, 0, 0, 12][..], &[0; 12], &sizes].concat(),
    ));
    file.extend(segment(0xc4, &[&[0x10, 1][..], &[0; 15], &[0]].concat()));
    let is_progressive = layout.frame == 0xc2;
    for scan in &layout.scans {
        let mut header = vec![scan.len() as u8];
        for index in scan {
            header.extend([layout.components[*index].id, 0]);
        }
        header.extend([0, if is_progressive { 0 } else { 63 }, 0]);
        file.extend(segment(0xda, &header));
        let mut bits = Bits {
            bytes: Vec::new(),
            waiting: String::new(),
        };
        let mut before = vec![0; layout.components.len()];
        let mut block = |index: usize, column: usize, row: usize| {
            let component = &layout.components[index];
            let (horizontal, vertical) = component.sampling;
            // The middle of the block, as a part of the picture.
            let x = (column as f64 + 0.5) * 8.0 * most.0 as f64 / horizontal as f64;
            let y = (row as f64 + 0.5) * 8.0 * most.1 as f64 / vertical as f64;
            let level = (component.level)(x / width as f64, y / height as f64);
            let coefficient = (i32::from(level) - 128) * 8;
            let difference = coefficient - before[index];
            before[index] = coefficient;
            let size = 32 - difference.unsigned_abs().leading_zeros();
            let value = match difference < 0 {
                true => difference + (1 << size) - 1,
                false => difference,
            };
            bits.put(&format!("{size:04b}"));
            if size > 0 {
                bits.put(&format!("{value:0width$b}", width = size as usize));
            }
            if !is_progressive {
                bits.put("0");
            }
        };
        if let [index] = scan[..] {
            let (horizontal, vertical) = layout.components[index].sampling;
            let columns = (width * horizontal).div_ceil(most.0).div_ceil(8);
            let rows = (height * vertical).div_ceil(most.1).div_ceil(8);
            for row in 0..rows {
                for column in 0..columns {
                    block(index, column, row);
                }
            }
        } else {
            for unit_row in 0..units.1 {
                for unit in 0..units.0 {
                    for index in scan {
                        let (horizontal, vertical) = layout.components[*index].sampling;
                        for row in 0..vertical {
                            for column in 0..horizontal {
                                block(
                                    *index,
                                    unit * horizontal + column,
                                    unit_row * vertical + row,
                                );
                            }
                        }
                    }
                }
            }
        }
        while !bits.waiting.is_empty() {
            bits.put("1");
        }
        file.extend(bits.bytes);
    }
    file.extend([0xff, 0xd9]);
    file
}
