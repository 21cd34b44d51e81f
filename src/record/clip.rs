//! `Clip`: a recording that is sent to be transcribed.

/// A file of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// Its file name.
    pub name: String,
    pub bytes: Vec<u8>,
    /// How long it plays, microseconds: by the header of a WAV file, or as given. `None`: nobody
    /// says.
    pub micros: Option<u64>,
}

/// What a WAV file has in the place of a length that was not known when it was begun.
const UNKNOWN: u32 = u32::MAX;

impl Clip {
    /// A file; `micros` is how long it plays where its bytes do not say.
    pub fn new(name: String, bytes: Vec<u8>, micros: Option<u64>) -> Clip {
        let micros = wav_micros(&bytes).or(micros);
        Clip { name, bytes, micros }
    }

    /// So many seconds of silence, as a WAV file: 16 bits, mono, 16 kHz.
    pub fn silence(seconds: u32) -> Clip {
        const RATE: u32 = 16_000;
        let length = seconds * RATE * 2;
        let mut bytes = Vec::with_capacity(length as usize + 44);
        bytes.extend_from_slice(b"RIFF");
        bytes.extend_from_slice(&(length + 36).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        bytes.extend_from_slice(&RATE.to_le_bytes());
        bytes.extend_from_slice(&(RATE * 2).to_le_bytes());
        bytes.extend_from_slice(b"\x02\0\x10\0data");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.resize(bytes.len() + length as usize, 0);
        Clip::new("silence.wav".into(), bytes, None)
    }

    pub fn ms(&self) -> Option<u64> {
        self.micros.map(|micros| micros.div_ceil(1_000))
    }

    pub fn seconds(&self) -> Option<f64> {
        self.micros.map(|micros| micros as f64 / 1e6)
    }
}

/// How long a WAV file plays: its bytes of sound by its bytes a second. `None`: it is none, or its
/// header says no rate.
fn wav_micros(bytes: &[u8]) -> Option<u64> {
    let body = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let (mut rest, mut rate) = (body, None);
    while rest.len() >= 8 {
        let number = |at: usize| {
            rest.get(at..at + 4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        };
        let (name, length) = (&rest[..4], number(4)?);
        match name {
            b"fmt " => rate = number(16).filter(|rate| *rate > 0),
            b"data" => {
                let there = rest.len() as u64 - 8;
                // A file that was written as a stream, or cut off, has what is there.
                let length = if matches!(length, 0 | UNKNOWN) { there } else { u64::from(length).min(there) };
                return Some(length * 1_000_000 / u64::from(rate?));
            }
            _ => {}
        }
        // A chunk has an even number of bytes.
        let whole = 8 + length as usize + (length as usize & 1);
        rest = rest.get(whole..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(bytes: &[u8]) -> Option<f64> {
        Clip::new("a".into(), bytes.to_vec(), None).seconds()
    }

    #[test]
    fn a_wav_file_says_how_long_it_plays() {
        let silence = Clip::silence(3);
        assert_eq!((silence.seconds(), silence.bytes.len()), (Some(3.0), 96_044));
        let mut streamed = silence.bytes.clone();
        for length in [0, u32::MAX] {
            streamed[40..44].copy_from_slice(&u32::to_le_bytes(length));
            assert_eq!(clip(&streamed), Some(3.0), "a length that was not known");
        }
        assert_eq!(clip(&silence.bytes[..44 + 48_000]), Some(1.5), "cut off");
        let list = [&silence.bytes[..36], b"LIST\x03\0\0\0abc\0", &silence.bytes[36..]].concat();
        assert_eq!(clip(&list), Some(3.0), "another chunk, padded to an even length");
    }

    #[test]
    fn what_says_nothing_has_no_duration_but_a_given_one() {
        let silence = Clip::silence(1).bytes;
        let mut no_rate = silence.clone();
        no_rate[28..32].fill(0);
        for bytes in
            [b"".as_slice(), b"ID3", b"RIFF", b"RIFF\0\0\0\0WAVE", &silence[..20], &silence[..36], &no_rate]
        {
            assert_eq!(clip(bytes), None, "{} bytes", bytes.len());
        }
        assert_eq!(Clip::new("a.mp3".into(), b"ID3".to_vec(), Some(2_500_000)).seconds(), Some(2.5));
        assert_eq!(
            Clip::new("a.wav".into(), silence, Some(9_000_000)).seconds(),
            Some(1.0),
            "the header knows better"
        );
    }
}
