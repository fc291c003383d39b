//! Omniglot's archives of drawn characters (`images_background_small1.zip`): PNG images of 105 × 105 pixels of one bit, in
//! folders alphabet/character, each character drawn by 20 people.
//!
//! There, ink is black on white; here, as in MNIST, ink is 255 and paper 0. Each character is a class. Images and classes
//! are in the order of their paths, so that class 0 is the first character of the first alphabet.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, Limits};
use zip::ZipArchive;
use zip::result::ZipError;

use super::Images;
use crate::{Result, ZooError};

/// Pixels in a drawing's height, and in its width.
const SIDE: usize = 105;
/// Bytes of a row of pixels in a PNG image.
const PACKED: usize = SIDE.div_ceil(8);
/// Those of all of Omniglot: 1,623 characters, 20 times each.
const MOST_DRAWINGS: usize = 1_623 * 20;
/// The pixels of a drawing take 1,470 bytes before compression.
const LARGEST_FILE: u64 = 1 << 14;

/// Reads the drawings of an archive, in memory: `[105, 105, 1]` each.
///
/// # Errors
/// When the archive or an image in it is damaged, or of another form: a file that is no `…/alphabet/character/*.png`, images
/// of another size or depth, more than 256 characters.
pub fn read(path: &Path) -> Result<Images> {
    let file = File::open(path).map_err(|source| ZooError::io(path, source))?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| match error {
        ZipError::Io(source) if source.kind() != ErrorKind::UnexpectedEof => ZooError::io(path, source),
        error => ZooError::malformed(path, format!("no zip archive, or a truncated one: {error}")),
    })?;
    let drawings = listed(&zip).map_err(|message| ZooError::malformed(path, message))?;
    let (mut pixels, mut labels, mut class, mut last) = (Vec::new(), Vec::new(), 0u8, None);
    for Drawing { character, name, index } in &drawings {
        let malformed =
            |error: &dyn std::fmt::Display| ZooError::malformed(path, format!("{character}/{name}: {error}"));
        if last.is_some_and(|last| last != character) {
            class = class.checked_add(1).ok_or_else(|| malformed(&"more than 256 characters before it"))?;
        }
        last = Some(character);
        let mut bytes = Vec::new();
        let entry = zip.by_index(*index).map_err(|error| malformed(&error))?;
        entry.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| malformed(&error))?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(malformed(&format!("larger than a drawing can be ({LARGEST_FILE} bytes)")));
        }
        decode(&bytes, &mut pixels).map_err(|message| malformed(&message))?;
        labels.push(class);
    }
    Images::new(path, [SIDE, SIDE, 1], pixels, labels)
}

/// Where a drawing is. The order of drawings is that of their paths.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Drawing {
    /// The folder.
    character: String,
    name: String,
    /// Its place in the archive.
    index: usize,
}

/// The drawings of an archive, in order.
fn listed<R: Read + std::io::Seek>(zip: &ZipArchive<R>) -> Result<Vec<Drawing>, String> {
    let mut drawings = Vec::new();
    for (index, path) in zip.file_names().enumerate() {
        if path.ends_with('/') {
            continue;
        }
        let parts =
            path.rsplit_once('/').filter(|(folder, name)| folder.contains('/') && name.ends_with(".png"));
        let Some((character, name)) = parts else {
            return Err(format!("holds `{path}`, which is no alphabet/character/drawing.png"));
        };
        if drawings.len() == MOST_DRAWINGS {
            return Err(format!("holds more than {MOST_DRAWINGS} drawings, those of all of Omniglot"));
        }
        drawings.push(Drawing { character: character.to_owned(), name: name.to_owned(), index });
    }
    if drawings.is_empty() {
        return Err("holds no drawing".to_owned());
    }
    drawings.sort_unstable();
    Ok(drawings)
}

/// Appends an image's pixels.
fn decode(bytes: &[u8], pixels: &mut Vec<u8>) -> Result<(), String> {
    let no_image = |error: png::DecodingError| format!("no PNG image, or a damaged one: {error}");
    let limits = Limits { bytes: 1 << 20 };
    let mut reader = Decoder::new_with_limits(Cursor::new(bytes), limits).read_info().map_err(no_image)?;
    let info = reader.info();
    let (height, width) = (info.height as usize, info.width as usize);
    if (height, width, info.color_type, info.bit_depth) != (SIDE, SIDE, ColorType::Grayscale, BitDepth::One) {
        return Err(format!(
            "{height} × {width} pixels, {:?}, depth {:?}, not {SIDE} × {SIDE} grey ones of one bit",
            info.color_type, info.bit_depth
        ));
    }
    let mut packed = [0; SIDE * PACKED];
    reader.next_frame(&mut packed).map_err(no_image)?;
    for row in packed.chunks_exact(PACKED) {
        // The first pixel is a byte's highest bit; a bit of 0 is black.
        pixels.extend((0..SIDE).map(|x| if row[x / 8] >> (7 - x % 8) & 1 == 0 { 255 } else { 0 }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    use zip::write::{SimpleFileOptions, ZipWriter};

    /// Whether drawing `drawing` has ink in this row and column.
    fn ink(drawing: usize, row: usize, column: usize) -> bool {
        (row * 3 + column * 5 + drawing * 11).is_multiple_of(16) || (row, column) == (drawing, SIDE - 1)
    }

    fn encoded(width: usize, colour: ColorType, depth: BitDepth, rows: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, SIDE as u32);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        encoder.write_header().unwrap().write_image_data(rows).unwrap();
        bytes
    }

    /// A drawing, black on white, as the published ones.
    fn drawn(drawing: usize) -> Vec<u8> {
        let mut rows = vec![0; SIDE * PACKED];
        for (row, column) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column))) {
            let paper = u8::from(!ink(drawing, row, column));
            rows[row * PACKED + column / 8] |= paper << (7 - column % 8);
        }
        encoded(SIDE, ColorType::Grayscale, BitDepth::One, &rows)
    }

    fn archive<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_directory("set/A", SimpleFileOptions::default()).unwrap();
        for (name, bytes) in files {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Images> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.zip");
        fs::write(&path, bytes).unwrap();
        let read = read(&path);
        if let Err(error) = &read {
            assert!(error.to_string().contains("images.zip") && error.hint().is_some(), "{error}");
        }
        read
    }

    /// Three characters of two alphabets, not in the order of their paths; the number of each is its place in that order.
    fn small() -> Vec<u8> {
        archive([
            ("set/B/character01/0003_01.png", drawn(4)),
            ("set/A/character02/0002_02.png", drawn(3)),
            ("set/A/character02/0002_01.png", drawn(2)),
            ("set/A/character01/0001_01.png", drawn(0)),
            ("set/A/character01/0001_02.png", drawn(1)),
        ])
    }

    #[test]
    fn ink_is_bright_and_drawings_are_in_the_order_of_their_paths() {
        let images = from_bytes(&small()).unwrap();
        assert_eq!((images.shape, images.labels.as_slice()), ([105, 105, 1], [0u8, 0, 1, 1, 2].as_slice()));
        for drawing in 0..5 {
            let pixels = images.image(drawing).unwrap();
            for (place, pixel) in pixels.iter().enumerate() {
                let expected = if ink(drawing, place / SIDE, place % SIDE) { 255 } else { 0 };
                assert_eq!(*pixel, expected, "drawing {drawing}, pixel {place}");
            }
        }
    }

    #[test]
    fn truncated_archives_are_errors() {
        let bytes = small();
        for length in (0..bytes.len()).step_by(3) {
            assert!(from_bytes(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
    }

    #[test]
    fn changed_bytes_are_errors_or_drawings() {
        let (sound, bytes) = (from_bytes(&small()).unwrap(), small());
        for position in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[position] ^= 0x11;
            if let Ok(images) = from_bytes(&bytes) {
                assert_eq!(images.pixels.len(), images.len() * SIDE * SIDE);
                // What is read has its checksum: at most paths and the number of files can have changed.
                let drawings: Vec<_> = (0..sound.len()).map(|index| sound.image(index)).collect();
                assert!((0..images.len()).all(|index| drawings.contains(&images.image(index))), "{position}");
            }
        }
    }

    #[test]
    fn what_an_archive_must_not_hold() {
        let refused = |files: Vec<(&str, Vec<u8>)>, word: &str| {
            let error = from_bytes(&archive(files)).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(vec![], "holds no drawing");
        refused(vec![("set/A/character01/readme.txt", drawn(0))], "readme.txt");
        refused(vec![("drawing.png", drawn(0))], "no alphabet/character");
        refused(vec![("A/a/1.png", b"no image".to_vec())], "A/a/1.png: no PNG image");
        let cut = drawn(0);
        refused(vec![("A/a/1.png", cut[..cut.len() / 2].to_vec())], "damaged");
        let wide = encoded(112, ColorType::Grayscale, BitDepth::One, &[0; SIDE * 14]);
        refused(vec![("A/a/1.png", wide)], "105 × 112 pixels");
        let deep = encoded(SIDE, ColorType::Grayscale, BitDepth::Eight, &[0; SIDE * SIDE]);
        refused(vec![("A/a/1.png", deep)], "Eight");
        // A header of 2³⁰ pixels a side, its checksum renewed, is refused before room is made for any.
        let mut vast = drawn(0);
        vast[16..24].copy_from_slice(&[0x40, 0, 0, 0, 0x40, 0, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&vast[12..29]);
        vast[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        refused(vec![("A/a/1.png", vast)], "A/a/1.png");
        // What unpacks to far more than a drawing is not unpacked.
        refused(vec![("A/a/1.png", vec![0; 1 << 20])], "larger than a drawing can be");
        let names: Vec<String> = (0..257).map(|character| format!("A/{character:03}/1.png")).collect();
        refused(names.iter().map(|name| (name.as_str(), drawn(0))).collect(), "A/256/1.png: more than 256");
        refused(vec![("../../A/a/1.png", b"out".to_vec())], "no PNG image");
    }
}
