//! The first error of a sink, after which every call fails.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
};

/// The first error of a sink, if it has failed.
#[derive(Debug, Default)]
pub(super) struct FirstError(Option<(io::ErrorKind, EarlierError)>);

impl FirstError {
    /// Refuses further work after an error.
    ///
    /// # Errors
    /// The sink has failed. The error has the kind and the text of the first one.
    pub(super) fn check(&self) -> io::Result<()> {
        match &self.0 {
            None => Ok(()),
            Some((kind, earlier)) => Err(io::Error::new(*kind, earlier.clone())),
        }
    }

    /// Keeps the first error of the calls whose results it is given.
    ///
    /// # Errors
    /// The error of the result.
    pub(super) fn keep<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            self.0.get_or_insert_with(|| {
                let kind = match error.kind() {
                    // `write_all` would repeat the call for ever.
                    io::ErrorKind::Interrupted => io::ErrorKind::Other,
                    kind => kind,
                };
                (kind, EarlierError(with_causes(error)))
            });
        })
    }
}

/// A sink was used after a call had failed, with the text of that error.
#[derive(Debug, Clone)]
struct EarlierError(String);

impl fmt::Display for EarlierError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an earlier write failed: {}", self.0)
    }
}

impl Error for EarlierError {}

/// Returns the text of an error and of its causes.
fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Passes writes to an output until one fails; later ones fail without reaching the output.
///
/// After a write that may be incomplete, further bytes would leave a damaged row.
#[derive(Debug)]
pub(super) struct StopAfterError<W> {
    output: W,
    first_error: FirstError,
}

impl<W> StopAfterError<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, first_error: FirstError::default() }
    }

    /// Returns the output.
    pub(super) fn get_ref(&self) -> &W {
        &self.output
    }

    /// Refuses further work after an error, as [`FirstError::check`] does.
    pub(super) fn check(&self) -> io::Result<()> {
        self.first_error.check()
    }

    /// Calls `act` with the output, unless an earlier call has failed.
    pub(super) fn attempt<T>(
        &mut self,
        act: impl FnOnce(&mut W) -> io::Result<T>,
    ) -> io::Result<T> {
        self.first_error.check()?;
        self.first_error.keep(act(&mut self.output))
    }
}

impl<W: Write> Write for StopAfterError<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|output| output.write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(W::flush)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An output that takes a number of bytes and then fails; it fails only once.
    #[derive(Debug)]
    pub(in crate::sink) struct FailsOnce {
        pub(in crate::sink) written: Vec<u8>,
        room: Option<usize>,
    }

    impl FailsOnce {
        pub(in crate::sink) fn after(room: usize) -> Self {
            Self { written: Vec::new(), room: Some(room) }
        }
    }

    impl Write for FailsOnce {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fitting = match self.room {
                None => bytes.len(),
                Some(0) => {
                    self.room = None;
                    return Err(io::Error::new(io::ErrorKind::StorageFull, "no room"));
                }
                Some(room) => room.min(bytes.len()),
            };
            self.room = self.room.map(|room| room - fitting);
            self.written.extend(&bytes[..fitting]);
            Ok(fitting)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Asserts that an error says that an earlier call has failed, and why.
    pub(in crate::sink) fn assert_earlier<T>(result: io::Result<T>) {
        let Err(error) = result else { panic!("the sink has failed before") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("an earlier write failed: "), "{error}");
    }

    #[test]
    fn writes_after_an_error_fail_and_do_not_reach_the_output() {
        let mut output = StopAfterError::new(FailsOnce::after(2));
        let error = output.write_all(b"abc").expect_err("there is room for two bytes");
        assert_eq!(error.to_string(), "no room");
        for _ in 0..2 {
            assert_earlier(output.write_all(b"d"));
            assert_earlier(output.flush());
        }
        assert_eq!(output.get_ref().written, b"ab");
    }

    #[test]
    fn interrupted_flush_does_not_make_later_writes_endless() {
        struct Interrupted;

        impl Write for Interrupted {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::Interrupted.into())
            }
        }

        let mut output = StopAfterError::new(Interrupted);
        assert!(output.flush().is_err());
        assert!(output.write_all(b"a").is_err());
    }
}
