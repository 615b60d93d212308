//! Errors of Ansible inventories.

use crate::targets::{
    formats::tracked::TextPosition,
    input_format::InputFormat,
    line_error::{LineError, LineErrorKind},
};

/// Creates the error of a host or variable that is not valid.
pub(super) fn record_error(position: TextPosition, why: String) -> LineError {
    let TextPosition { line, column } = position;
    LineError { line, column, kind: LineErrorKind::Record { format: InputFormat::Ansible, why } }
}

/// Creates the error of an inventory that can't be read further.
pub(super) fn document_error(position: TextPosition, why: String) -> LineError {
    let TextPosition { line, column } = position;
    LineError { line, column, kind: LineErrorKind::Document { format: InputFormat::Ansible, why } }
}
