"""Files that are hashed while they are written."""

import hashlib
import io
from pathlib import Path

import pytest
import torch

from unix_lib.artefacts import sealed
from unix_lib.artefacts.hashed import HashedFile
from unix_lib.artefacts.sealed import finish_folder, open_folder, seal_fault


def test_the_entry_is_that_of_the_bytes_on_the_disk(tmp_path: Path) -> None:
    tensors = {"weights": torch.arange(5000.0).reshape(50, 100), "more": [torch.zeros(3)]}
    with HashedFile(tmp_path / "a.pt") as file:
        torch.save(tensors, file)  # type: ignore[arg-type]
        file.write(memoryview(b"tail"))
    written = (tmp_path / "a.pt").read_bytes()
    assert file.entry == (len(written), hashlib.sha256(written).hexdigest())
    assert torch.equal(torch.load(io.BytesIO(written[:-4]))["weights"], tensors["weights"])


def test_a_file_that_was_not_finished_has_no_entry(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), HashedFile(tmp_path / "a") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert not hasattr(file, "entry")


def test_a_seal_takes_known_hashes_and_reads_the_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, read = open_folder(tmp_path / "kept"), []
    with HashedFile(part / "large") as file:
        file.write(b"x" * 1000)
    (part / "small").write_bytes(b"y")
    original = sealed.sha256_of
    monkeypatch.setattr(sealed, "sha256_of", lambda path: read.append(path.name) or original(path))
    finish_folder(tmp_path / "kept", known={part / "large": file.entry})
    assert read == ["small"]
    assert seal_fault(tmp_path / "kept") is None and not part.exists()
    (tmp_path / "kept" / "large").write_bytes(b"x" * 999 + b"z")
    assert seal_fault(tmp_path / "kept") is not None
