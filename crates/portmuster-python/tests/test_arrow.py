"""Results as Arrow record batches."""

import json

import polars
import pyarrow
import pytest

import portmuster
from portmuster import _native


def targets(port, count):
    return [(f"127.1.{number >> 8}.{number & 255}", port) for number in range(count)]


def test_pyarrow_and_polars_have_the_results_of_the_iterator(serve, refused):
    server = serve()
    pairs = [*targets(refused, 40_000), ("127.0.0.1", server.port)]
    expected = sorted(map(tuple, portmuster.check_ports(pairs)))
    table = pyarrow.table(portmuster.check_ports(pairs).arrow())
    assert table.schema.names == ["ip_or_name", "port", "open"]
    assert [str(column.type) for column in table.columns] == ["string", "uint16", "bool"]
    assert sorted(map(tuple, (row.values() for row in table.to_pylist()))) == expected
    frame = polars.DataFrame(portmuster.check_ports(pairs).arrow())
    assert sorted(frame.rows()) == expected


def test_columns_of_outcomes_are_the_fields_of_a_row(serve, refused):
    server = serve(b"SSH-2.0-Sample_1.0\r\n")
    settings = {"probe": "greeting", "evidence": True, "per_host": None, "max_missed": None}
    expression = f"127.0.0.1:{server.port},{refused}"
    table = pyarrow.table(portmuster.check(expression, **settings).arrow())
    assert set(table.schema.names) == set(json.loads(_native.row_schema())["properties"])
    rows = {row["port"]: row for row in table.to_pylist()}
    assert rows[server.port]["service"] == "ssh"
    assert rows[server.port]["ssh_software"] == "Sample_1.0"
    assert rows[server.port]["evidence"]["parts"][0]["text"] == "SSH-2.0-Sample_1.0\r\n"
    assert rows[refused]["service"] is None
    outcomes = {it.port: it.as_dict() for it in portmuster.check(expression, **settings)}
    same = ["schema", "host", "port", "open", "state", "reason", "address", "attempts"]
    for port, row in rows.items():
        assert {name: row[name] for name in same} == {name: outcomes[port][name] for name in same}
    assert rows[refused]["time"].tzinfo is not None


def test_stream_is_read_once(refused):
    stream = portmuster.check_ports(targets(refused, 3)).arrow()
    assert pyarrow.table(stream).num_rows == 3
    with pytest.raises(RuntimeError, match="again"):
        pyarrow.table(stream)


def test_results_that_were_taken_are_not_in_the_stream(refused):
    checks = portmuster.check_ports(targets(refused, 100))
    next(checks)
    assert pyarrow.table(checks.arrow()).num_rows == 99


def test_stream_keeps_its_run(refused):
    reader = pyarrow.RecordBatchReader.from_stream(
        portmuster.check_ports(targets(refused, 40_000)).arrow()
    )
    assert sum(batch.num_rows for batch in reader) == 40_000


def test_bad_target_is_an_error_of_the_reader(refused):
    reader = pyarrow.RecordBatchReader.from_stream(
        portmuster.check_ports([*targets(refused, 10), 7]).arrow()
    )
    assert reader.read_next_batch().num_rows == 10
    with pytest.raises(pyarrow.ArrowInvalid, match="target 10: expected a pair"):
        reader.read_next_batch()


def test_empty_run_is_an_empty_table():
    table = pyarrow.table(portmuster.check_ports([]).arrow())
    assert (table.num_rows, table.num_columns) == (0, 3)
